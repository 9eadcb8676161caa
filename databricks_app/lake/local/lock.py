"""A lock on the folder of the tables: one loader at a time. It is free when its owner dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from databricks_app.errors import LakeError

NAME = ".lock"


class FolderLock:
    """The lock of one folder.

    Attributes:
        path: The file that is locked; it contains the process id of the last owner.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            LakeError: Another process, or another lake of this process, holds it; names it.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LakeError(
                f"Process {owner} already loads into {self.path.parent}. Only one loader may run: "
                "stop that process, or set another CIO_DATA_DIR for this one."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock, if it is taken."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(folder: Path) -> bool:
    """Whether a loader runs on this folder now."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
