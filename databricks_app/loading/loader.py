"""The loader process: load batches of the inbox into the tables, then delete them.

Only one process loads; the lock or the lease of the lake ensures that, and other loaders wait
(standby). Once per flush interval it loads all events that are ready. After a failure the events
stay in the inbox, and the load is repeated.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.errors import LakeError, ReceiverError
from databricks_app.events.envelope import UnroutedReason
from databricks_app.events.record import Record
from databricks_app.events.workspaces import WorkspaceNames, with_rows
from databricks_app.ingest.inbox import Batch, Pending, Reader
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake import Lake, Standby
from databricks_app.loading import memory
from databricks_app.loading.counting import count_load
from databricks_app.loading.crash_isolation import Care, LoadAttempts, Part, readings
from databricks_app.loading.problems import LoaderProblems
from databricks_app.runtime import crash_points, file_modes, process, status
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.settings import Settings, environment

if TYPE_CHECKING:
    from databricks_app.ingest.inbox.volume_reader import ObjectReader

BATCH_ROWS = 10_000
BATCH_BYTES = 32 << 20
# With a backlog a load has this many times the rows, because most of the cost of a load does not
# depend on them. The limit of bytes stays: a load needs up to 20 times the memory of its bodies.
BEHIND_FACTOR = 4
STANDBY_SECONDS = 10.0
STATUS_SECONDS = 20.0
# With this niceness the loader gets about a third of the receiver's share of a busy core. The
# sender waits for an answer of the receiver; nobody waits for a load.
NICENESS = 5
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

log = structlog.get_logger("databricks_app.loading.loader")  # this module is run as __main__


@dataclass(slots=True)
class Loader:
    """The loop that loads.

    Attributes:
        reader: The inbox.
        lake: The tables.
        metrics: Counts loads.
        flush_interval_seconds: Pause between loads without a backlog.
        write_status: Called with the status after each pass.
        stopping: Set it to end after the current batch.
        workspaces: Names of workspaces by key; a start finds out which of them are in use.
        now: Clock, Unix seconds.
        batch_rows: Most rows of a load without a backlog.
        batch_bytes: Most bytes of a load.
        standby_seconds: Pause between two tries to become the loader that loads.
        status_seconds: Longest pause between two statuses. `/readyz` reports a problem after 60 s.
    """

    reader: Reader
    lake: Lake
    metrics: Metrics
    flush_interval_seconds: float
    write_status: Callable[[status.LoaderStatus], None]
    stopping: threading.Event = field(default_factory=threading.Event)
    workspaces: WorkspaceNames = field(default_factory=WorkspaceNames)
    now: Callable[[], float] = time.time
    batch_rows: int = BATCH_ROWS
    batch_bytes: int = BATCH_BYTES
    standby_seconds: float = STANDBY_SECONDS
    status_seconds: float = STATUS_SECONDS
    _attempts: LoadAttempts = field(init=False)
    _recurring: RecurringLog = field(default_factory=RecurringLog)
    _last_load_at: str | None = None
    _start_problems: tuple[str, ...] = ()
    _failures: int = 0
    _failing_since: float = 0.0
    _failing: tuple[str, ...] = ()
    _logged_problem: str = ""
    _pending: Pending | None = None
    _damaged: int = 0
    _isolated: int = 0
    _conflicts: int = 0
    _status: status.LoaderStatus | None = None

    def __post_init__(self) -> None:
        self._attempts = LoadAttempts(self.reader.folder)

    def run(self) -> None:
        """Load until stopped."""
        is_started = False
        while not self.stopping.is_set():
            pause = self.flush_interval_seconds
            try:
                if not is_started:
                    self._start_problems = self.lake.start().problems
                    self._ask_workspaces()
                    # Only with the lock of the lake: one process reads and writes the note.
                    self._attempts.begin()
                    is_started = True
                self.drain()
                self._report_success()
            except Standby:
                is_started = False
                self._attempts.pause()
                self.lake.close()
                self._report_success()
                pause = self.standby_seconds
            except (ReceiverError, OSError) as error:
                pause = self._after_failure(error)
            self._recurring.sweep()
            self._wait(pause)
        self.lake.close()
        self._recurring.sweep(is_end=True)

    def _ask_workspaces(self) -> None:
        """Find the keys whose rows have another workspace name; see `WorkspaceNames`."""
        if names := self.workspaces.names:
            self.workspaces = with_rows(names, self.lake.workspaces_of(names.keys()))

    def report_progress(self, message: str) -> None:
        """Write the progress message of a slow call into the status."""
        self._report((message, *self._failing))

    def drain(self) -> None:
        """Load all events that are ready.

        Raises:
            Standby: Another loader has taken over.
            LakeError: The tables cannot be written now; nothing was deleted.
            OSError: The inbox cannot be read, or its segments cannot be deleted.
        """
        self._pending = self.reader.pending()
        is_behind = self._pending.events > self.batch_rows
        rows = self.batch_rows * (BEHIND_FACTOR if is_behind else 1)
        # First the batch in which the previous process died: `LoadAttempts` knows its parts.
        for batch in chain(self._unfinished(), self.reader.batches(rows, self.batch_bytes)):
            self._load(batch)
            del batch  # free its memory before the reader creates the next batch
            self._report_success()
            if self.stopping.is_set():
                return

    def _unfinished(self) -> Iterator[Batch]:
        """Yield the batch in which the previous process died, with the same segments."""
        if names := self._attempts.unfinished():
            batch = self.reader.batch_of(names)
            if batch is None:
                self._attempts.end()
            else:
                yield batch

    def _load(self, batch: Batch) -> None:
        is_begun = False
        for part in self._attempts.parts(batch.sources, len(batch.records)):
            if is_begun and self.stopping.is_set():
                self._attempts.pause()
                return
            for portion in memory.portions(batch.records, part):
                with memory.spared():
                    self._load_part(batch.records, portion)
            is_begun = True
        # Only now: the rows of all parts are durable in the tables.
        crash_points.reach("loader.before_delete")
        self.reader.delete(batch)
        crash_points.reach("loader.after_delete")
        if self._pending is not None:
            # Subtract instead of counting again: a count reads the whole inbox.
            left = max(0, self._pending.events - len(batch.records))
            oldest_at = self._pending.oldest_at if left else None
            self._pending = replace(self._pending, events=left, oldest_at=oldest_at)
        self._attempts.end()
        for kind, number in (("damaged", batch.damaged), ("torn", batch.torn)):
            if number:
                self.metrics.damaged.labels(kind).inc(number)
                log.warning("segment_damaged", kind=kind, stretches=number, kept="quarantine")
        self._damaged += batch.damaged

    def _load_part(self, records: Sequence[Record], part: Part) -> None:
        started = self.now()
        found = readings(records, part, self.workspaces)
        crash_points.reach("loader.before_load")
        if crash_points.is_armed():
            for reading in found:
                if reading.typed is not None:
                    crash_points.reach(f"event.{reading.event_id}")
        if not found:
            return
        loaded_at = datetime.fromtimestamp(started, UTC)
        report = self.lake.load(found, batch_id=uuid.uuid4().hex, loaded_at=loaded_at)
        self._conflicts += report.unrouted.get(UnroutedReason.KEY_CONFLICT, 0)
        count_load(self.metrics, records[part.start : part.stop], found, report, self.now())
        self._last_load_at = datetime.fromtimestamp(self.now(), UTC).isoformat()
        if part.care is not Care.WHOLE:
            self._isolated += 1
            log.error("event_isolated", care=part.care.name.lower())

    def _report_success(self) -> None:
        """Write a status without a failure, and log that a failure has ended."""
        if self._failures:
            seconds = round(self.now() - self._failing_since, 1)
            log.info("load_failed_ended", times=self._failures, seconds=seconds)
        self._failures, self._failing, self._logged_problem = 0, (), ""
        self._report(())

    def _wait(self, seconds: float) -> None:
        """Wait, and write the status meanwhile, so that `/readyz` sees that this process runs."""
        while seconds > self.status_seconds and not self.stopping.wait(self.status_seconds):
            seconds -= self.status_seconds
            if self._status is not None:
                self.write_status(replace(self._status, at=self.now()))
        self.stopping.wait(seconds)

    def _after_failure(self, error: Exception) -> float:
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        if not self._failures:
            self._failing_since = self.now()
        self._failures += 1
        self._attempts.pause()
        self.metrics.load_failures.inc()
        # One line for each problem, not for each try.
        problem = _log_text(error)
        if problem != self._logged_problem:
            self._logged_problem = problem
            log.error(
                "load_failed",
                error=type(error).__name__,
                problem=problem,
                failures=self._failures,
                advice="nothing is lost, the load is repeated: do what `problem` says",
            )
        reason = str(error)
        if isinstance(error, OSError):
            reason = f"the disk: {error.strerror or type(error).__name__}"
        times = ""
        if self._failures > 1:
            seconds = self.now() - self._failing_since
            times = f" ({self._failures} times in {seconds:.0f} s)"
        self._failing = (f"loading fails{times} and is repeated, nothing is lost: {reason}",)
        self._report(self._failing)
        return pause

    def _report(self, problems: tuple[str, ...]) -> None:
        problems += LoaderProblems(
            damaged=self._damaged,
            isolated=self._isolated,
            conflicts=self._conflicts,
            unreadable=len(self.reader.unreadable),
            clock_seconds_ahead=self._clock_seconds_ahead(),
            workspaces=self.workspaces,
        ).sentences()
        if self.reader.unreadable:
            names = len(self.reader.unreadable)
            self._recurring.note("segments_unreadable", facts={"segments": names})
        pending = self._pending
        oldest_at = pending.oldest_at if pending is not None else None
        self._status = status.LoaderStatus(
            self.now(),
            self._last_load_at,
            self._start_problems + problems,
            None if pending is None else pending.events,
            None if oldest_at is None else oldest_at.isoformat(),
        )
        self.write_status(self._status)

    def _clock_seconds_ahead(self) -> float:
        newest = self.lake.newest_loaded_at()
        return 0.0 if newest is None else newest.timestamp() - self.now()


def open_loader(settings: Settings, metrics: Metrics, run_dir: Path | None) -> Loader:
    """Create a loader for these settings.

    Args:
        settings: Store, folders and intervals.
        metrics: Counts loads.
        run_dir: The folder for the status; None to write none.
    """
    timeout = CallTimeout()

    def write_status(newest: status.LoaderStatus) -> None:
        if run_dir is not None:
            status.write(run_dir, newest)

    reader: SegmentReader | ObjectReader
    lake: Lake
    if settings.store == "databricks":
        reader, lake = _databricks(settings, run_dir, timeout)
    else:
        from databricks_app.lake.local.store import LocalLake

        reader, lake = SegmentReader(settings.inbox_dir), LocalLake(settings.data_dir)
    loader = Loader(
        reader=reader,
        lake=lake,
        metrics=metrics,
        flush_interval_seconds=settings.flush_interval_seconds,
        write_status=write_status,
        workspaces=WorkspaceNames(settings.workspaces),
        stopping=timeout.stopping,
    )
    timeout.progress = loader.report_progress
    return loader


def _databricks(
    settings: Settings, run_dir: Path | None, timeout: CallTimeout
) -> tuple[ObjectReader, Lake]:
    from databricks_app.databricks import workspace
    from databricks_app.databricks.volume_files import TimedFiles
    from databricks_app.ingest.inbox.volume_reader import ObjectReader
    from databricks_app.lake.warehouse.connect import open_lake

    connected = workspace.connect(environment())
    # The run folder belongs to the supervisor, so it still exists after a loader died. Its path and
    # the host name are unique, so a restarted loader recognises its own lease.
    folder = settings.inbox_dir if run_dir is None else run_dir / "inbox"
    owner = None if run_dir is None else f"{socket.gethostname()}:{run_dir}"
    reader = ObjectReader(TimedFiles(connected, timeout), settings.volume_path, folder)
    return reader, open_lake(connected, settings, timeout, owner)


def main() -> int:
    """Run the loader process until it is stopped."""
    process.begin()
    memory.prepare()
    os.nice(NICENESS)  # before the engine starts its threads, which inherit it
    # Ctrl-C reaches every process of the terminal; the supervisor stops this one with SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = process.configured("loader")
    # The engine creates its files with the umask of the process.
    if settings.store == "local":
        os.umask(file_modes.tables_umask(settings.data_dir))
    loader = open_loader(settings, Metrics(), status.run_dir())
    signal.signal(signal.SIGTERM, lambda *_: loader.stopping.set())
    loader.run()
    return 0


def _log_text(error: Exception) -> str:
    """Return a text of an error that is safe to log."""
    if isinstance(error, LakeError):
        return error.log_text
    if isinstance(error, OSError) and error.errno is not None:
        return f"the disk: {os.strerror(error.errno)}"
    # Texts of libraries can contain values of a row.
    return type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
