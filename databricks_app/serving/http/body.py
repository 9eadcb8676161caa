"""Buffers for request bodies that are still arriving: in memory, then in an unlinked file.

`Room` limits memory and disk for the whole process. A file on a file system in memory counts as
memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import IO

from databricks_app.ingest.body import CUT_BYTES

# A longer body goes to a file.
MEMORY_BYTES = 256 << 10
_IN_MEMORY = frozenset(("tmpfs", "ramfs", "hugetlbfs", "rootfs"))
_MOUNTS = Path("/proc/self/mountinfo")


class NoRoom(Exception):  # noqa: N818  # leads to an answer, is not a fault
    """There is no room for more bytes now."""


class Room:
    """Counts the bytes of unfinished requests, in memory and on disk.

    Attributes:
        memory_left: Free bytes of the limit in memory; negative if the limit is exceeded.
        file_left: Free bytes of the limit on disk.
        folder: Folder of the files.
    """

    __slots__ = ("_is_folder_in_memory", "file_left", "folder", "memory_left")

    def __init__(self, memory_bytes: int, file_bytes: int, folder: Path) -> None:
        """Start with nothing used.

        Args:
            memory_bytes: Most bytes in memory.
            file_bytes: Most bytes in files.
            folder: Folder of the files.
        """
        self.memory_left = memory_bytes
        self.file_left = file_bytes
        self.folder = folder
        self._is_folder_in_memory = is_in_memory(folder)

    def take_memory(self, size: int) -> None:
        """Reserve memory; a negative size releases it. May exceed the limit."""
        # Not refused here: the pool gives up its oldest unfinished requests instead (`shed`).
        self.memory_left -= size

    def take_file(self, size: int) -> None:
        """Reserve room in a file; a negative size releases it.

        Raises:
            NoRoom: The limit is reached.
        """
        if self._is_folder_in_memory:
            if size > self.memory_left and size > 0:
                raise NoRoom
            self.memory_left -= size
            return
        if size > self.file_left:
            raise NoRoom
        self.file_left -= size


class Spool:
    """Keeps one body. Use it in one thread at a time.

    Attributes:
        size: Bytes that have arrived so far.
    """

    __slots__ = ("_digest", "_file", "_file_size", "_limit", "_memory", "_pieces", "_room", "size")

    def __init__(self, room: Room, length: int | None, limit: int) -> None:
        """Start empty.

        Args:
            room: Counts the bytes.
            length: Length of the body in bytes; None if unknown.
            limit: Bytes. Only the first 64 KiB and the digest of a longer body are kept.
        """
        self._room = room
        self._limit = limit
        self._pieces: list[bytes] = []
        self._memory = self._file_size = self.size = 0
        self._file: IO[bytes] | None = None
        # Only a body that will be cut needs a digest. Without a length that is not known yet.
        self._digest: hashlib._Hash | None = None
        if length is None or length > limit:
            self._digest = hashlib.sha256()

    @property
    def is_cut(self) -> bool:
        """Whether the body is longer than the limit."""
        return self.size > self._limit

    @property
    def is_in_file(self) -> bool:
        """Whether `kept` reads from disk."""
        return self._file is not None

    @property
    def kept_bytes(self) -> int:
        """Length of what `kept` returns."""
        return self._file_size if self._file is not None else self._memory

    def write(self, piece: bytes) -> None:
        """Keep a piece.

        Raises:
            NoRoom: There is no room for the piece.
            OSError: The disk refused the write.
        """
        self.size += len(piece)
        if self._digest is not None:
            self._digest.update(piece)
        if self.size > self._limit:
            self._cut(piece)
        elif self._file is not None:
            self._write_file(piece)
        else:
            self._pieces.append(piece)
            self._memory += len(piece)
            self._room.take_memory(len(piece))
            if self._memory > MEMORY_BYTES:
                self._spill()

    def kept(self) -> bytes:
        """Return the body, or its first 64 KiB if it is cut.

        Raises:
            OSError: The disk refused the read.
        """
        if self._file is not None:
            self._file.seek(0)
            return _read_all(self._file, self._file_size)
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def sha256(self) -> str | None:
        """Return the hex digest of the whole body if it is cut, else None."""
        if not self.is_cut or self._digest is None:
            return None
        return self._digest.hexdigest()

    def stream(self) -> IO[bytes]:
        """Return the body as a file, at its beginning. `close` closes it."""
        if self._file is None:
            return io.BytesIO(self.kept())
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Drop the body and release its room."""
        self._pieces = []
        self._room.take_memory(-self._memory)
        self._memory = 0
        self._drop_file()

    def _spill(self) -> None:
        """Move the body from memory to a file."""
        # The file never has a name, so that no body stays on disk after the process.
        self._file = tempfile.TemporaryFile(buffering=0, dir=self._room.folder)  # noqa: SIM115
        pieces, self._pieces = self._pieces, []
        self._room.take_memory(-self._memory)
        self._memory = 0
        for piece in pieces:
            self._write_file(piece)

    def _write_file(self, piece: bytes) -> None:
        assert self._file is not None  # noqa: S101  # the callers have checked
        self._room.take_file(len(piece))
        self._file_size += len(piece)
        view = memoryview(piece)
        while view:  # an unbuffered file may write less than it was given
            view = view[self._file.write(view) :]

    def _cut(self, piece: bytes) -> None:
        """Keep only the first bytes, in memory."""
        most = min(CUT_BYTES, self._limit)
        # The first piece over the limit: drop what was kept beyond the beginning.
        if self._file is not None or self._memory > most:
            if self._file is not None:
                self._file.seek(0)
                start = _read_all(self._file, most)
            else:
                start = b"".join(self._pieces)[:most]
            self._drop_file()
            self._room.take_memory(len(start) - self._memory)
            self._pieces, self._memory = [start], len(start)
        rest = piece[: most - self._memory]
        if rest:
            self._pieces.append(rest)
            self._memory += len(rest)
            self._room.take_memory(len(rest))

    def _drop_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._room.take_file(-self._file_size)
            self._file_size = 0


def _read_all(file: IO[bytes], size: int) -> bytes:
    """Read exactly `size` bytes of an unbuffered file."""
    pieces = []
    while size > 0:  # one call may return fewer bytes
        piece = file.read(size)
        if not piece:
            raise OSError("the file of a body has become shorter")
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def is_in_memory(folder: Path) -> bool:
    """Return whether the files of a folder are in memory; True if that is unknown."""
    try:
        device = folder.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split(" ")[2] == wanted:
            return kind.split(" ")[0] in _IN_MEMORY
    return False  # for example btrfs: its device numbers are not in the list of mounts
