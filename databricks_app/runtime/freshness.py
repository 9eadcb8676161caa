"""How long a stored event may wait until it is loaded, and which wait is a fault. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks_app.runtime.status import WarehouseStatus
    from databricks_app.settings import Settings

# A stopped warehouse takes 2 s to 2 min to start; a load takes seconds.
LOAD_SECONDS = 120.0
STALL_SECONDS = 600.0
# Above the ceiling of the day's warehouse seconds an event may wait for so long.
CEILING_WAIT_SECONDS = 3600.0
# A segment of the local inbox is closed after this share of a flush interval.
_CLOSE_SHARE = 0.5
# With tables in Databricks events wait for long, and a load takes only closed segments.
_CLOSE_SECONDS_DATABRICKS = 30.0


def close_seconds(settings: Settings) -> float:
    """Return the age at which a segment of the local inbox is closed, in seconds."""
    if settings.store == "databricks":
        return min(settings.freshness_seconds * _CLOSE_SHARE, _CLOSE_SECONDS_DATABRICKS)
    return settings.flush_interval_seconds * _CLOSE_SHARE


def longest_wait_seconds(settings: Settings) -> float:
    """Return the longest time from an event's answer to the start of its load, in seconds."""
    if settings.store == "databricks":
        return settings.freshness_seconds
    # A local segment has to be closed first.
    return settings.flush_interval_seconds + close_seconds(settings)


def stall_seconds(settings: Settings, warehouse: WarehouseStatus | None = None) -> float:
    """Return the age of the oldest unloaded event, in seconds, above which loading is too slow.

    Args:
        settings: Settings of the receiver.
        warehouse: What the loader says; above the ceiling of the day events may wait for longer.
    """
    allowed = 0.0 if warehouse is None else warehouse.wait_seconds
    return max(longest_wait_seconds(settings), allowed) + STALL_SECONDS


def setting_name(settings: Settings) -> str:
    """Return the name of the setting that decides how long an event waits."""
    is_remote = settings.store == "databricks"
    return "CIO_FRESHNESS_SECONDS" if is_remote else "CIO_FLUSH_INTERVAL_SECONDS"


def expected_by(settings: Settings, now: float) -> str:
    """Return the latest time when an event that is stored now is a row, as `14:32 UTC`.

    Args:
        settings: Settings of the receiver.
        now: Unix seconds.
    """
    seconds = now + longest_wait_seconds(settings) + LOAD_SECONDS
    at = datetime.fromtimestamp(seconds, UTC) + timedelta(seconds=59)  # rounds up to a minute
    return f"{at:%H:%M} UTC"
