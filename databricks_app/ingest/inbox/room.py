"""How much the local inbox may hold: a limit of its own, and what its disk keeps free.

The tables lie on the same disk. If the inbox filled it, the loader could load nothing, delete
nothing, and so never make room again.
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
_LOOK_SECONDS = 1.0
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("kB", 1000))


class InboxRoom:
    """What the inbox may still take. It looks at the disk once a second at most."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int | None,
        floor_bytes: int | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look for the first time.

        Args:
            folder: Of the inbox.
            max_bytes: Most bytes of segments; None: 80 % of what is free now.
            floor_bytes: What the disk keeps free; None: a tenth of it, 1 GiB at least.
            monotonic: Clock of the looks.
        """
        self._folder = folder
        self._floor_bytes = floor_bytes
        self._monotonic = monotonic
        self._look()
        self._max_bytes = max_bytes or int((self._free + self._used) * _LIMIT_SHARE)

    def problem(self, *, is_fresh: bool = False) -> str | None:
        """Say why nothing more may be written; None if something may.

        Args:
            is_fresh: Look at the disk now, whenever that was done last.

        Raises:
            OSError: The folder cannot be read.
        """
        if is_fresh or self._monotonic() - self._looked_at >= _LOOK_SECONDS:
            self._look()
        if self._used >= self._max_bytes:
            return (
                f"the inbox holds its {self._max_bytes} bytes of unloaded events; see why the "
                "loader does not load them, or raise CIO_INBOX_MAX_BYTES"
            )
        floor = floor_bytes(self._total, self._floor_bytes)
        return None if self._free >= floor else floor_words(self._free, self._total, floor)

    def take(self, size: int) -> None:
        """Count what was written since the last look."""
        self._used += size
        self._free -= size

    def _look(self) -> None:
        self._used = folder_bytes(self._folder)
        self._total, _, self._free = shutil.disk_usage(self._folder)
        self._looked_at = self._monotonic()


def floor_bytes(total: int, chosen: int | None) -> int:
    """Return what a disk of this size keeps free.

    Args:
        total: Bytes of the disk.
        chosen: CIO_INBOX_FLOOR_BYTES; None if it is not set.
    """
    return max(int(total * _FLOOR_SHARE), LEAST_FLOOR_BYTES) if chosen is None else chosen


def floor_words(free: int, total: int, floor: int) -> str:
    """Say that a disk has less free than the inbox leaves to the tables, and what to do."""
    return (
        f"the disk of CIO_DATA_DIR has {shown_bytes(free)} of {shown_bytes(total)} free, and the "
        f"inbox leaves {shown_bytes(floor)} to the tables (CIO_INBOX_FLOOR_BYTES): make room on "
        "that disk, move CIO_DATA_DIR to a larger one, or set CIO_INBOX_FLOOR_BYTES lower"
    )


def shown_bytes(number: int) -> str:
    """Return a number of bytes for people, e.g. `1.5 GiB`."""
    for unit, size in _UNITS:
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files of the inbox, quarantine left out."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    return total
