"""Adds up the metric files of ended processes in one file, so that the files stay few.

The files of a process stay when it ends, because its counts are still part of the sums. Without
this module a child that dies again and again would fill shared memory.

A reader must never see a count that is smaller than before: Prometheus takes that for a restart and
adds the whole count again. So files are added up only while nobody reads them. Each file is named
by the identity of its process, so that a new process with the same id gets new files.
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
_ENDED = 0  # in the name of the file with the sums; not the identity of any process
_TRIES = 5
_PAUSE_SECONDS = 0.02


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Protect the files from changes while they are read; waits at most milliseconds."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


def fold_ended(folder: Path, is_running: Callable[[str], bool]) -> int:
    """Add up the files of ended processes; return how many files were added.

    Does nothing while somebody reads the files.

    Args:
        folder: Folder of the metric files.
        is_running: Returns whether the process with this identity runs.

    Raises:
        OSError: There is no room for the sums, or it is unknown which processes run. No file was
            removed.
    """
    # A reader may hang, and must not stop the supervisor: a few tries, no waiting for the lock.
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
    ended = [
        path
        for path in folder.glob(f"{kind}_*.db")
        if (named := _NAME.fullmatch(path.name)) and not is_running(named[1])
    ]
    if not ended:
        return 0
    total = folder / f"{kind}_{_ENDED}.db"
    made = folder / f".{kind}.new"
    made.unlink(missing_ok=True)
    added = [*ended, *([total] if total.exists() else [])]
    # The most that the sums can need: a full file system must not kill the supervisor (SIGBUS).
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


def allocate(path: Path, size: int) -> None:
    """Make a metric file of zeros, with room on the file system for all its bytes.

    Raises:
        OSError: There is no room. The file is removed again.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # The file is mapped: without room a write to its page would be a SIGBUS, not an error.
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
