"""The loader process: load batches of the inbox into the tables, then delete them.

Only one process loads; the lock or the lease of the lake ensures that, and other loaders wait
(standby). Once per flush interval, or when `waking` says so, it loads all events that are ready.
After a failure the events stay in the inbox, and the load is repeated. Loaders with local inboxes
and common tables take turns, see `turns`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.errors import ReceiverError
from databricks_app.events.envelope import UnroutedReason
from databricks_app.events.record import Record
from databricks_app.events.workspaces import WorkspaceNames, with_rows
from databricks_app.ingest.inbox import Batch, Pending, Reader
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake import Lake, LoadReport, StagingLake, Standby
from databricks_app.loading import memory
from databricks_app.loading.counting import Offered, count_damage, count_load
from databricks_app.loading.crash_isolation import Care, LoadAttempts, Part, readings
from databricks_app.loading.failures import LoadFailures
from databricks_app.loading.problems import LoaderProblems
from databricks_app.loading.staged_load import StagedLoads
from databricks_app.loading.turns import Turns
from databricks_app.loading.waking import Waking
from databricks_app.runtime import crash_points, file_modes, process, status
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.settings import Settings

if TYPE_CHECKING:
    from databricks_app.events.decoding import Reading

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

log = structlog.get_logger("databricks_app.loading.loader")  # this module is run as __main__


@dataclass(slots=True)
class Loader:
    """The loop that loads.

    Attributes:
        reader: The inbox.
        lake: The tables.
        metrics: Counts loads.
        flush_interval_seconds: Pause between loads without a backlog, if `waking` is None.
        write_status: Called with the status after each pass.
        stopping: Set it to end after the current batch.
        waking: Decides when to wake the warehouse; None for a lake without one.
        turns: How this loader shares the lease with other machines; None if the loader that has
            the lock or the lease keeps it.
        before_pass: Called at the begin of each pass, also on standby; may raise what `drain` does.
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
    waking: Waking | None = None
    turns: Turns | None = None
    before_pass: Callable[[], None] = lambda: None
    workspaces: WorkspaceNames = field(default_factory=WorkspaceNames)
    now: Callable[[], float] = time.time
    batch_rows: int = BATCH_ROWS
    batch_bytes: int = BATCH_BYTES
    standby_seconds: float = STANDBY_SECONDS
    status_seconds: float = STATUS_SECONDS
    _attempts: LoadAttempts = field(init=False)
    _is_started: bool = False
    _recurring: RecurringLog = field(default_factory=RecurringLog)
    _last_load_at: str | None = None
    _start_problems: tuple[str, ...] = ()
    _failures: LoadFailures = field(init=False)
    _pending: Pending | None = None
    _damaged: int = 0
    _isolated: int = 0
    _conflicts: int = 0
    _status: status.LoaderStatus | None = None

    def __post_init__(self) -> None:
        self._attempts = LoadAttempts(self.reader.folder)
        self._failures = LoadFailures(lambda: self.now())

    def run(self) -> None:
        """Load until stopped; what waits then stays in the inbox."""
        while not self.stopping.is_set():
            try:
                self.before_pass()
                pause = self._pass()
                self._report_success()
            except Standby as standby:
                if self.waking is not None:
                    self.waking.stand_by()
                self._attempts.pause()
                self._close()
                self._report_success()
                pause = self.turns.standby_pause(standby) if self.turns else self.standby_seconds
            except (ReceiverError, OSError) as error:
                pause = self._after_failure(error)
                if self.turns is not None:
                    self._close()  # another machine may succeed
            self._recurring.sweep()
            self._wait(pause)
        self._close()
        self._recurring.sweep(is_end=True)

    def _pass(self) -> float:
        """Load what is ready, if it is time; return the seconds until the next pass."""
        pause = self.flush_interval_seconds
        if self.waking is not None:
            # None of this runs a statement: a restart of this process wakes no warehouse.
            if self.turns is None:
                self.waking.take()
            self._pending = self.reader.pending()
            decision = self.waking.decide(self._pending)
            pause = decision.look_again_seconds
            if not decision.load:
                return pause
        if self.turns is not None:
            # Without the lease: what is not closed yet cannot be loaded.
            if not any(True for _ in self.reader.batches(1, 1)):
                return pause
            if self.waking is not None:
                self.waking.take()
            self.turns.begin()
        with nullcontext() if self.waking is None else self.waking.load():
            self._start()
            self.drain()
            is_over = self.turns is not None and self.turns.is_over()
            if is_over and self.waking is not None:
                self.waking.leave_rest()
        if self.turns is None:
            return pause
        self._close()  # also if the next pass follows soon: it is the turn of another machine
        return self.turns.pause_after_turn() if is_over else pause

    def _start(self) -> None:
        if self._is_started:
            return
        self._start_problems = self.lake.start().problems
        if names := self.workspaces.names:  # which of them are in use, see `WorkspaceNames`
            self.workspaces = with_rows(names, self.lake.workspaces_of(names.keys()))
        # Only with the lock of the lake: one process reads and writes the note.
        self._attempts.begin()
        self._is_started = True

    def _close(self) -> None:
        self._is_started = False
        self.lake.close()

    def report_progress(self, message: str) -> None:
        """Write the progress message of a slow call into the status."""
        self._report((message, *self._failures.sentences))

    def drain(self) -> None:
        """Load all events that are ready.

        Raises:
            Standby: Another loader has taken over.
            LakeError: The tables cannot be written now; nothing was deleted.
            OSError: The inbox cannot be read, or its segments cannot be deleted.
        """
        self._pending = self.reader.pending()
        if isinstance(self.lake, StagingLake) and not self._attempts.has_died:
            self._drain_staged(self.lake)
            return
        is_behind = self._pending.events > self.batch_rows
        rows = self.batch_rows * (BEHIND_FACTOR if is_behind else 1)
        # First the batch in which the previous process died: `LoadAttempts` knows its parts.
        for batch in chain(self._unfinished(), self.reader.batches(rows, self.batch_bytes)):
            self._load(batch)
            del batch  # free its memory before the reader creates the next batch
            self._report_success()
            if self.stopping.is_set() or (self.turns is not None and self.turns.is_over()):
                return
        if self._attempts.has_died:
            self._attempts.recover()

    def _drain_staged(self, lake: StagingLake) -> None:
        def goes_on() -> bool:
            self._report(self._failures.sentences)
            return not self.stopping.is_set()

        limits = (self.batch_rows, self.batch_bytes)
        loads = StagedLoads(
            lake, self.reader, self._attempts, self._read, goes_on, self.now, *limits
        )
        for load in loads.committed():
            if load.offered.events:
                self._count(load.offered, load.report)
            for batch, events in load.batches:
                self._delete(batch, events)
            self._report_success()
            if self.turns is not None and self.turns.is_over():
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
        self._delete(batch, len(batch.records))

    def _delete(self, batch: Batch, events: int) -> None:
        """Delete a batch from the inbox. Only now: all its rows are durable in the tables."""
        crash_points.reach("loader.before_delete")
        self.reader.delete(batch)
        crash_points.reach("loader.after_delete")
        if self._pending is not None:
            # Subtract instead of counting again: a count reads the whole inbox.
            left = max(0, self._pending.events - events)
            oldest_at = self._pending.oldest_at if left else None
            self._pending = replace(self._pending, events=left, oldest_at=oldest_at)
        self._attempts.end()
        count_damage(self.metrics, batch)
        self._damaged += batch.damaged

    def _read(self, records: Sequence[Record], part: Part) -> list[Reading]:
        found = readings(records, part, self.workspaces)
        crash_points.reach("loader.before_load")
        if crash_points.is_armed():
            for reading in found:
                if reading.typed is not None:
                    crash_points.reach(f"event.{reading.event_id}")
        return found

    def _load_part(self, records: Sequence[Record], part: Part) -> None:
        loaded_at = datetime.fromtimestamp(self.now(), UTC)
        found = self._read(records, part)
        if not found:
            return
        report = self.lake.load(found, batch_id=uuid.uuid4().hex, loaded_at=loaded_at)
        offered = Offered()
        offered.add(records[part.start : part.stop], found)
        self._count(offered, report)
        if part.care is not Care.WHOLE:
            self._isolated += 1
            log.error("event_isolated", care=part.care.name.lower())

    def _count(self, offered: Offered, report: LoadReport) -> None:
        self._conflicts += report.unrouted.get(UnroutedReason.KEY_CONFLICT, 0)
        count_load(self.metrics, offered, report, self.now())
        self._last_load_at = datetime.fromtimestamp(self.now(), UTC).isoformat()

    def _report_success(self) -> None:
        """Write a status without a failure, and log that a failure has ended."""
        self._failures.end()
        self._report(())

    def _wait(self, seconds: float) -> None:
        """Wait, and write the status meanwhile, so that `/readyz` sees that this process runs."""
        while seconds > self.status_seconds and not self.stopping.wait(self.status_seconds):
            seconds -= self.status_seconds
            if self._status is not None:
                self.write_status(replace(self._status, at=self.now()))
        self.stopping.wait(seconds)

    def _after_failure(self, error: Exception) -> float:
        self._attempts.pause()
        self.metrics.load_failures.inc()
        has_woken = self.waking is not None and self.waking.has_woken
        pause = self._failures.add(error, has_woken=has_woken)
        self._report(self._failures.sentences)
        return pause

    def _report(self, problems: tuple[str, ...]) -> None:
        newest = self.lake.newest_loaded_at()
        warehouse = None if self.waking is None else self.waking.status()
        problems += self.turns.problems() if self.turns is not None else ()
        problems += LoaderProblems(
            damaged=self._damaged,
            isolated=self._isolated,
            conflicts=self._conflicts,
            unreadable=len(self.reader.unreadable),
            clock_seconds_ahead=0.0 if newest is None else newest.timestamp() - self.now(),
            workspaces=self.workspaces,
            warehouse=warehouse,
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
            warehouse,
        )
        self.write_status(self._status)


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

    make = partial(
        Loader,
        metrics=metrics,
        flush_interval_seconds=settings.flush_interval_seconds,
        write_status=write_status,
        workspaces=WorkspaceNames(settings.workspaces),
        stopping=timeout.stopping,
    )
    if settings.store == "databricks":
        from databricks_app.loading.opening import open_remote

        opened = open_remote(settings, run_dir, timeout, metrics)
        loader = make(opened.reader, opened.lake, waking=opened.waking, turns=opened.turns)
        loader.before_pass = opened.before_pass
    else:
        from databricks_app.lake.local.store import LocalLake

        loader = make(SegmentReader(settings.inbox_dir), LocalLake(settings.data_dir))
    timeout.progress = loader.report_progress
    return loader


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


if __name__ == "__main__":
    sys.exit(main())
