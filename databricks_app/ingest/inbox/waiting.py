"""The queue of records that are not durable yet, for waiting threads and for event loops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record

STOPPING = "the receiver is stopping"


@dataclass(frozen=True, slots=True, eq=False)
class WaitingRecords:
    """Records that become durable together, or not at all.

    Attributes:
        records: At least one.
        done: Called once: with None when they are durable, or with the reason why they are not.
        since: When they were submitted, monotonic seconds.
        size: Total size of the bodies in bytes.
    """

    records: Sequence[Record]
    done: Callable[[InboxError | None], None]
    since: float
    size: int


class WaitingQueue:
    """Records that wait or are being stored, until their `done` is called. Safe for threads.

    Attributes:
        changed: Lock of the queue; notified when records are added and when the queue is closed.
        waiting: Records that are not being stored yet, oldest first; read it only under `changed`.
        waiting_records: Number of the records in `waiting`.
        waiting_bytes: Total size of their bodies.
        is_closed: Whether the queue refuses new records.
    """

    def __init__(
        self,
        *,
        most_bytes: int | None = None,
        full: Callable[[int], str] = "{} bytes of events wait".format,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create an empty queue.

        Args:
            most_bytes: Most bytes of bodies in the queue; None for no limit. A single body may
                exceed it.
            full: Returns the error text when there is no room, from the number of waiting bytes.
            monotonic: Clock, seconds.
        """
        self.changed = threading.Condition()
        self.waiting: list[WaitingRecords] = []
        self.waiting_records = 0
        self.waiting_bytes = 0
        self.is_closed = False
        self._most_bytes = most_bytes
        self._full = full
        self._monotonic = monotonic
        self._unanswered: set[WaitingRecords] = set()
        self._bytes = 0

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Submit a record and wait for it; see `Appender.append`."""
        outcome: Future[InboxError | None] = Future()
        cancel = self.submit((record,), outcome.set_result)
        try:
            error = outcome.result(deadline_seconds)
        except TimeoutError:
            # A stuck disk must not keep the bodies of senders that have given up in memory.
            cancel()
            raise InboxTimeout(f"not durable within {deadline_seconds:g} s") from None
        if error is not None:
            raise error

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Add records; see `GroupAppender.submit`.

        Raises:
            InboxClosed: The process is stopping; `done` is not called.
            InboxFull: Too many bytes wait already; `done` is not called.
        """
        size = sum(len(record.body) for record in records)
        added = WaitingRecords(records, done, self._monotonic(), size)
        with self.changed:
            if self.is_closed:
                raise InboxClosed(STOPPING)
            most = self._most_bytes
            # An empty queue accepts every body: otherwise a large one could never be stored.
            if most is not None and self._bytes and self._bytes + size > most:
                raise InboxFull(self._full(self._bytes))
            self._bytes += size
            self._unanswered.add(added)
            self.waiting.append(added)
            self._count(added)
            self.changed.notify()
        return partial(self._cancel, added)

    def take(self, group: Collection[WaitingRecords]) -> None:
        """Remove a group from `waiting` to store it. Call it only under `changed`."""
        taken = set(group)
        self.waiting = [one for one in self.waiting if one not in taken]
        for one in taken:
            self._count(one, -1)

    def answer(self, group: Collection[WaitingRecords], error: InboxError | None) -> None:
        """Call `done` for the records of a group that have no answer yet."""
        with self.changed:
            left = [one for one in group if one in self._unanswered]
            self._unanswered.difference_update(left)
            self._bytes -= sum(one.size for one in left)
        # Outside the lock: `done` is code of the caller.
        for one in left:
            one.done(error)

    def close(self) -> None:
        """Refuse new records; the waiting ones are still to be stored."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def abandon(self) -> None:
        """Answer all remaining records with `InboxClosed`."""
        with self.changed:
            left = list(self._unanswered)
            self.waiting = []
            self.waiting_records = self.waiting_bytes = 0
        self.answer(left, InboxClosed(STOPPING))

    def _cancel(self, added: WaitingRecords) -> bool:
        with self.changed:
            if added not in self.waiting:
                return False
            self.waiting.remove(added)
            self._count(added, -1)
            self._unanswered.remove(added)
            self._bytes -= added.size
        return True

    def _count(self, one: WaitingRecords, sign: int = 1) -> None:
        self.waiting_records += sign * len(one.records)
        self.waiting_bytes += sign * one.size
