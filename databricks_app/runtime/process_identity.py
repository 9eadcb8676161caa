"""Which process a number means: numbers are given again, and a dead process keeps its own a while.

An identity is the process id and the time of its start in clock ticks since the boot of the
machine, joined by a hyphen. Read from /proc; imports the standard library alone.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_STATE, _START = 0, 19  # of what stands behind the name in /proc/<pid>/stat
_ENDED = ("Z", "X")


def identity(pid: int) -> str | None:
    """Return the identity of a process; None if there is none, or one that has ended.

    Raises:
        OSError: It cannot be told, as where this process has too many open files.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may hold any character.
    fields = told.rpartition(")")[2].split()
    return None if fields[_STATE] in _ENDED else f"{pid}-{fields[_START]}"


def is_running(known: str) -> bool:
    """Whether the process with this identity still runs.

    Raises:
        OSError: It cannot be told.
    """
    return identity(int(known.partition("-")[0])) == known


def own() -> str:
    """Return the identity of this process, also after a fork.

    Raises:
        OSError: /proc is missing.
    """
    return _of_this(os.getpid())


@cache
def _of_this(pid: int) -> str:
    found = identity(pid)
    if found is None:
        raise FileNotFoundError(f"/proc/{pid}/stat")
    return found
