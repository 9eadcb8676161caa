"""Identities of processes: a process id alone is not unique, because the kernel reuses ids.

An identity is the process id and its start time (clock ticks since the machine's boot), joined by a
hyphen. Read from /proc. Imports only the standard library.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

# Positions in /proc/<pid>/stat, counted after the name; see proc_pid_stat(5).
_STATE, _START = 0, 19
# A zombie keeps its process id until its parent reaps it.
_ENDED = ("Z", "X")


def identity(pid: int) -> str | None:
    """Return the identity of a process; None if it does not exist or has ended.

    Raises:
        OSError: It is unknown, for example because this process has too many open files.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in brackets and may contain any character, brackets too.
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in _ENDED else f"{pid}-{fields[_START]}"


def is_running(known: str) -> bool:
    """Return whether the process with this identity still runs.

    Raises:
        OSError: It is unknown.
    """
    return identity(int(known.partition("-")[0])) == known


def own() -> str:
    """Return the identity of this process, also after a fork.

    Raises:
        OSError: /proc is missing.
    """
    return _own_identity(os.getpid())


@cache  # by process id, so that a forked child does not get its parent's identity
def _own_identity(pid: int) -> str:
    found = identity(pid)
    if found is None:
        raise FileNotFoundError(f"/proc/{pid}/stat")
    return found
