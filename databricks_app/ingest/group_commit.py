"""Answer webhook requests in an event loop, so that no thread waits for the disk.

All requests that are verified while one group is being made durable form the next group. The inbox
calls the loop once for each group, and the loop answers all requests of the group. A disk stores
one group at a time. A volume, where storing takes a hundred times as long, stores several. If the
inbox cannot store groups, or a request needs more than this module does, threads of the server call
the same receiver.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from databricks_app.errors import InboxError, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import GroupAppender
from databricks_app.ingest.receiver import Answer, WebhookReceiver

# The digest of a larger body would block the loop for too long.
SMALL_BODY_BYTES = 64 << 10

Reply = Callable[[int], None]


@dataclass(slots=True)
class _WaitingRequest:
    """A verified request: its record, when it arrived (monotonic seconds), and its callback."""

    record: Record
    arrived_at: float
    reply: Reply


@dataclass(slots=True, eq=False)
class _Group:
    """Requests that the inbox is making durable. Requests that wait too long leave the group."""

    waiting: deque[_WaitingRequest]
    cancel: Callable[[], bool] = field(default=lambda: False)


class GroupCommit:
    """Stores records in groups. Use it only in the thread of one event loop."""

    def __init__(
        self,
        receiver: WebhookReceiver,
        inbox: GroupAppender,
        defer: Callable[[Callable[[], None]], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create it without requests.

        Args:
            receiver: Verifies the requests and counts them.
            inbox: Stores the verified records.
            defer: Schedules a call in the loop. It is called from any thread and must not raise.
            monotonic: Clock, seconds.
        """
        self._receiver = receiver
        self._inbox = inbox
        self._defer = defer
        self._monotonic = monotonic
        self._next: deque[_WaitingRequest] = deque()
        self._groups: list[_Group] = []

    @classmethod
    def of(
        cls, receiver: WebhookReceiver, defer: Callable[[Callable[[], None]], None]
    ) -> GroupCommit | None:
        """Create one for a receiver; None if its inbox cannot store groups without a thread."""
        inbox = receiver.inbox
        return cls(receiver, inbox, defer) if isinstance(inbox, GroupAppender) else None

    def take(
        self, signature: bytes | None, timestamp: bytes | None, body: bytes, reply: Reply
    ) -> None:
        """Verify a request. A verified record waits for `submit`.

        Args:
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            body: The whole body.
            reply: Called with the status in the loop's thread; at once for a refused request.
        """
        examined = self._receiver.examine_bytes(signature, timestamp, body)
        if isinstance(examined, Answer):
            reply(examined.status)
        else:
            self.add(examined, reply)

    def add(self, record: Record, reply: Reply) -> None:
        """Add a verified record; it waits for `submit`.

        Args:
            record: The record that the receiver returned.
            reply: Called with the status in the loop's thread.
        """
        self._next.append(_WaitingRequest(record, self._monotonic(), reply))

    def submit(self) -> None:
        """Pass the waiting requests to the inbox, unless it already has its number of groups."""
        if len(self._groups) >= self._inbox.groups or not self._next:
            return
        group = _Group(self._next)
        self._groups.append(group)
        self._next = deque()
        records = [one.record for one in group.waiting]

        def done(error: InboxError | None) -> None:
            # The inbox calls this in a thread of its own.
            self._defer(partial(self._finish, group, error))

        try:
            # `done` can be called before `submit` returns; `_defer` keeps the order.
            group.cancel = self._inbox.submit(records, done)
        except InboxError as error:
            self._finish(group, error)

    def seconds_left(self) -> float | None:
        """Return the seconds until `expire` is due; None if no request waits."""
        # The queues are in the order of arrival, and there can be many of them.
        oldest = next((queue[0].arrived_at for queue in self._queues() if queue), None)
        if oldest is None:
            return None
        return max(0.0, oldest + self._receiver.append_deadline_seconds - self._monotonic())

    def expire(self) -> None:
        """Answer the requests that have waited until the deadline."""
        latest = self._monotonic() - self._receiver.append_deadline_seconds
        late = [queue.popleft() for queue in self._queues() for _ in range(_overdue(queue, latest))]
        if not late:
            return
        # Cancel groups that nobody waits for: a stuck disk must not keep their bodies in memory.
        self._groups = [one for one in self._groups if one.waiting or not one.cancel()]
        deadline = self._receiver.append_deadline_seconds
        self._complete(late, InboxTimeout(f"not durable within {deadline:g} s"))

    def _queues(self) -> Iterator[deque[_WaitingRequest]]:
        yield from (group.waiting for group in self._groups)
        yield self._next

    def _finish(self, group: _Group, error: InboxError | None) -> None:
        self._groups.remove(group)
        # Submit first: the disk stores the next group while the answers are written.
        self.submit()
        self._complete(group.waiting, error)

    def _complete(self, waiting: Sequence[_WaitingRequest], error: InboxError | None) -> None:
        if not waiting:
            return
        now = self._monotonic()
        seconds = [now - one.arrived_at for one in waiting]
        status = self._receiver.complete([one.record for one in waiting], seconds, error).status
        for one in waiting:
            one.reply(status)


def _overdue(queue: Sequence[_WaitingRequest], latest: float) -> int:
    """Count the requests at the head of a queue that arrived at `latest` or before."""
    number = 0
    for one in queue:
        if one.arrived_at > latest:
            break
        number += 1
    return number
