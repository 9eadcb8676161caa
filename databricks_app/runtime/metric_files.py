"""Keeps the shared files of the metrics few: what ended processes counted goes into one file.

Every process leaves its files behind when it ends, as its counts still count. Without this a child
that dies again and again would fill the memory that they lie in.

A reader must never see a count that is less than before: Prometheus takes that for a restart, and
adds the whole count once more. So files are added up only while nobody reads, and each file is
named by the identity of its process: a successor with the same number has files of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

_KINDS = ("counter", "histogram")
_NAME = re.compile(r"[a-z]+_([0-9]+-[0-9]+)\.db")
_ENDED = 0  # no process has this identity
_TRIES = 5
_PAUSE_SECONDS = 0.02


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Keep the files as they are while they are read; waits milliseconds at most."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


def fold_ended(folder: Path, is_running: Callable[[str], bool]) -> int:
    """Add up the files of processes that have ended; return how many files there were.

    Where the files are being read all the time nothing happens: a reader that stands still must
    not stop the caller.

    Args:
        folder: Of the shared files.
        is_running: Whether the process of this identity runs.

    Raises:
        OSError: There is no room for the sums, or it cannot be told who runs; nothing was removed.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return sum(_fold(folder, kind, is_running) for kind in _KINDS)
        time.sleep(_PAUSE_SECONDS)
    return 0


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _fold(folder: Path, kind: str, is_running: Callable[[str], bool]) -> int:
    ended = [path for path in folder.glob(f"{kind}_*.db") if _has_ended(path, is_running)]
    if not ended:
        return 0
    total = folder / f"{kind}_{_ENDED}.db"
    made = folder / f".{kind}.new"
    made.unlink(missing_ok=True)
    added = [*ended, *([total] if total.exists() else [])]
    # All that the sums can need: a full file system must not end the supervisor by a SIGBUS.
    allocate(made, sum(path.stat().st_size for path in added))
    sums = MmapedDict(str(made))  # type: ignore[no-untyped-call]
    for path in added:
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]
            sums.write_value(key, before + value, at)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]
    for path in ended:
        path.unlink()
    made.replace(total)
    return len(ended)


def _has_ended(path: Path, is_running: Callable[[str], bool]) -> bool:
    named = _NAME.fullmatch(path.name)
    return named is not None and not is_running(named[1])


def allocate(path: Path, size: int) -> None:
    """Make a file of the shared counts, of zeros, with room for all its bytes.

    The files are mapped: on a full file system the first write to a page without room is a SIGBUS.

    Raises:
        OSError: There is no room; then there is no file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
