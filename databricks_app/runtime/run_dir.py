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

import structlog

from databricks_app.errors import SettingsError

_PREFIX = "ciolake-"
_LOCK = "lock"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of a random name is made in it
# Metrics take 256 KiB a process.
_ROOM_BYTES = 4 << 20
# `sun_path` of unix(7) without its last byte, what `mkdtemp` adds, and room for a socket's name.
_SOCKET_PATH_BYTES = 107
_RANDOM_BYTES = 8
_SOCKET_NAME_BYTES = 24

log = structlog.get_logger(__name__)


def make() -> Path:
    """Make the run folder, in memory where that is possible.

    Metrics are mapped files: on a full disk they would kill the processes that write them.

    Raises:
        SettingsError: There is no folder for it, or the path is too long for a socket.
    """
    parent = _parent()
    _remove_abandoned(parent)
    try:
        run_dir = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise _no_folder(parent, error) from error
    try:
        lock(run_dir)
    except OSError as error:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise _no_folder(parent, error) from error
    return run_dir


def lock(run_dir: Path) -> None:
    """Mark a run folder as ours for as long as this process runs: nothing closes the file."""
    made = run_dir / f".{_LOCK}"
    descriptor = os.open(made, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    made.rename(run_dir / _LOCK)


def _parent() -> Path:
    """Return shared memory if it can be used, else the temporary folder."""
    reason = _fault_of_shared_memory()
    if reason is None:
        return _SHARED_MEMORY
    try:
        parent = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no folder for what the processes share: {_SHARED_MEMORY} {reason}, and no "
            f"temporary folder can be written; mount {_SHARED_MEMORY} with at least "
            f"{_ROOM_BYTES >> 20} MiB, or set TMPDIR to a folder that can be written"
        ) from error
    name_bytes = len(_PREFIX) + _RANDOM_BYTES + _SOCKET_NAME_BYTES + 2
    most = _SOCKET_PATH_BYTES - name_bytes
    if len(os.fsencode(parent)) > most:
        raise SettingsError(
            f"the path of the temporary folder is too long for a socket in it ({parent}); set "
            f"TMPDIR to one of at most {most} bytes, or mount {_SHARED_MEMORY}, which {reason}"
        )
    log.warning("run_folder_on_disk", folder=str(parent), reason=f"{_SHARED_MEMORY} {reason}")
    return parent


def _fault_of_shared_memory() -> str | None:
    """Return why it cannot be used; None if it can."""
    if not _SHARED_MEMORY.is_dir():
        return "is missing"
    if not os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return "cannot be written"
    found = os.statvfs(_SHARED_MEMORY)
    if found.f_bavail * found.f_frsize < _ROOM_BYTES:
        return f"has less than {_ROOM_BYTES >> 20} MiB free"
    return None


def _no_folder(parent: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"the run folder cannot be made in {parent} ({error.strerror}); make room there, or set "
        "TMPDIR to a folder that can be written"
    )


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
