"""The webhook route in the event loop: requests to the receiver, records to group commit.

No thread waits for a client or for a sync. Where the inbox stores only while a thread waits, a
pool of threads does that. Bodies up to `SMALL_BYTES` are collected and examined at once; larger
ones are examined from their head on while they arrive, see `body`, and read back by a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial

from core.webhooks.signature import SignatureCheck
from databricks_app.endpoint import LARGEST_FACTOR
from databricks_app.events.record import Record
from databricks_app.ingest.group_commit import GroupCommit
from databricks_app.ingest.receiver import Answer, WebhookReceiver
from databricks_app.serving.http.body import NoRoom, Room, Spool
from databricks_app.serving.http.exchange import Client, Exchange
from databricks_app.serving.http.parser import Head

SMALL_BYTES = 64 << 10
# Bytes of large bodies that are in memory at once to be stored.
STORING_BYTES = 64 << 20

Reply = Callable[[int], None]


class Receiving:
    """The webhook route of one worker. Use it in the thread of its loop."""

    def __init__(
        self,
        receiver: WebhookReceiver,
        room: Room,
        loop: asyncio.AbstractEventLoop,
        threads: Executor,
        longest_wait_seconds: float,
    ) -> None:
        """Begin without requests.

        Args:
            receiver: Examines and counts.
            room: For bodies.
            loop: The event loop.
            threads: Where records are stored if the inbox cannot serve an event loop.
            longest_wait_seconds: How long a record may wait for a thread; its sender is gone soon
                after.
        """
        self.receiver = receiver
        self.room = room
        self._loop = loop
        self._threads = threads
        self._patience_seconds = longest_wait_seconds
        self._group_commit = GroupCommit.of(receiver, self._defer)
        self._is_due = False
        self._storing = 0
        self._waiting: deque[tuple[float, LargePost]] = deque()

    def exchange(self, client: Client, head: Head) -> Exchange:
        """Begin a request."""
        if head.length is not None and head.length <= SMALL_BYTES:
            return SmallPost(client, head, self)
        return LargePost(client, head, self)

    def claims(self, head: Head) -> tuple[bytes | None, bytes | None]:
        """Return signature and timestamp of a request."""
        signature = head.fields.get(b"x-cio-signature")
        timestamp = head.fields.get(b"x-cio-timestamp")
        if signature is None and timestamp is None:
            query = head.target.partition(b"#")[0].partition(b"?")[2].decode("latin-1")
            return self.receiver.claims(None, None, query)
        return signature, timestamp

    def store(self, record: Record, reply: Reply) -> None:
        """Have a record stored; the reply is called with the status, in the loop."""
        if self._group_commit is not None:
            self._group_commit.add(record, reply)
            self._wake()
            return
        stored = self._threads.submit(self._store_in_thread, record, time.monotonic())
        stored.add_done_callback(partial(self._stored, reply))

    def examine(self, head: Head, body: bytes, reply: Reply) -> None:
        """Examine a whole request and have it stored."""
        signature, timestamp = self.claims(head)
        found = self.receiver.examine_bytes(signature, timestamp, body)
        if isinstance(found, Answer):
            reply(found.status)
        else:
            self.store(found, reply)

    def examine_large(
        self, check: SignatureCheck, spool: Spool, done: Callable[[Answer | Record | None], None]
    ) -> None:
        """Examine a whole body of which the file is read back in a thread.

        Args:
            check: Fed with all of the body.
            spool: The body; nothing else may use it until `done` is called.
            done: Called in the loop with the outcome; None if the threads have ended.
        """
        work = partial(self.receiver.examine, check, spool.kept, spool.size, spool.sha256())
        if not spool.is_in_file:
            done(work())
            return
        examined = self._threads.submit(work)
        examined.add_done_callback(lambda one: self._defer(partial(done, _result(one))))

    def store_large(self, post: LargePost) -> None:
        """Have a large body stored when there is memory for it: the first that came is next."""
        self._waiting.append((time.monotonic(), post))
        self._store_waiting()

    def sweep(self) -> None:
        """Look at the clock: refuse what has waited too long."""
        if self._group_commit is not None:
            self._group_commit.expire()
            self._group_commit.submit()
        latest = time.monotonic() - self.receiver.append_deadline_seconds
        while self._waiting and self._waiting[0][0] <= latest:
            post = self._waiting.popleft()[1]
            self.receiver.refuse("inbox_timeout", 503)
            post.answer(503)

    def _store_waiting(self) -> None:
        while self._waiting:
            post = self._waiting[0][1]
            size = post.kept_bytes
            if self._storing and self._storing + size > STORING_BYTES:
                return
            self._waiting.popleft()
            self._storing += size
            post.conclude(partial(self._large_done, post, size))

    def _large_done(self, post: LargePost, size: int, status: int) -> None:
        self._storing -= size
        post.answer(status)
        self._store_waiting()

    def _store_in_thread(self, record: Record, since: float) -> int:
        if time.monotonic() - since > self._patience_seconds:
            self.receiver.refuse("overloaded", 503)
            return 503
        return self.receiver.store(record).status

    def _stored(self, reply: Reply, stored: Future[int]) -> None:
        # A pool that ends cancels what waits.
        status = 503 if stored.cancelled() or stored.exception() else stored.result()
        self._defer(partial(reply, status))

    def _wake(self) -> None:
        """Hand over, at the end of this turn of the loop, all that came in it: one group."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._submit)

    def _submit(self) -> None:
        self._is_due = False
        if self._group_commit is not None:
            self._group_commit.submit()

    def _defer(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended, and all who waited with it
            self._loop.call_soon_threadsafe(call)


class SmallPost(Exchange):
    """A webhook request that is examined when all of it has come."""

    __slots__ = ("_held", "_pieces", "_receiving")

    def __init__(self, client: Client, head: Head, receiving: Receiving) -> None:
        """Begin with the head alone."""
        super().__init__(client, head)
        self._receiving = receiving
        self._pieces: list[bytes] = []
        self._held = 0

    def write(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self._pieces.append(piece)
        self._held += len(piece)
        self._receiving.room.take_memory(len(piece))

    def start(self) -> None:
        """Examine it and have it stored."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._receiving.examine(self.head, body, partial(self.client.reply, self))

    def drop(self) -> None:
        """Give back the memory."""
        self._receiving.room.take_memory(-self._held)
        self._held = 0
        self._pieces = []


class LargePost(Exchange):
    """A webhook request whose body is examined while it arrives."""

    __slots__ = ("_check", "_is_dropped", "_is_read_back", "_most", "_receiving", "_spool")

    def __init__(self, client: Client, head: Head, receiving: Receiving) -> None:
        """Examine the head: where it decides, the body is not read."""
        super().__init__(client, head)
        self._receiving = receiving
        self._is_dropped = self._is_read_back = False
        receiver = receiving.receiver
        self._most = receiver.max_body_bytes * LARGEST_FACTOR
        self._spool = Spool(receiving.room, head.length, receiver.max_body_bytes)
        signature, timestamp = receiving.claims(head)
        self._check = receiver.begin(signature, timestamp, head.length)
        if isinstance(self._check, Answer):
            self.decide(self._check.status)

    @property
    def kept_bytes(self) -> int:
        """Bytes that are to be stored."""
        return self._spool.kept_bytes

    def write(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if self.decided or isinstance(self._check, Answer):
            return
        try:
            self._spool.write(piece)
        except (NoRoom, OSError) as error:
            detail = "files" if isinstance(error, NoRoom) else "disk"
            self._receiving.receiver.refuse("no_room", 503, detail)
            self.decide(503)
            return
        self._check.update(piece)
        if self._spool.size > self._most:
            self._receiving.receiver.refuse("too_large", 413)
            self.decide(413)

    def start(self) -> None:
        """Have it stored if it is verified."""
        if self.decided:
            self.client.reply(self, self.decided)
        else:
            self._receiving.store_large(self)

    def conclude(self, reply: Reply) -> None:
        """Decide about the whole body and have it stored."""
        if isinstance(self._check, Answer) or self._is_dropped:
            reply(503)  # to nobody
            return
        self._is_read_back = True
        self._receiving.examine_large(self._check, self._spool, partial(self._examined, reply))

    def answer(self, status: int) -> None:
        """Answer the client, if it is still there."""
        self.client.reply(self, status)

    def drop(self) -> None:
        """Give back memory and disk, though not while a thread reads there."""
        self._is_dropped = True
        if not self._is_read_back:
            self._spool.close()

    def _examined(self, reply: Reply, found: Answer | Record | None) -> None:
        self._is_read_back = False
        self._spool.close()
        if found is None:
            reply(503)
        elif isinstance(found, Answer):
            reply(found.status)
        else:
            self._receiving.store(found, reply)


def _result(examined: Future[Answer | Record]) -> Answer | Record | None:
    """Return an outcome; None where a pool that ends has cancelled it."""
    return None if examined.cancelled() else examined.result()
