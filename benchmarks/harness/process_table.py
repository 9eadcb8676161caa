"""The processes of this machine as /proc shows them, and waiting for a condition."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.02
_START_SECONDS = 30.0


def wait_until(
    is_so: Callable[[], bool],
    seconds: float = _START_SECONDS,
    poll_seconds: float = _POLL_SECONDS,
) -> None:
    """Poll until a condition is true.

    Raises:
        TimeoutError: It is not true in time.
    """
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(poll_seconds)


def processes() -> list[int]:
    """Return the ids of all processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def children(parent: int) -> list[int]:
    """Return the ids of a process's children, with zombies."""
    return sorted(pid for pid in processes() if _status(pid)[1] == str(parent))


def parents() -> dict[int, int]:
    """Return the parent of each process, by process id."""
    return {pid: int(_status(pid)[1]) for pid in processes()}


def session(pid: int) -> int:
    """Return the session of a process; 0 if it has ended."""
    fields = _status(pid)
    return 0 if fields[0] in "ZX" else int(fields[3])


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended."""
    return _status(pid)[0] in "ZX"


def command(pid: int) -> str:
    """Return a process's command line; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def environment(pid: int) -> dict[str, str]:
    """Return the environment with which a process was started; empty if it has ended."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _status(pid: int) -> list[str]:
    """Return state, parent, group and session of a process; state X if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return ["X", "0", "0", "0"]
