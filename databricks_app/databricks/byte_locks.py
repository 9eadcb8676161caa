"""Locks that the processes of one machine share: one for each byte of a file.

The kernel releases the locks of a process when it ends, however it ends. They are locks of open
file descriptions (`F_OFD_SETLK` in fcntl(2)), so two `ByteLocks` of one process exclude each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
from pathlib import Path

import structlog

# `struct flock` on 64-bit Linux: type, whence, start, length, process id.
_FLOCK = struct.Struct("@hhqqi4x")

log = structlog.get_logger(__name__)


class ByteLocks:
    """The locks of one file. Threads may share it; make it after the process has forked.

    Attributes:
        descriptor: The open file. Its content is free for use.
    """

    def __init__(self, file: Path | None) -> None:
        """Open the file; make it if it is missing.

        Args:
            file: In a folder that the processes share. None: the locks belong to this object alone.
        """
        self.descriptor = _opened(file)
        self._held: set[int] = set()
        self._guard = threading.Lock()

    def try_lock(self, byte: int, *, is_shared: bool = False) -> bool:
        """Take a lock if it is free; return whether it was.

        Args:
            byte: Number of the lock.
            is_shared: Whether others may hold a shared lock of this byte at the same time.
        """
        with self._guard:
            if byte in self._held:
                return False
            try:
                self._set(fcntl.F_RDLCK if is_shared else fcntl.F_WRLCK, byte)
            except (BlockingIOError, PermissionError):
                return False
            self._held.add(byte)
        return True

    def unlock(self, byte: int) -> None:
        """Release a lock of this object."""
        with self._guard:
            self._set(fcntl.F_UNLCK, byte)
            self._held.discard(byte)

    def is_locked_elsewhere(self, byte: int) -> bool:
        """Return whether another object, of any process, holds a lock of this byte."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        found = fcntl.fcntl(self.descriptor, fcntl.F_OFD_GETLK, asked)
        return bool(_FLOCK.unpack(found)[0] != fcntl.F_UNLCK)

    def __del__(self) -> None:
        """Close the file, which releases the locks.

        There is no `close`: a thread of an abandoned call may still use the object.
        """
        with contextlib.suppress(AttributeError):  # it could not be opened
            os.close(self.descriptor)

    def _set(self, kind: int, byte: int) -> None:
        request = _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)
        fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, request)


def _opened(file: Path | None) -> int:
    if file is not None:
        try:
            return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.error("locks_not_shared", file=file.name, error=type(error).__name__)
    return os.memfd_create("ciolake-locks", os.MFD_CLOEXEC)
