"""The run folder: what the processes of one `ciolake serve` share while it runs.

It lies in memory where that is possible, is removed at the end, and the one of a supervisor that
was killed is removed by the next that starts.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "ciolake-"
_LOCK = "lock"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of a random name is made in it


def make() -> Path:
    """Make the run folder, in memory where that is possible.

    Metrics are mapped files: on a full disk they would kill the processes that write them.
    """
    shared = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    parent = Path(shared or tempfile.gettempdir())
    _remove_abandoned(parent)
    run_dir = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    lock(run_dir)
    return run_dir


def lock(run_dir: Path) -> None:
    """Mark a run folder as ours for as long as this process runs: nothing closes the file."""
    made = run_dir / f".{_LOCK}"
    descriptor = os.open(made, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    made.rename(run_dir / _LOCK)


def _remove_abandoned(parent: Path) -> None:
    """Remove the run folders of supervisors that were killed, as their locks show."""
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another user's, or gone
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
