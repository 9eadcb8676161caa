"""When a stored event is expected to be a row, and from when on its wait is a fault. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks_app.settings import Settings

# A warehouse that has stopped takes 2 s to 2 min to start; a load takes seconds.
LOAD_SECONDS = 120.0
STALL_SECONDS = 600.0
CLOSE_SHARE = 0.5
"""Of an interval: after that a segment of the local inbox is closed."""


def longest_wait_seconds(settings: Settings) -> float:
    """Longest time from an event's answer to the beginning of its load, seconds.

    A segment of the local inbox is closed after half an interval; an object of a volume is whole
    as soon as it is there.
    """
    interval = settings.flush_interval_seconds
    return interval if settings.store == "databricks" else interval * (1 + CLOSE_SHARE)


def stall_seconds(settings: Settings) -> float:
    """Age of the oldest unloaded event, in seconds, beyond which loading does not keep up."""
    return longest_wait_seconds(settings) + STALL_SECONDS


def expected_by(settings: Settings, now: float) -> str:
    """When an event that is stored now is a row at the latest, as `14:32 UTC`.

    Args:
        settings: Of the receiver.
        now: Unix seconds.
    """
    seconds = now + longest_wait_seconds(settings) + LOAD_SECONDS
    at = datetime.fromtimestamp(seconds, UTC) + timedelta(seconds=59)  # never too early a minute
    return f"{at:%H:%M} UTC"
