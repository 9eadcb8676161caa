"""The inbox in a Unity Catalog volume, for the receiver: group commit into objects.

All waiting requests become one object, which is put through the Files API. They are answered when
the put is answered. A put takes about a hundred times as long as a sync of a disk, and costs money.
So two puts may run at the same time, and groups are spaced while more than one request waits.

If the result of a put is unknown (no answer, lost connection), its events are not acknowledged. The
put is repeated under the same name until the deadline, which is safe if the first put was stored.
After the deadline the sender repeats the events, and the tables contain each of them once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat

from databricks_app.databricks.call_budget import MOST_PUTS
from databricks_app.databricks.volume_files import Files
from databricks_app.databricks.workspace import WorkspaceError
from databricks_app.errors import InboxError, InboxFull
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.inbox.put_spacing import PutSpacing
from databricks_app.ingest.inbox.volume_reader import INBOX, Names, PendingWatch, pending
from databricks_app.ingest.inbox.waiting import STOPPING, WaitingQueue, WaitingRecords
from databricks_app.runtime.recurring import RecurringLog

HELD_BYTES = 256 << 20
# A Databricks App is killed 15 s after SIGTERM, and the loader needs a part of that time.
STOP_SECONDS = 5.0
_GROUP_BYTES = 4 << 20
_GROUP_RECORDS = 2_000
_ALONE_BYTES = 1 << 20
# Most groups of one event loop in the queue. All that wait share the next put; a record that could
# not enter the queue would wait for the put after it.
_LOOP_GROUPS = 1_000
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
_LONGEST_PAUSE_SECONDS = 60.0
# Errors that a repetition within the deadline cannot solve.
_LASTING = frozenset({"denied", "missing", "full", "refused"})
_PROBE_SECONDS = 5.0
_LOOK_SECONDS = 1.0


class VolumeInbox:
    """A `GroupAppender` that writes to a volume. Create it after the fork.

    Attributes:
        groups: See `GroupAppender`.
        pending: Returns the last count of what all processes have stored.
    """

    def __init__(
        self,
        files: Files,
        volume: str,
        *,
        spacing: PutSpacing | None = None,
        deadline_seconds: float = 3.0,
        held_bytes: int = HELD_BYTES,
        stop_seconds: float = STOP_SECONDS,
        names: Names | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        recurring: RecurringLog | None = None,
    ) -> None:
        """Open the inbox; a thread tests the volume in the background.

        Args:
            files: Files of the workspace.
            volume: `/Volumes/<catalog>/<schema>/<volume>`.
            spacing: When groups are put. Default: that of an instance with one process.
            deadline_seconds: How long a put is repeated.
            held_bytes: Most bytes of bodies in memory.
            stop_seconds: How long `close` waits for running puts.
            names: Names of the objects.
            monotonic: Clock for deadlines, seconds.
            recurring: Logs errors of this class; a new one by default.
        """
        self.groups = _LOOP_GROUPS
        self._files = files
        self._volume = volume
        self._deadline_seconds = deadline_seconds
        self._spacing = spacing or PutSpacing(deadline_seconds=deadline_seconds)
        self._under_way = 0
        self._stop_seconds = stop_seconds
        self._names = names or Names()
        self._monotonic = monotonic
        self._recurring = recurring or RecurringLog()
        self._queue = WaitingQueue(
            most_bytes=held_bytes, full=self._full_problem, monotonic=monotonic
        )
        self._paused_until = 0.0
        self._trouble: str | None = "the volume has not answered yet"
        self._troubled_since = monotonic()
        self.pending = PendingWatch(partial(pending, files, volume), monotonic=monotonic)
        self._stopping = threading.Event()
        self._uploaders = [
            threading.Thread(target=self._run, name=f"inbox-upload-{number}", daemon=True)
            for number in range(MOST_PUTS)
        ]
        self._watcher = threading.Thread(target=self._watch, name="inbox-volume", daemon=True)
        for thread in (*self._uploaders, self._watcher):
            thread.start()

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Store a record; see `Appender.append`."""
        self._queue.append(record, deadline_seconds)

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Begin to store records; see `GroupAppender.submit`.

        Raises:
            InboxFull: Too much waits already; `done` is not called.
        """
        return self._queue.submit(records, done)

    def trouble(self) -> str | None:
        """Return why an append would fail now, from the result of the last put; does no I/O."""
        if self._stopping.is_set():
            return STOPPING
        if (trouble := self._trouble) is None:
            return None
        return f"{trouble} (for {self._monotonic() - self._troubled_since:.0f} s)"

    def count_pending(self) -> Pending | None:
        """Return the last count, or None before the first one; does no I/O.

        Raises:
            InboxError: The last count failed or is too old; the text says why.
        """
        counted = self.pending()
        if (trouble := self.pending.trouble()) is not None:
            raise InboxError(trouble)
        return counted if self.pending.has_counted else None

    def close(self) -> None:
        """Refuse further records and finish the current ones, within `stop_seconds`."""
        self._stopping.set()
        self._queue.close()
        until = self._monotonic() + self._stop_seconds
        for thread in (*self._uploaders, self._watcher):
            thread.join(max(0.0, until - self._monotonic()))
        self._queue.abandon()

    def _run(self) -> None:
        while group := self._next_group():
            try:
                error = self._store(group)
            except Exception as cause:  # noqa: BLE001  # without this thread nothing is ever stored
                # Refuse this group; the next one is another object and may succeed.
                self._recurring.note_error("storing_failed", cause)
                error = InboxError(f"storing failed: {type(cause).__name__}")
                self._note(str(error))
            self._finish(group, error)

    def _finish(self, group: list[WaitingRecords], error: InboxError | None) -> None:
        queue = self._queue
        with queue.changed:
            self._under_way -= _requests(group)
            # Before the answer: a serial sender then posts its next request, to any process.
            self._spacing.note_busy(is_busy=self._under_way + queue.waiting_records > 0)
        queue.answer(group, error)

    def _next_group(self) -> list[WaitingRecords]:
        """Wait for a group and take it; an empty group means that the queue is closed."""
        queue = self._queue
        with queue.changed:
            while (left := self._seconds_to_group()) != 0:
                queue.changed.wait(left)
            if not self._is_alone():
                self._spacing.begin()
            group = queue.waiting[: _group_length(queue.waiting)]
            queue.take(group)
            self._under_way += _requests(group)
            if queue.waiting:
                queue.changed.notify()  # another thread can put the rest
        return group

    def _seconds_to_group(self) -> float | None:
        """Return how long the next group still waits for requests; None while there are none."""
        queue = self._queue
        if queue.is_closed:
            return 0
        if not queue.waiting:
            return None
        self._spacing.note_busy(is_busy=True)
        if self._is_alone() or self._is_group_full():
            return 0
        return self._spacing.seconds_left(queue.waiting[-1].since)

    def _is_alone(self) -> bool:
        return self._spacing.is_alone(self._under_way + self._queue.waiting_records)

    def _is_group_full(self) -> bool:
        queue = self._queue
        # Few and small ones need no count of each: this is asked for every record that arrives.
        if queue.waiting_records <= _GROUP_RECORDS and queue.waiting_bytes <= _ALONE_BYTES:
            return False
        return _group_length(queue.waiting) < len(queue.waiting)

    def _store(self, group: list[WaitingRecords]) -> InboxError | None:
        name, content = self._names.frame(record for one in group for record in one.records)
        path = f"{self._volume}/{INBOX}/{name}"
        until = max(one.since for one in group) + self._deadline_seconds
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        pause = 0.0
        while True:
            pause = max(pause, self._paused_until - self._monotonic())
            # Answer now if the group cannot be stored before its deadline.
            if self._monotonic() + pause >= until or (pause > 0 and self._stopping.wait(pause)):
                return InboxError(self._trouble or "the volume is too slow for the events")
            try:
                self._files.put(path, content, overwrite=True, seconds=until - self._monotonic())
            except WorkspaceError as error:
                self._note_refusal(error)
                if error.kind in _LASTING:
                    return InboxFull(str(error)) if error.kind == "full" else InboxError(str(error))
                pause = next(pauses)
            else:
                self._note(None)
                return None

    def _full_problem(self, waiting_bytes: int) -> str:
        reason = self._trouble or "it is too slow for the events"
        return f"{waiting_bytes} bytes of events wait for the volume: {reason}"

    def _note(self, trouble: str | None) -> None:
        if trouble is not None:
            self._recurring.note("volume_refuses", trouble)
        if self._trouble is None:
            self._troubled_since = self._monotonic()
        self._trouble = trouble

    def _note_refusal(self, error: WorkspaceError) -> None:
        if error.retry_after_seconds:
            # Retry-After applies to all puts, not only to this one.
            wait = min(error.retry_after_seconds, _LONGEST_PAUSE_SECONDS)
            self._paused_until = self._monotonic() + wait
        self._note(str(error))

    def _watch(self) -> None:
        """Test the volume at the start and while it fails; see `trouble`."""
        # Requests alone would not show that the volume works again: there may be none just then.
        path = f"{self._volume}/probe/{self._names.instance}"
        pause = 0.0
        while not self._stopping.wait(pause):
            # While puts succeed there is nothing to test, and a test costs two calls.
            if self._trouble is not None and self._monotonic() >= self._paused_until:
                try:
                    self._files.put(path, b"", overwrite=True, seconds=_PROBE_SECONDS)
                    self._files.delete(path)
                except WorkspaceError as error:
                    self._note_refusal(error)
                else:
                    self._note(None)
            pause = _LOOK_SECONDS


def _requests(waiting: Sequence[WaitingRecords]) -> int:
    return sum(len(one.records) for one in waiting)


def _group_length(waiting: Sequence[WaitingRecords]) -> int:
    """Return how many of the waiting entries the next group contains."""
    size = records = 0
    for number, one in enumerate(waiting):
        size += one.size
        records += len(one.records)
        # A large body is a group of its own: its upload would delay the answers to small ones.
        is_alone = max(one.size, waiting[0].size) > _ALONE_BYTES
        if number and (size > _GROUP_BYTES or records > _GROUP_RECORDS or is_alone):
            return number
    return len(waiting)
