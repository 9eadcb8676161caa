"""Keeps the shared files of the metrics few: what ended processes counted goes into one file.

Every process leaves its files behind when it ends, as its counts still count. Without this a child
that dies again and again would fill the memory that they lie in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

_KINDS = ("counter", "histogram")
_NAME = re.compile(r"[a-z]+_([0-9]+)\.db")
_ENDED = 0  # no process has this number


def fold_ended(folder: Path, is_running: Callable[[int], bool]) -> int:
    """Add up the files of processes that have ended; return how many files there were.

    A reader that comes in between sees too little for a moment, never too much.

    Raises:
        OSError: There is no room for the sums; nothing was removed.
    """
    return sum(_fold(folder, kind, is_running) for kind in _KINDS)


def is_running(pid: int) -> bool:
    """Whether there is a process with this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _fold(folder: Path, kind: str, is_running: Callable[[int], bool]) -> int:
    ended = [path for path in folder.glob(f"{kind}_*.db") if _has_ended(path, is_running)]
    if not ended:
        return 0
    total = folder / f"{kind}_{_ENDED}.db"
    made = folder / f".{kind}.new"
    made.unlink(missing_ok=True)
    sums = MmapedDict(str(made))  # type: ignore[no-untyped-call]
    for path in [*ended, *([total] if total.exists() else [])]:
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]
            sums.write_value(key, before + value, at)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]
    for path in ended:
        path.unlink()
    made.replace(total)
    return len(ended)


def _has_ended(path: Path, is_running: Callable[[int], bool]) -> bool:
    named = _NAME.fullmatch(path.name)
    return named is not None and int(named[1]) != _ENDED and not is_running(int(named[1]))
