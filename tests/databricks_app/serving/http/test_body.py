"""Bodies that wait: in memory, then in a file that has no name, within bounds."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from databricks_app.serving.http.body import MEMORY_BYTES, NoRoom, Room, Spool, is_in_memory

MANY = 1 << 30
PIECE = bytes(range(256)) * 512  # 128 KiB


def room(folder: Path, *, memory: int = MANY, files: int = MANY) -> Room:
    """Room for bodies in a folder."""
    return Room(memory, files, folder)


@pytest.mark.parametrize("length", [None, 3 * len(PIECE)])
@pytest.mark.parametrize("pieces", [1, 2, 3, 6])
def test_a_body_is_kept_as_it_came(tmp_path: Path, pieces: int, length: int | None) -> None:
    """In memory or in a file; nothing is cut, so that no digest is needed."""
    spool = Spool(room(tmp_path), length, MANY)
    for _ in range(pieces):
        spool.write(PIECE)

    assert spool.kept() == PIECE * pieces
    assert spool.stream().read(10) == PIECE[:10]
    assert (spool.size, spool.kept_bytes, spool.sha256()) == (len(PIECE) * pieces,) * 2 + (None,)
    spool.close()


def test_a_large_body_takes_room_on_disk_and_none_in_memory(tmp_path: Path) -> None:
    """And gives it back, once, at its end."""
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


def test_the_file_of_a_body_has_no_name_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Nothing unverified outlives its request, not even if the process is killed."""
    spool = Spool(room(tmp_path), None, MANY)
    spool.write(bytes(MEMORY_BYTES + 1))

    found = os.fstat(spool.stream().fileno())

    assert (found.st_nlink, found.st_mode & 0o777) == (0, 0o600)
    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_no_room_on_disk_is_said(tmp_path: Path) -> None:
    """And what the body held is given back."""
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
    """Otherwise bodies would fill the memory past its bound."""
    given = room(Path("/dev/shm"), memory=MEMORY_BYTES * 2)
    spool = Spool(given, None, MANY)
    spool.write(bytes(MEMORY_BYTES + 1))

    assert (given.memory_left, given.file_left) == (MEMORY_BYTES - 1, MANY)
    with pytest.raises(NoRoom):
        spool.write(bytes(MEMORY_BYTES))
    spool.close()


@pytest.mark.parametrize("length", [None, 4 * len(PIECE)])
@pytest.mark.parametrize("limit", [1000, 100_000, 3 * len(PIECE)])
def test_of_a_body_past_the_limit_the_beginning_and_the_digest_are_kept(
    tmp_path: Path, limit: int, length: int | None
) -> None:
    """No file is left of it."""
    given = room(tmp_path)
    spool = Spool(given, length, limit)
    for _ in range(4):
        spool.write(PIECE)

    kept = min(limit, 64 << 10)
    assert spool.kept() == PIECE[:kept]
    assert spool.sha256() == hashlib.sha256(PIECE * 4).hexdigest()
    assert (given.memory_left, given.file_left) == (MANY - kept, MANY)
    spool.close()


def test_a_folder_that_cannot_be_looked_at_counts_as_memory(tmp_path: Path) -> None:
    """The stricter bound holds where it is not known."""
    assert is_in_memory(tmp_path / "missing")
