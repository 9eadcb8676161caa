"""Where a signed event of our own is found after it was acknowledged: in the inbox, or as a row.

With a volume whose events are loaded long after the wait, the inbox is proof enough: a look into
it wakes no warehouse.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from databricks_app.ingest.inbox.tracking import LOOK_SECONDS, track
from databricks_app.operations.webhooks.canary import Canary, EndpointError
from databricks_app.runtime import freshness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from databricks_app.databricks.volume_files import FileListing
    from databricks_app.lake.local.query import Result
    from databricks_app.settings import Settings

_LOOK_SECONDS = 0.5


class Tables(Protocol):
    """What can be asked for the raw table."""

    def run(self, sql: str, /) -> Result:
        """Rows of a query."""
        ...


def is_row(tables: Tables, event: Canary) -> bool:
    """Whether the event is a row of the raw table.

    Raises:
        QueryError: The table cannot be asked.
    """
    # The id is ours: letters, digits and hyphens.
    sql = f"SELECT event_id FROM webhook_raw_events WHERE event_id = '{event.event_id}'"  # noqa: S608
    return bool(tables.run(sql).rows)


def see_in_folder(
    tables: Tables,
    folder: Path,
    event: Canary,
    *,
    seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """Wait for the row of an event in local tables, and say where it is.

    Args:
        tables: Of the folder.
        folder: As it is named in what is said.
        event: Was acknowledged.
        seconds: How long its row may take.
        monotonic: Seconds.
        sleep: Lets that many seconds pass.

    Raises:
        EndpointError: There is no such row in time; says what to do.
        QueryError: The tables cannot be asked.
    """
    until = monotonic() + seconds
    while not is_row(tables, event):
        if monotonic() >= until:
            raise EndpointError(
                f"acknowledged, but not in the table of {folder} after {seconds:g} s. See whether"
                " the receiver's loader runs (/readyz), and whether that is the receiver's folder"
                " (CIO_DATA_DIR, --data-dir); with a long CIO_FLUSH_INTERVAL_SECONDS wait longer."
            )
        sleep(_LOOK_SECONDS)
    return f"it is a row of webhook_raw_events of {folder}"


def see_in_volume(
    files: FileListing,
    settings: Settings,
    event: Canary,
    is_row: Callable[[], bool],
    *,
    seconds: float,
    look_seconds: float = LOOK_SECONDS,
) -> str:
    """Find an event in the inbox of a volume or in the table, and say where it is.

    Args:
        files: Of the volume.
        settings: Of the receiver.
        event: Was acknowledged.
        is_row: Asks the raw table for it.
        seconds: How long its row may take. Where events wait longer than that for their load, it
            is enough that the inbox holds it.
        look_seconds: Between two looks into the inbox.

    Raises:
        EndpointError: It is in neither, or was not loaded in time; says what to do.
    """
    if seconds < freshness.longest_wait_seconds(settings):
        seconds = 0.0
    inbox = f"the inbox of {settings.volume_path}"
    place = track(
        files, settings.volume_path, event.body, is_row, seconds=seconds, look_seconds=look_seconds
    )
    if place == "row":
        return "it is a row of webhook_raw_events"
    if place is None:
        raise EndpointError(
            f"acknowledged, but neither in {inbox} nor in webhook_raw_events. Use the settings of"
            " the receiver that answers there: CIO_CATALOG, CIO_SCHEMA, CIO_VOLUME."
        )
    if seconds:
        raise EndpointError(
            f"acknowledged, but still in {inbox} after {seconds:g} s. See whether the receiver's"
            " loader runs (/readyz and the log there); with a long CIO_FLUSH_INTERVAL_SECONDS"
            " wait longer."
        )
    return (
        f"it is in {inbox}; its row is expected by {freshness.expected_by(settings, time.time())}"
    )
