"""Buffers of bodies: in memory, then in a file without a name, within limits."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

import pytest

from databricks_app.serving.http.body import MEMORY_BYTES, NoRoom, Room, Spool, is_in_memory

MANY = 1 << 30
PIECE = bytes(range(256)) * 512  # 128 KiB


def room(folder: Path, *, memory: int = MANY, files: int = MANY) -> Room:
    """Room for bodies in a folder."""
    return Room(memory, files, folder)


def test_a_body_is_kept_unchanged(tmp_path: Path) -> None:
    """In memory or in a file. It is not cut, so it has no digest."""
    wrong = []
    for pieces, length in itertools.product((1, 2, 3, 6), (None, 3 * len(PIECE))):
        spool = Spool(room(tmp_path), length, MANY)
        for _ in range(pieces):
            spool.write(PIECE)
        size = len(PIECE) * pieces
        is_kept = spool.kept() == PIECE * pieces and spool.stream().read(10) == PIECE[:10]
        if not is_kept or (spool.size, spool.kept_bytes, spool.sha256()) != (size, size, None):
            wrong.append((pieces, length))
        spool.close()

    assert wrong == []


def test_a_large_body_uses_disk_and_no_memory(tmp_path: Path) -> None:
    """It releases its room once, at its end."""
    given = room(tmp_path)
    spool = Spool(given, None, MANY)
    spool.write(PIECE)
    first = given.memory_left, given.file_left
    spool.write(PIECE * 2)
    second = given.memory_left, given.file_left
    spool.close()
    spool.close()

    assert first == (MANY - len(PIECE), MANY)
    assert second == (MANY, MANY - 3 * len(PIECE)) or is_in_memory(tmp_path)
    assert (given.memory_left, given.file_left) == (MANY, MANY)


def test_the_file_of_a_body_has_no_name_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """No unverified body stays on disk, even if the process is killed."""
    spool = Spool(room(tmp_path), None, MANY)
    spool.write(bytes(MEMORY_BYTES + 1))

    found = os.fstat(spool.stream().fileno())

    assert (found.st_nlink, found.st_mode & 0o777) == (0, 0o600)
    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_no_room_on_disk_is_an_error(tmp_path: Path) -> None:
    """The room of the body is released."""
    given = room(tmp_path, files=MEMORY_BYTES + 10, memory=MEMORY_BYTES + 10)
    spool = Spool(given, None, MANY)
    spool.write(bytes(MEMORY_BYTES))
    spool.write(bytes(1))

    with pytest.raises(NoRoom):
        spool.write(bytes(100))
    spool.close()
    assert given.file_left == given.memory_left == MEMORY_BYTES + 10


@pytest.mark.skipif(not is_in_memory(Path("/dev/shm")), reason="no memory file system there")
def test_a_file_system_in_memory_counts_as_memory() -> None:
    """Otherwise bodies would exceed the limit of memory."""
    given = room(Path("/dev/shm"), memory=MEMORY_BYTES * 2)
    spool = Spool(given, None, MANY)
    spool.write(bytes(MEMORY_BYTES + 1))

    assert (given.memory_left, given.file_left) == (MEMORY_BYTES - 1, MANY)
    with pytest.raises(NoRoom):
        spool.write(bytes(MEMORY_BYTES))
    spool.close()


def test_a_body_over_the_limit_is_cut_and_has_a_digest(tmp_path: Path) -> None:
    """No file is left."""
    wrong = []
    digest = hashlib.sha256(PIECE * 4).hexdigest()
    limits = (1000, 100_000, 3 * len(PIECE))
    for limit, length in itertools.product(limits, (None, 4 * len(PIECE))):
        given = room(tmp_path)
        spool = Spool(given, length, limit)
        for _ in range(4):
            spool.write(PIECE)
        kept = min(limit, 64 << 10)
        used = (given.memory_left, given.file_left)
        expected = (PIECE[:kept], digest, (MANY - kept, MANY))
        if (spool.kept(), spool.sha256(), used) != expected:
            wrong.append((limit, length))
        spool.close()

    assert wrong == []


def test_an_unknown_folder_counts_as_memory(tmp_path: Path) -> None:
    """The stricter limit applies."""
    assert is_in_memory(tmp_path / "missing")
