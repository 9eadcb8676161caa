"""Records that wait to be durable, whether a thread waits for them or an event loop is called."""

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
        records: One at least.
        done: Called once, with None when they are durable, or with why they are not.
        since: When they came, monotonic seconds.
        size: Bytes of their bodies.
    """

    records: Sequence[Record]
    done: Callable[[InboxError | None], None]
    since: float
    size: int


class WaitingQueue:
    """What waits, what is being stored, and whose `done` has not been called. Threads share one.

    Attributes:
        changed: Guards the queue; notified when something comes, and when it closes.
        waiting: What nobody has taken yet, in the order of its coming; read it under `changed`.
        is_closed: Whether nothing more is taken in.
    """

    def __init__(
        self,
        *,
        most_bytes: int | None = None,
        full: Callable[[int], str] = "{} bytes of events wait".format,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing.

        Args:
            most_bytes: Most bytes of bodies at once, if there is a limit; one body may exceed it.
            full: Says in words, from the number of bytes that wait, why there is no room.
            monotonic: Seconds.
        """
        self.changed = threading.Condition()
        self.waiting: list[WaitingRecords] = []
        self.is_closed = False
        self._most_bytes = most_bytes
        self._full = full
        self._monotonic = monotonic
        self._unanswered: set[WaitingRecords] = set()
        self._bytes = 0

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Submit a record and wait for it; see `Appender.append`."""
        outcome: Future[InboxError | None] = Future()
        take_back = self.submit((record,), outcome.set_result)
        try:
            error = outcome.result(deadline_seconds)
        except TimeoutError:
            # A stuck disk must not gather the bodies of all senders that have long gone.
            take_back()
            raise InboxTimeout(f"not durable within {deadline_seconds:g} s") from None
        if error is not None:
            raise error

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Add records; see `GroupAppender.submit`.

        Raises:
            InboxClosed: The process is stopping; `done` is not called.
            InboxFull: Too much waits already; `done` is not called.
        """
        size = sum(len(record.body) for record in records)
        added = WaitingRecords(records, done, self._monotonic(), size)
        with self.changed:
            if self.is_closed:
                raise InboxClosed(STOPPING)
            most = self._most_bytes
            if most is not None and self._bytes and self._bytes + size > most:
                raise InboxFull(self._full(self._bytes))
            self._bytes += size
            self._unanswered.add(added)
            self.waiting.append(added)
            self.changed.notify()
        return partial(self._take_back, added)

    def take(self, group: Collection[WaitingRecords]) -> None:
        """Take a group out of `waiting`, to store it. Call it under `changed`."""
        taken = set(group)
        self.waiting = [one for one in self.waiting if one not in taken]

    def answer(self, group: Collection[WaitingRecords], error: InboxError | None) -> None:
        """Call `done` of those of a group that have no answer yet."""
        with self.changed:
            left = [one for one in group if one in self._unanswered]
            self._unanswered.difference_update(left)
            self._bytes -= sum(one.size for one in left)
        for one in left:
            one.done(error)

    def close(self) -> None:
        """Take in no more; what is there is still to be stored."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def abandon(self) -> None:
        """Answer all that is left with `InboxClosed`."""
        with self.changed:
            left = list(self._unanswered)
            self.waiting = []
        self.answer(left, InboxClosed(STOPPING))

    def _take_back(self, added: WaitingRecords) -> bool:
        with self.changed:
            if added not in self.waiting:
                return False
            self.waiting.remove(added)
            self._unanswered.remove(added)
            self._bytes -= added.size
        return True
