"""The hours of `CIO_WAREHOUSE_HOURS`: when people use the warehouse. Pure; no clock.

`mon-fri 08:00-18:00 Europe/Berlin`, or several spans before one zone:
`mon-fri 08:00-18:00, sat 09:00-12:00 Europe/Berlin`. Without days a span is for every day. A span
ends on its own day: write a night as `22:00-24:00, 00:00-06:00`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))? +)?(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """Some days of the week and a part of the day.

    Attributes:
        days: Days of the week; Monday is 0.
        begin: First minute of the day.
        end: The minute after the last one, at most 1440.
    """

    days: frozenset[int]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class WarehouseHours:
    """The spans of a week, in local time of one zone."""

    spans: tuple[Span, ...]
    zone: tzinfo

    def contain(self, now: float) -> bool:
        """Tell whether a time is inside.

        Args:
            now: Unix seconds.
        """
        local = datetime.fromtimestamp(now, self.zone)
        minute = local.hour * 60 + local.minute
        return any(
            local.weekday() in span.days and span.begin <= minute < span.end for span in self.spans
        )


def parse(text: str, zone_of: Callable[[str], tzinfo]) -> WarehouseHours:
    """Read the text of the setting.

    Args:
        text: For example `mon-fri 08:00-18:00 Europe/Berlin`.
        zone_of: Returns a time zone by its name, and raises `LookupError` or `ValueError` if there
            is none; `zoneinfo.ZoneInfo`.

    Raises:
        ValueError: The text is something else; says what, and quotes nothing of it.
    """
    spans_text, _, zone_name = text.strip().rpartition(" ")
    if not spans_text:
        raise ValueError("it needs hours and a time zone")
    try:
        zone = zone_of(zone_name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError("its last word is no time zone that this machine knows") from error
    parts = spans_text.lower().split(",")
    return WarehouseHours(
        tuple(_span(part.strip(), number) for number, part in enumerate(parts, 1)), zone
    )


def _span(text: str, number: int) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"span {number} is not of that form")
    first, last, *times = found.groups()
    begin_hour, begin_minute, end_hour, end_minute = map(int, times)
    begin, end = begin_hour * 60 + begin_minute, end_hour * 60 + end_minute
    if not begin < end <= _DAY_MINUTES:
        raise ValueError(f"span {number} does not end after it begins, on the same day")
    if first is None:
        return Span(frozenset(range(7)), begin, end)
    try:
        start, stop = _DAYS.index(first), _DAYS.index(last or first)
    except ValueError as error:
        raise ValueError(f"span {number} has a day that is none of {', '.join(_DAYS)}") from error
    # `sat-mon` goes over the end of the week.
    return Span(frozenset((start + n) % 7 for n in range((stop - start) % 7 + 1)), begin, end)
