"""Opens what a loader of a Databricks workspace needs: an inbox, the tables, and their order.

Which inbox it is, the settings say; events that a change of CIO_INBOX has left behind in the other
one are loaded too.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from databricks_app.databricks import workspace
from databricks_app.databricks.volume_files import TimedFiles
from databricks_app.ingest.inbox import combined
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.ingest.inbox.volume_reader import ObjectReader
from databricks_app.lake.warehouse.connect import open_lake
from databricks_app.loading.turns import Turns
from databricks_app.loading.waking import Waking, for_settings
from databricks_app.settings import environment

if TYPE_CHECKING:
    from databricks_app.databricks.call_timeout import CallTimeout
    from databricks_app.databricks.volume_files import Files
    from databricks_app.ingest.inbox import Reader
    from databricks_app.lake import Lake
    from databricks_app.runtime.metrics import Metrics
    from databricks_app.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteParts:
    """The parts of a loader; `Loader` explains them."""

    reader: Reader
    lake: Lake
    waking: Waking
    turns: Turns | None = None
    before_pass: Callable[[], None] = field(default=lambda: None)


def open_remote(
    settings: Settings, run_dir: Path | None, timeout: CallTimeout, metrics: Metrics
) -> RemoteParts:
    """Open the parts of a loader for `CIO_STORE=databricks`.

    Args:
        settings: Inbox, names and intervals.
        run_dir: The run folder; None if there is none.
        timeout: Timeouts of the calls.
        metrics: Counts wake-ups.

    Raises:
        SettingsError: The address of the workspace is not valid.
        OSError: The folder of the local inbox cannot be written.
    """
    connected = workspace.connect(environment())
    files = TimedFiles(connected, timeout)
    # The run folder belongs to the supervisor, so it still exists after a loader died. Its path and
    # the host name are unique, so a restarted loader recognises its own lease.
    folder = settings.inbox_dir if run_dir is None else run_dir / "inbox"
    owner = None if run_dir is None else f"{socket.gethostname()}:{run_dir}"
    lake = open_lake(connected, settings, timeout, owner)
    waking = for_settings(settings, connected, metrics, timeout, lake.take)
    lake.observe(waking.statement)
    objects = ObjectReader(files, settings.volume_path, folder)
    if settings.inbox == "local":
        local = SegmentReader(settings.inbox_dir)
        combined.note_volume(settings.inbox_dir, settings.volume_path)
        turns = Turns(settings.freshness_seconds)
        return RemoteParts(combined.CombinedReader(local, objects), lake, waking, turns)
    return RemoteParts(objects, lake, waking, before_pass=_mover(settings, files))


def _mover(settings: Settings, files: Files) -> Callable[[], None]:
    """Return what moves the events that `CIO_INBOX=local` has left in the folder into the volume.

    Segments that belong to other tables are left alone, with a warning.
    """
    noted = combined.noted_volume(settings.inbox_dir)
    reader = SegmentReader(settings.inbox_dir)
    if noted != settings.volume_path:
        if events := reader.pending().events:
            log.warning(
                "segments_of_other_tables",
                events=events,
                tables=noted or "the local store",
                advice="these events are in CIO_DATA_DIR: start a receiver with the settings of "
                "their tables in this folder (CIO_STORE, or CIO_CATALOG, CIO_SCHEMA, CIO_VOLUME)",
            )
        return lambda: None

    def move() -> None:
        if moved := combined.move_segments(reader, files, settings.volume_path):
            log.info("segments_moved", events=moved)

    return move
