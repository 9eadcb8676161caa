"""Where a request's body waits until all of it has come: in memory, then in an unlinked file.

Both are bounded for the whole process. A file on a file system that lives in memory counts as
memory. Nothing of a body outlives the process: its file never has a name.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import IO

from databricks_app.ingest.body import CUT_BYTES

MEMORY_BYTES = 256 << 10
_IN_MEMORY = frozenset(("tmpfs", "ramfs", "hugetlbfs", "rootfs"))
_MOUNTS = Path("/proc/self/mountinfo")


class NoRoom(Exception):  # noqa: N818  # an answer, not a fault
    """No more can be kept now."""


class Room:
    """How many bytes of unfinished requests may be kept in memory, and how many on disk.

    Attributes:
        memory_left: Bytes.
        file_left: Bytes.
        folder: Where files are made.
    """

    __slots__ = ("_is_folder_in_memory", "file_left", "folder", "memory_left")

    def __init__(self, memory_bytes: int, file_bytes: int, folder: Path) -> None:
        """Begin with all of it.

        Args:
            memory_bytes: Most bytes in memory.
            file_bytes: Most bytes in files.
            folder: On the disk whose room is meant.
        """
        self.memory_left = memory_bytes
        self.file_left = file_bytes
        self.folder = folder
        self._is_folder_in_memory = is_in_memory(folder)

    def take_memory(self, size: int) -> None:
        """Take room in memory; give it back with a negative size.

        It may be overdrawn: then the oldest unfinished requests have to go.
        """
        self.memory_left -= size

    def take_file(self, size: int) -> None:
        """Take room in a file; give it back with a negative size.

        Raises:
            NoRoom: There is none.
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
    """One body. Use it in one thread at a time.

    Attributes:
        size: Bytes so far.
    """

    __slots__ = ("_digest", "_file", "_file_size", "_limit", "_memory", "_pieces", "_room", "size")

    def __init__(self, room: Room, length: int | None, limit: int) -> None:
        """Begin an empty one.

        Args:
            room: What it takes its room from.
            length: Bytes that will come, if they are known.
            limit: Of a body longer than this only the first 64 KiB and the digest are kept.
        """
        self._room = room
        self._limit = limit
        self._pieces: list[bytes] = []
        self._memory = self._file_size = self.size = 0
        self._file: IO[bytes] | None = None
        # Where the length is known the digest is made of what will be cut alone.
        self._digest: hashlib._Hash | None = None
        if length is None or length > limit:
            self._digest = hashlib.sha256()

    @property
    def is_cut(self) -> bool:
        """Whether the body is longer than the limit."""
        return self.size > self._limit

    @property
    def is_in_file(self) -> bool:
        """Whether `kept` reads from the disk."""
        return self._file is not None

    @property
    def kept_bytes(self) -> int:
        """Length of what `kept` returns."""
        return self._file_size if self._file is not None else self._memory

    def write(self, piece: bytes) -> None:
        """Keep a piece.

        Raises:
            NoRoom: There is no room for it.
            OSError: The disk refused.
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
            OSError: The disk refused.
        """
        if self._file is not None:
            self._file.seek(0)
            return _read_all(self._file, self._file_size)
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def sha256(self) -> str | None:
        """Return the hex digest of all of it if it is cut, else None."""
        if not self.is_cut or self._digest is None:
            return None
        return self._digest.hexdigest()

    def stream(self) -> IO[bytes]:
        """Return the body as a file at its beginning; it ends with `close`."""
        if self._file is None:
            return io.BytesIO(self.kept())
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Forget the body and give back its room."""
        self._pieces = []
        self._room.take_memory(-self._memory)
        self._memory = 0
        self._drop_file()

    def _spill(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0, dir=self._room.folder)  # noqa: SIM115
        pieces, self._pieces = self._pieces, []
        self._room.take_memory(-self._memory)
        self._memory = 0
        for piece in pieces:
            self._write_file(piece)

    def _write_file(self, piece: bytes) -> None:
        assert self._file is not None  # noqa: S101  # the callers have looked
        self._room.take_file(len(piece))
        self._file_size += len(piece)
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]

    def _cut(self, piece: bytes) -> None:
        """Keep the beginning alone, and no file."""
        most = min(CUT_BYTES, self._limit)
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
    """Read so many bytes of an unbuffered file: one call may return fewer."""
    pieces = []
    while size > 0:
        piece = file.read(size)
        if not piece:
            raise OSError("the file of a body is shorter than it was")
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def is_in_memory(folder: Path) -> bool:
    """Whether a folder's files live in memory; also if that cannot be found out."""
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
    return False  # as on btrfs, whose devices have numbers of their own
