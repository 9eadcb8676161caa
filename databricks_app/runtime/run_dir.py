"""The run folder: what the processes of one `ciolake serve` share while it runs.

It is in memory if possible. The supervisor removes it at its end. If a supervisor was killed, the
next one that starts removes its folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path

import structlog

from databricks_app.errors import SettingsError
from databricks_app.runtime import process_identity

_PREFIX = "ciolake-"
_LOCK = "lock"
_OWNER = "owner.json"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of a random name is made in it
# The metric files of a process take 256 KiB.
_ROOM_BYTES = 4 << 20
# Size of `sun_path` in unix(7) without its last byte.
_SOCKET_PATH_BYTES = 107
# What `mkdtemp` appends, and the longest name of a socket.
_RANDOM_BYTES = 8
_SOCKET_NAME_BYTES = 24

log = structlog.get_logger(__name__)


def make() -> Path:
    """Make the run folder, in memory if possible.

    Raises:
        SettingsError: It cannot be made, or its path is too long for a socket.
    """
    # Metrics are mapped files: on a full disk a write to them kills the process (SIGBUS).
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
    """Lock a run folder until this process ends."""
    made = run_dir / f".{_LOCK}"
    # Never closed: the kernel releases the lock when the process ends, however it ends.
    descriptor = os.open(made, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Renamed after locking: another supervisor removes folders whose `lock` is not locked.
    made.rename(run_dir / _LOCK)


def note_owner(run_dir: Path, data_dir: Path) -> None:
    """Write which supervisor owns a run folder, and for which data folder; `owners` reads it."""
    own = {"supervisor": process_identity.own(), "data_dir": str(data_dir.resolve())}
    (run_dir / _OWNER).write_text(json.dumps(own), "utf-8")


def owners(data_dir: Path) -> dict[int, Path]:
    """Return the running supervisors of a data folder: run folder by process id.

    Those of other users, whose run folders cannot be read, are left out.
    """
    found: dict[int, Path] = {}
    for parent in {_SHARED_MEMORY, Path(tempfile.gettempdir())}:
        for file in parent.glob(f"{_PREFIX}*/{_OWNER}"):
            try:
                own = json.loads(file.read_text("utf-8"))
            except (OSError, ValueError):
                continue
            is_same = own["data_dir"] == str(data_dir.resolve())
            if is_same and process_identity.is_running(own["supervisor"]):
                found[int(own["supervisor"].partition("-")[0])] = file.parent
    return found


def _parent() -> Path:
    """Return the folder of shared memory if it is usable, else the temporary folder."""
    reason = _fault_of_shared_memory()
    if reason is None:
        return _SHARED_MEMORY
    try:
        parent = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no place for the run folder: {_SHARED_MEMORY} {reason}, and no temporary "
            f"folder can be written; mount {_SHARED_MEMORY} with at least {_ROOM_BYTES >> 20} MiB, "
            "or set TMPDIR to a folder that can be written"
        ) from error
    name_bytes = len(_PREFIX) + _RANDOM_BYTES + _SOCKET_NAME_BYTES + 2
    most = _SOCKET_PATH_BYTES - name_bytes
    if len(os.fsencode(parent)) > most:
        raise SettingsError(
            f"the path of the temporary folder is too long for a socket in it ({parent}); set "
            f"TMPDIR to a path of at most {most} bytes, or mount {_SHARED_MEMORY}, which {reason}"
        )
    log.warning("run_folder_on_disk", folder=str(parent), reason=f"{_SHARED_MEMORY} {reason}")
    return parent


def _fault_of_shared_memory() -> str | None:
    """Return why shared memory is not usable; None if it is."""
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
    """Remove the run folders of killed supervisors: nobody holds their locks."""
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # the folder belongs to another user, or was removed meanwhile
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
        except BlockingIOError:
            continue  # its supervisor runs
        finally:
            os.close(descriptor)
