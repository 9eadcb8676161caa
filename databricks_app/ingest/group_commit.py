"""Webhook requests answered in an event loop, so that no thread waits for the disk.

Whatever is verified while a group is being made durable is the next group: the inbox calls the
loop once for each, and the loop answers all of its requests. A disk has one group at a time, a
volume, which takes a hundred times as long, several. Where an inbox cannot do that, or a request is
not plain, threads of the server call the same receiver.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from databricks_app.errors import InboxError, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import GroupAppender
from databricks_app.ingest.receiver import Answer, WebhookReceiver

# Larger bodies would keep the loop busy with their digests.
SMALL_BODY_BYTES = 64 << 10

Reply = Callable[[int], None]


@dataclass(slots=True)
class _WaitingRequest:
    """A verified request: what it is to store, since when, and what is called with its status."""

    record: Record
    since: float
    reply: Reply


@dataclass(slots=True, eq=False)
class _Group:
    """What is being made durable; requests that wait too long leave it."""

    waiting: deque[_WaitingRequest]
    take_back: Callable[[], bool] = field(default=lambda: False)


class GroupCommit:
    """Has records stored in groups. Use it in the thread of one event loop."""

    def __init__(
        self,
        receiver: WebhookReceiver,
        inbox: GroupAppender,
        defer: Callable[[Callable[[], None]], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without requests.

        Args:
            receiver: Examines the requests and counts them.
            inbox: Stores what the receiver verified.
            defer: Has the loop call something soon; is called in any thread and must not raise.
            monotonic: Seconds.
        """
        self._receiver = receiver
        self._inbox = inbox
        self._defer = defer
        self._monotonic = monotonic
        self._gathered: deque[_WaitingRequest] = deque()
        self._groups: list[_Group] = []

    @classmethod
    def of(
        cls, receiver: WebhookReceiver, defer: Callable[[Callable[[], None]], None]
    ) -> GroupCommit | None:
        """Make one for a receiver; None if its inbox only stores while a thread waits."""
        inbox = receiver.inbox
        return cls(receiver, inbox, defer) if isinstance(inbox, GroupAppender) else None

    def take(
        self, signature: bytes | None, timestamp: bytes | None, body: bytes, reply: Reply
    ) -> None:
        """Examine a request; what is to be stored waits for `submit`.

        Args:
            signature: Header `X-CIO-Signature` as received.
            timestamp: Header `X-CIO-Timestamp` as received.
            body: All of it.
            reply: Called with the status in the loop's thread, at once if it is refused.
        """
        found = self._receiver.examine_bytes(signature, timestamp, body)
        if isinstance(found, Answer):
            reply(found.status)
        else:
            self.add(found, reply)

    def add(self, record: Record, reply: Reply) -> None:
        """Have an examined record stored; it waits for `submit`.

        Args:
            record: What the receiver returned.
            reply: Called with the status in the loop's thread.
        """
        self._gathered.append(_WaitingRequest(record, self._monotonic(), reply))

    def submit(self) -> None:
        """Hand what has gathered to the inbox, unless it has as many groups as it can use."""
        if len(self._groups) >= self._inbox.groups or not self._gathered:
            return
        group = _Group(self._gathered)
        self._groups.append(group)
        self._gathered = deque()
        records = [one.record for one in group.waiting]
        try:
            group.take_back = self._inbox.submit(records, partial(self._done, group))
        except InboxError as error:
            self._finish(group, error)

    def seconds_left(self) -> float | None:
        """Return when `expire` is due; None if no request waits."""
        since = [queue[0].since for queue in self._queues() if queue]
        if not since:
            return None
        return max(0.0, min(since) + self._receiver.append_deadline_seconds - self._monotonic())

    def expire(self) -> None:
        """Answer the requests that have waited until the deadline."""
        latest = self._monotonic() - self._receiver.append_deadline_seconds
        late = [queue.popleft() for queue in self._queues() for _ in range(_overdue(queue, latest))]
        if not late:
            return
        # A stuck disk must not gather the bodies of all senders that have long gone.
        self._groups = [one for one in self._groups if one.waiting or not one.take_back()]
        deadline = self._receiver.append_deadline_seconds
        self._complete(late, InboxTimeout(f"not durable within {deadline:g} s"))

    def _queues(self) -> list[deque[_WaitingRequest]]:
        return [*(group.waiting for group in self._groups), self._gathered]

    def _done(self, group: _Group, error: InboxError | None) -> None:
        self._defer(partial(self._finish, group, error))

    def _finish(self, group: _Group, error: InboxError | None) -> None:
        self._groups.remove(group)
        self.submit()  # the disk works on while the answers are written
        self._complete(group.waiting, error)

    def _complete(self, waiting: Sequence[_WaitingRequest], error: InboxError | None) -> None:
        if not waiting:
            return
        now = self._monotonic()
        seconds = [now - one.since for one in waiting]
        status = self._receiver.complete([one.record for one in waiting], seconds, error).status
        for one in waiting:
            one.reply(status)


def _overdue(queue: Sequence[_WaitingRequest], latest: float) -> int:
    """Count those at the head of a queue that wait since `latest` or longer."""
    number = 0
    for one in queue:
        if one.since > latest:
            break
        number += 1
    return number
