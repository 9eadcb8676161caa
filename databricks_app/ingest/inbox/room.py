"""The two limits of the local inbox: its own size, and the free space on its disk.

The tables are on the same disk. If the inbox filled the disk, the loader could not write tables, so
it could not delete segments, and the disk would stay full.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

LEAST_FLOOR_BYTES = 1 << 30
_FLOOR_SHARE = 0.1
_LIMIT_SHARE = 0.8
_CHECK_SECONDS = 1.0
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("kB", 1000))


class InboxRoom:
    """Checks the limits of the inbox; reads the disk at most once a second."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int | None,
        floor_bytes: int | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the disk for the first time.

        Args:
            folder: The folder of the inbox.
            max_bytes: Most bytes of segments; None: 80 % of the space that is free now.
            floor_bytes: Bytes of the disk to keep free; None: a tenth of the disk, at least 1 GiB.
            monotonic: Clock, seconds.
        """
        self._folder = folder
        self._floor_bytes = floor_bytes
        self._monotonic = monotonic
        self._read_disk()
        # Segments that exist already count as free space, so that a restart keeps the limit.
        self._max_bytes = max_bytes or int((self._free + self._used) * _LIMIT_SHARE)

    def problem(self, *, is_fresh: bool = False) -> str | None:
        """Return why no more may be written; None if there is room.

        Args:
            is_fresh: Read the disk now, even if it was read less than a second ago.

        Raises:
            OSError: The folder cannot be read.
        """
        if is_fresh or self._monotonic() - self._read_at >= _CHECK_SECONDS:
            self._read_disk()
        if self._used >= self._max_bytes:
            return (
                f"the inbox has reached its limit of {self._max_bytes} bytes of unloaded events: "
                "check why the loader does not load them, or raise CIO_INBOX_MAX_BYTES"
            )
        floor = floor_bytes(self._total, self._floor_bytes)
        return None if self._free >= floor else floor_words(self._free, self._total, floor)

    def take(self, size: int) -> None:
        """Count bytes that were written since the disk was read."""
        self._used += size
        self._free -= size

    def _read_disk(self) -> None:
        self._used = folder_bytes(self._folder)
        self._total, _, self._free = shutil.disk_usage(self._folder)
        self._read_at = self._monotonic()


def floor_bytes(total: int, chosen: int | None) -> int:
    """Return how many bytes of the disk the inbox leaves free.

    Args:
        total: Size of the disk in bytes.
        chosen: CIO_INBOX_FLOOR_BYTES; None if it is not set.
    """
    return max(int(total * _FLOOR_SHARE), LEAST_FLOOR_BYTES) if chosen is None else chosen


def floor_words(free: int, total: int, floor: int) -> str:
    """Return the problem of a disk with less free space than the tables need."""
    return (
        f"the disk of CIO_DATA_DIR has {shown_bytes(free)} of {shown_bytes(total)} free, and the "
        f"inbox leaves {shown_bytes(floor)} to the tables (CIO_INBOX_FLOOR_BYTES): free space on "
        "that disk, move CIO_DATA_DIR to a larger disk, or lower CIO_INBOX_FLOOR_BYTES"
    )


def shown_bytes(number: int) -> str:
    """Return a number of bytes as text for people, e.g. `1.5 GiB`."""
    for unit, size in _UNITS:
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files of the inbox, without the quarantine."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # loaded or renamed meanwhile
                if entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    return total
