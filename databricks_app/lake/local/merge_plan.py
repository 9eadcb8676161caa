"""Which data files of one day are worth merging. Pure: knows sizes and names, touches no file.

A day in which files still come is merged by size, so that how often a row is rewritten grows with
the logarithm of what its day holds. A closed day becomes one file, or several full ones. What comes
late is merged with that file only if it is a good part of it: a late row costs no rewritten day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

# What the name of a file begins with that was made when its day had closed. The name is the only
# note of it, so that nothing else has to be kept in step with the log.
CLOSED = "closed-"
# A file is merged only with smaller ones that have at least this share of its size together.
_SHARE = 0.5
# The same for the file of a closed day: a byte that comes late rewrites at most four.
_LATE_SHARE = 0.25
# A closed day up to this size is rewritten for whatever comes late: it takes milliseconds.
_CHEAP_BYTES = 1 << 20
# A file with this share of the largest size is full: merging it once more gains nothing.
_FULL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A data file of the newest version.

    Attributes:
        path: Relative to the table's folder.
        size: Bytes.
        added_at: When it was made, in milliseconds since 1970.
    """

    path: str
    size: int
    added_at: int

    @property
    def is_closed(self) -> bool:
        """Whether it was made when its day had closed."""
        return self.path.rpartition("/")[2].startswith(CLOSED)


@dataclass(frozen=True, slots=True)
class MergeLimits:
    """When a merge is worth while.

    Attributes:
        compact_files: Small files of one open day that are merged.
        compact_bytes: The same in bytes of two small files or more.
        small_bytes: Files below this size are small; an open day's others are never rewritten.
        late_files: Files that came late to a closed day and are merged with each other.
        day_bytes: Largest file that is made of a closed day.
        days_at_once: Closed days that are found at once, the newest first: the files of the open
            days are then looked at again.
    """

    compact_files: int = 100
    compact_bytes: int = 32 << 20
    small_bytes: int = 4 << 20
    late_files: int = 8
    day_bytes: int = 128 << 20
    days_at_once: int = 8


@dataclass(frozen=True, slots=True)
class PlannedMerge:
    """Files of one day that become one.

    Attributes:
        day: Their date.
        files: At least two, in the order in which they were made.
        closes_day: Whether the new file is that of a closed day.
    """

    day: date
    files: tuple[StoredFile, ...]
    closes_day: bool


def planned(
    files: Mapping[date, Sequence[StoredFile]], limits: MergeLimits, today: date
) -> list[PlannedMerge]:
    """The merges that are worth it now: those of open days first, then the newest closed ones.

    Args:
        files: All files of each date.
        limits: When one is worth while.
        today: UTC. A date that is still to come closes no day: senders' clocks may be wrong.
    """
    # Where all are still to come it is our clock that is wrong.
    past = [day for day in files if day <= today + timedelta(days=1)] or files
    first = min(sorted(past)[-2:], default=today)
    found, closed = list[PlannedMerge](), list[PlannedMerge]()
    for day in sorted(files, reverse=True):
        if day >= first:
            if merged := _of_open_day(files[day], limits):
                found.append(PlannedMerge(day, _ordered(merged), closes_day=False))
        elif len(closed) < limits.days_at_once and (one := _of_closed_day(day, files[day], limits)):
            closed.append(one)
    return found + closed


def in_commits(plans: Sequence[PlannedMerge], limits: MergeLimits) -> list[list[PlannedMerge]]:
    """The merges by commit, in their order.

    A commit costs the same however many files it replaces: 0.2 s where a table has 11,000 files.
    So small merges share one, up to the bytes of the largest file.
    """
    commits: list[list[PlannedMerge]] = []
    total = 0
    for plan in plans:
        size = sum(file.size for file in plan.files)
        if not commits or total + size > limits.day_bytes:
            commits.append([])
            total = 0
        commits[-1].append(plan)
        total += size
    return commits


def _of_open_day(files: Sequence[StoredFile], limits: MergeLimits) -> Sequence[StoredFile]:
    small = [file for file in files if file.size < limits.small_bytes]
    is_heavy = sum(file.size for file in small) >= limits.compact_bytes
    return smallest_worth(small) if is_heavy or len(small) >= limits.compact_files else ()


def _of_closed_day(
    day: date, files: Sequence[StoredFile], limits: MergeLimits
) -> PlannedMerge | None:
    rest = [file for file in files if file.size < limits.day_bytes * _FULL_SHARE]
    late = [file for file in rest if not file.is_closed]
    largest = max((file.size for file in rest if file.is_closed), default=0)
    if len(rest) < 2 or not late:
        return None
    late_bytes = sum(file.size for file in late)
    if late_bytes >= largest * _LATE_SHARE or late_bytes + largest <= _CHEAP_BYTES:
        fitting = _fitting(_ordered(rest), limits.day_bytes)
        return PlannedMerge(day, fitting, closes_day=True) if len(fitting) > 1 else None
    merged = smallest_worth(late) if len(late) >= limits.late_files else ()
    return PlannedMerge(day, _ordered(merged), closes_day=False) if merged else None


def _ordered(files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
    """Oldest first: ids that are alike stay together, and most look-ups skip most of the rows."""
    return tuple(sorted(files, key=lambda file: (file.added_at, file.path)))


def _fitting(files: Sequence[StoredFile], most: int) -> tuple[StoredFile, ...]:
    sums = accumulate(file.size for file in files)
    return tuple(file for file, total in zip(files, sums, strict=True) if total <= most)


def smallest_worth(files: Sequence[StoredFile]) -> list[StoredFile]:
    """The smallest of these files, as many as are worth merging; none if there are no two."""
    ordered = sorted(files, key=lambda file: file.size)
    sums = list(accumulate(file.size for file in ordered))
    worth = [
        place for place in range(1, len(ordered)) if ordered[place].size * _SHARE <= sums[place - 1]
    ]
    return ordered[: worth[-1] + 1] if worth else []
