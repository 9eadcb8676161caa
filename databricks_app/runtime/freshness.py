"""How long a stored event may wait until it is loaded, and which wait is a fault. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks_app.settings import Settings

# A stopped warehouse takes 2 s to 2 min to start; a load takes seconds.
LOAD_SECONDS = 120.0
STALL_SECONDS = 600.0
# A segment of the local inbox is closed after this share of a flush interval.
CLOSE_SHARE = 0.5


def longest_wait_seconds(settings: Settings) -> float:
    """Return the longest time from an event's answer to the start of its load, in seconds."""
    # An object of a volume is complete when it is put; a local segment has to be closed first.
    interval = settings.flush_interval_seconds
    return interval if settings.store == "databricks" else interval * (1 + CLOSE_SHARE)


def stall_seconds(settings: Settings) -> float:
    """Return the age of the oldest unloaded event, in seconds, above which loading is too slow."""
    return longest_wait_seconds(settings) + STALL_SECONDS


def expected_by(settings: Settings, now: float) -> str:
    """Return the latest time when an event that is stored now is a row, as `14:32 UTC`.

    Args:
        settings: Settings of the receiver.
        now: Unix seconds.
    """
    seconds = now + longest_wait_seconds(settings) + LOAD_SECONDS
    at = datetime.fromtimestamp(seconds, UTC) + timedelta(seconds=59)  # rounds up to a minute
    return f"{at:%H:%M} UTC"
