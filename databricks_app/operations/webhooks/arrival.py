"""Find a canary event after it was acknowledged: in the inbox, or as a row of the raw table.

If events wait for a warehouse longer than we do, an event in the inbox is enough. So no warehouse
has to start for it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from databricks_app.ingest.inbox.tracking import LOOK_SECONDS, track, track_in_folder
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
    """Runs queries on the tables, local or in the warehouse."""

    def run(self, sql: str, /) -> Result:
        """Run a query and return its rows."""
        ...


def is_row(tables: Tables, event: Canary) -> bool:
    """Whether the event is a row of the raw table.

    Raises:
        QueryError: The table cannot be read.
    """
    # No injection: `canary` makes the id of letters, digits and hyphens.
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
    """Wait for the row of an event in local tables, and return where it is, in words.

    Args:
        tables: Queries over the folder.
        folder: The data folder, for the texts.
        event: An event that was acknowledged.
        seconds: How long to wait for its row.
        monotonic: Monotonic clock, in seconds.
        sleep: Sleeps that many seconds.

    Raises:
        EndpointError: There is no such row in time; the text says what to do.
        QueryError: The tables cannot be read.
    """
    until = monotonic() + seconds
    while not is_row(tables, event):
        if monotonic() >= until:
            raise EndpointError(
                f"acknowledged, but after {seconds:g} s it is not in the tables in {folder}. Check"
                " that the receiver's loader runs (/readyz), and that this is the receiver's"
                " folder (CIO_DATA_DIR, --data-dir). With a long CIO_FLUSH_INTERVAL_SECONDS wait"
                " longer."
            )
        sleep(_LOOK_SECONDS)
    return f"it was a row of webhook_raw_events in {folder}"


def see_in_inbox(
    files: FileListing,
    settings: Settings,
    event: Canary,
    is_row: Callable[[], bool],
    *,
    seconds: float,
    look_seconds: float = LOOK_SECONDS,
) -> str:
    """Find an event in the inbox or in the raw table of a workspace, and return where, in words.

    A local inbox can be read only on its own machine. Elsewhere the answer of the receiver counts.

    Args:
        files: Lists the volume, if that is the inbox.
        settings: The settings of the receiver.
        event: An event that was acknowledged.
        is_row: Queries the raw table for it.
        seconds: How long to wait for its row. If events wait longer than that to be loaded, an
            event in the inbox is enough.
        look_seconds: Pause between two listings of the inbox.

    Raises:
        EndpointError: It is in neither, or was not loaded in time; the text says what to do.
    """
    if seconds < freshness.longest_wait_seconds(settings):
        seconds = 0.0
    by = freshness.expected_by(settings, time.time())
    if settings.inbox == "volume":
        inbox, fix = f"the inbox of {settings.volume_path}", "CIO_VOLUME"
        look = partial(track, files, settings.volume_path)
    elif settings.inbox_dir.is_dir():
        inbox, fix = f"the inbox {settings.inbox_dir}", "CIO_DATA_DIR"
        look = partial(track_in_folder, settings.inbox_dir)
    else:
        return (
            "it was acknowledged; the inbox is on the disk of the receiver, and its row is expected"
            f" by {by}"
        )
    place = look(event.body, is_row, seconds=seconds, look_seconds=look_seconds)
    if place == "row":
        return "it was a row of webhook_raw_events"
    if place is None:
        raise EndpointError(
            f"acknowledged, but it is neither in {inbox} nor in webhook_raw_events. Use the"
            f" settings of the receiver at that address: CIO_CATALOG, CIO_SCHEMA, {fix}."
        )
    if seconds:
        raise EndpointError(
            f"acknowledged, but after {seconds:g} s it is still in {inbox}. Check that the"
            " receiver's loader runs (/readyz and its log). With a long"
            " CIO_FRESHNESS_SECONDS wait longer."
        )
    return f"it was in {inbox}; its row is expected by {by}"
