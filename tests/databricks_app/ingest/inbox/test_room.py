"""The inbox leaves space on its disk for the tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from databricks_app.errors import InboxFull
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.room import InboxRoom, floor_bytes, shown_bytes
from tests.support.disks import small_disk

MIB = 1 << 20


def record(length: int = 2) -> Record:
    """A record with a body of so many bytes."""
    return Record(bytes(length), datetime(2026, 1, 1, tzinfo=UTC), "1", "651bf3b7", length)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    with small_disk(tmp_path / "disk", "8m"):
        yield tmp_path / "disk"


@pytest.mark.parametrize(
    ("total", "chosen", "expected"),
    [
        (100 << 30, None, 10 << 30),
        (5 << 30, None, 1 << 30),
        (512 << 20, None, 1 << 30),
        (100 << 30, 0, 0),
        (512 << 20, 64 << 20, 64 << 20),
    ],
)
def test_the_floor_is_a_tenth_of_the_disk_and_a_gibibyte_at_least(
    total: int, chosen: int | None, expected: int
) -> None:
    """Unless the setting has another value."""
    assert floor_bytes(total, chosen) == expected


def test_the_inbox_refuses_below_the_floor_and_accepts_when_there_is_space(disk: Path) -> None:
    """Another program fills the disk while the inbox is open, and frees it again."""
    at = [0.0]
    inbox = LocalInbox(
        disk / "inbox", max_bytes=1 << 30, floor_bytes=4 * MIB, monotonic=lambda: at[0]
    )
    inbox.append(record(), 10)
    assert inbox.trouble() is None

    (disk / "others").write_bytes(bytes(5 * MIB))
    at[0] += 1
    with pytest.raises(InboxFull, match=r"3\.0 MiB of 8\.0 MiB free.*leaves 4\.0 MiB") as refused:
        inbox.append(record(), 10)
    assert "CIO_INBOX_FLOOR_BYTES" in str(refused.value)
    assert inbox.trouble() == str(refused.value)
    (disk / "others").unlink()
    at[0] += 1

    assert inbox.trouble() is None
    inbox.append(record(), 10)
    inbox.close()


def test_written_bytes_count_before_the_disk_is_read_again(disk: Path) -> None:
    """Otherwise a fast sender could use up the floor within a second."""
    inbox = LocalInbox(disk / "inbox", max_bytes=1 << 30, floor_bytes=4 * MIB, monotonic=float)

    for _ in range(4):
        inbox.append(record(MIB), 10)
    with pytest.raises(InboxFull):
        inbox.append(record(MIB), 10)
    inbox.close()

    assert 3 * MIB < shutil.disk_usage(disk).free < 4 * MIB


def test_a_limit_of_the_inbox_does_not_lower_the_floor(disk: Path) -> None:
    """The two settings are independent."""
    room = InboxRoom(disk, max_bytes=1 << 30, floor_bytes=None)

    assert "leaves 1.0 GiB" in (room.problem() or "")


def test_bytes_are_shown_in_the_unit_that_fits() -> None:
    """So that people can read large numbers."""
    shown = [shown_bytes(number) for number in (3 << 29, MIB, 5000, 7)]

    assert shown == ["1.5 GiB", "1.0 MiB", "5.0 kB", "7 bytes"]
