"""The receiver's side of the inbox in a Unity Catalog volume: group commit into objects.

Whatever waits becomes one object, put through the Files API; the answer waits until the put is
answered. A put takes a hundred times as long as a sync of a disk, so a group is given a moment to
gather, and several are under way at once.

Where the outcome of a put is unknown (no answer, connection lost) its events are not acknowledged.
Within the deadline it is tried again under the same name, which changes nothing if the first one
had come through; after the deadline the sender repeats the events, and the tables take each once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat

from databricks_app.databricks.volume_files import Files
from databricks_app.databricks.workspace import WorkspaceError
from databricks_app.errors import InboxError, InboxFull
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.inbox.volume_reader import INBOX, Names, PendingWatch, pending
from databricks_app.ingest.inbox.waiting import STOPPING, WaitingQueue, WaitingRecords
from databricks_app.runtime.recurring import RecurringLog

LINGER_SECONDS = 0.01
HELD_BYTES = 256 << 20
STOP_SECONDS = 5.0
_GROUP_BYTES = 4 << 20
_GROUP_RECORDS = 2_000
_ALONE_BYTES = 1 << 20
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
_LONGEST_PAUSE_SECONDS = 60.0
_LASTING = frozenset({"denied", "missing", "full", "refused"})
_PROBE_SECONDS = 5.0
_LOOK_SECONDS = 1.0


class VolumeInbox:
    """A `GroupAppender` over a volume. Make it after the process has forked.

    Attributes:
        groups: As many as there may be puts under way.
        pending: Returns what all processes have stored, as last counted.
    """

    def __init__(
        self,
        files: Files,
        volume: str,
        *,
        deadline_seconds: float = 3.0,
        uploads: int = 8,
        linger_seconds: float = LINGER_SECONDS,
        held_bytes: int = HELD_BYTES,
        stop_seconds: float = STOP_SECONDS,
        names: Names | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        recurring: RecurringLog | None = None,
    ) -> None:
        """Open the inbox; the volume is tried in the background.

        Args:
            files: The workspace's.
            volume: `/Volumes/<catalog>/<schema>/<volume>`.
            deadline_seconds: How long a put is tried again.
            uploads: Puts under way at once.
            linger_seconds: How long a group gathers.
            held_bytes: Most bytes of bodies in memory.
            stop_seconds: How long `close` waits for what is under way.
            names: Of the objects.
            monotonic: Clock of deadlines.
            recurring: Logs faults of this class; one of its own if left out.
        """
        self.groups = uploads
        self._files = files
        self._volume = volume
        self._deadline_seconds = deadline_seconds
        self._linger_seconds = linger_seconds
        self._stop_seconds = stop_seconds
        self._names = names or Names()
        self._monotonic = monotonic
        self._recurring = recurring or RecurringLog()
        self._queue = WaitingQueue(
            most_bytes=held_bytes, full=self._full_words, monotonic=monotonic
        )
        self._paused_until = 0.0
        self._trouble: str | None = "the volume has not answered yet"
        self._troubled_since = monotonic()
        self.pending = PendingWatch(partial(pending, files, volume), monotonic=monotonic)
        self._stopping = threading.Event()
        self._uploaders = [
            threading.Thread(target=self._run, name=f"inbox-upload-{number}", daemon=True)
            for number in range(uploads)
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
        """Say why an append would fail now, as the last put showed; does no I/O."""
        if self._stopping.is_set():
            return STOPPING
        if (trouble := self._trouble) is None:
            return None
        return f"{trouble} (for {self._monotonic() - self._troubled_since:.0f} s)"

    def count_pending(self) -> Pending | None:
        """Return what was pending when it was last counted, None before; does no I/O.

        Raises:
            InboxError: It could not be counted, and why.
        """
        counted = self.pending()
        if (trouble := self.pending.trouble()) is not None:
            raise InboxError(trouble)
        return counted if self.pending.has_counted else None

    def close(self) -> None:
        """Refuse further records and finish those under way, in `stop_seconds` at most."""
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
            except Exception as fault:  # noqa: BLE001  # without this thread nothing is ever stored
                # The group is refused as a whole; the next one is an object of its own.
                self._recurring.note_error("storing_failed", fault)
                error = InboxError(f"storing failed: {type(fault).__name__}")
                self._note(str(error))
            self._queue.answer(group, error)

    def _next_group(self) -> list[WaitingRecords]:
        """Wait for a group and take it; empty at the end."""
        queue = self._queue
        with queue.changed:
            while (left := self._seconds_to_group()) != 0:
                queue.changed.wait(left)
            group = queue.waiting[: _group_length(queue.waiting)]
            queue.take(group)
            if queue.waiting:
                queue.changed.notify()
        return group

    def _seconds_to_group(self) -> float | None:
        waiting = self._queue.waiting
        if self._queue.is_closed:
            return 0
        if not waiting:
            return None
        if _group_length(waiting) < len(waiting):
            return 0
        return max(0.0, waiting[0].since + self._linger_seconds - self._monotonic())

    def _store(self, group: list[WaitingRecords]) -> InboxError | None:
        name, content = self._names.frame(record for one in group for record in one.records)
        path = f"{self._volume}/{INBOX}/{name}"
        until = max(one.since for one in group) + self._deadline_seconds
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        pause = 0.0
        while True:
            pause = max(pause, self._paused_until - self._monotonic())
            # What cannot be stored any more is answered at once.
            if self._monotonic() + pause >= until or (pause > 0 and self._stopping.wait(pause)):
                return InboxError(self._trouble or "the volume is slower than events come")
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

    def _full_words(self, waiting_bytes: int) -> str:
        reason = self._trouble or "it is slower than they come"
        return f"{waiting_bytes} bytes of events wait for the volume: {reason}"

    def _note(self, trouble: str | None) -> None:
        if trouble is not None:
            self._recurring.note("volume_refuses", trouble)
        if self._trouble is None:
            self._troubled_since = self._monotonic()
        self._trouble = trouble

    def _note_refusal(self, error: WorkspaceError) -> None:
        if error.retry_after_seconds:
            # The workspace means all of our puts.
            wait = min(error.retry_after_seconds, _LONGEST_PAUSE_SECONDS)
            self._paused_until = self._monotonic() + wait
        self._note(str(error))

    def _watch(self) -> None:
        """Try the volume at the start, and while it fails: nobody may be sending just then."""
        path = f"{self._volume}/probe/{self._names.instance}"
        pause = 0.0
        while not self._stopping.wait(pause):
            if self._trouble is not None and self._monotonic() >= self._paused_until:
                try:
                    self._files.put(path, b"", overwrite=True, seconds=_PROBE_SECONDS)
                    self._files.delete(path)
                except WorkspaceError as error:
                    self._note_refusal(error)
                else:
                    self._note(None)
            pause = _LOOK_SECONDS


def _group_length(waiting: Sequence[WaitingRecords]) -> int:
    size = records = 0
    for number, one in enumerate(waiting):
        size += one.size
        records += len(one.records)
        # One large body would hold up the answers to many small ones.
        is_alone = max(one.size, waiting[0].size) > _ALONE_BYTES
        if number and (size > _GROUP_BYTES or records > _GROUP_RECORDS or is_alone):
            return number
    return len(waiting)
