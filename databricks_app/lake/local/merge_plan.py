"""Decides which data files of one day are worth merging. Pure: uses sizes and names only.

Files of an open day are merged by size, so that the number of times that a row is rewritten grows
with the logarithm of the size of its day. A closed day becomes one file, or several full ones. Late
files are merged with that file only if they are large in comparison, so that one late row does not
rewrite a whole day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

# Prefix of the name of a file that was made after its day had closed. Only the name records this,
# so that no other record can disagree with the log.
CLOSED = "closed-"
# A file is merged with smaller files only if these together have at least this share of its size.
_SHARE = 0.5
# The same for the file of a closed day: one late byte rewrites at most four bytes.
_LATE_SHARE = 0.25
# A closed day up to this size is rewritten for every late file: this takes milliseconds.
_CHEAP_BYTES = 1 << 20
# A file with this share of the largest size is full: to merge it again gains nothing.
_FULL_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A data file of the newest version.

    Attributes:
        path: Relative to the folder of the table.
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
    """When a merge is worth its cost.

    Attributes:
        compact_files: Number of small files of an open day from which they are merged.
        compact_bytes: Bytes of small files of an open day from which they are merged.
        small_bytes: Files below this size are small. Other files of an open day are not rewritten.
        late_files: Number of late files of a closed day from which they are merged.
        day_bytes: Largest file of a closed day.
        days_at_once: Closed days in one plan, the newest first. The next plan then looks at the
            open days again.
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
    """Return the merges that are due now: of open days, then of the newest closed days.

    The two newest days are open.

    Args:
        files: All files of each date.
        limits: When a merge is worth its cost.
        today: The current UTC day.
    """
    # A date in the future closes no day, because the clock of a sender may be wrong. If all dates
    # are in the future, our own clock is wrong.
    past = [day for day in files if day <= today + timedelta(days=1)] or files
    first_open = min(sorted(past)[-2:], default=today)
    found, closed = list[PlannedMerge](), list[PlannedMerge]()
    for day in sorted(files, reverse=True):
        if day >= first_open:
            small = [file for file in files[day] if file.size < limits.small_bytes]
            is_heavy = sum(file.size for file in small) >= limits.compact_bytes
            is_due = is_heavy or len(small) >= limits.compact_files
            if is_due and (merged := smallest_worth_merging(small)):
                found.append(PlannedMerge(day, _ordered(merged), closes_day=False))
        elif len(closed) < limits.days_at_once and (one := _of_closed_day(day, files[day], limits)):
            closed.append(one)
    return found + closed


def in_commits(plans: Sequence[PlannedMerge], limits: MergeLimits) -> list[list[PlannedMerge]]:
    """Group the merges into commits; their order stays.

    Small merges share a commit of at most `limits.day_bytes`.
    """
    # The time of a commit does not depend on the number of files that it replaces: 0.2 s in a table
    # with 11,000 files.
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
        ordered = _ordered(rest)
        sums = accumulate(file.size for file in ordered)
        fitting = tuple(
            file for file, total in zip(ordered, sums, strict=True) if total <= limits.day_bytes
        )
        return PlannedMerge(day, fitting, closes_day=True) if len(fitting) > 1 else None
    merged = smallest_worth_merging(late) if len(late) >= limits.late_files else ()
    return PlannedMerge(day, _ordered(merged), closes_day=False) if merged else None


def _ordered(files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
    """Sort by age, the oldest first."""
    # Similar ids were loaded at similar times. If they stay together, look-ups skip most rows.
    return tuple(sorted(files, key=lambda file: (file.added_at, file.path)))


def smallest_worth_merging(files: Sequence[StoredFile]) -> list[StoredFile]:
    """Return the smallest files, as many as are worth merging: at least two, or none."""
    ordered = sorted(files, key=lambda file: file.size)
    sums = list(accumulate(file.size for file in ordered))
    worth = [
        place for place in range(1, len(ordered)) if ordered[place].size * _SHARE <= sums[place - 1]
    ]
    return ordered[: worth[-1] + 1] if worth else []
