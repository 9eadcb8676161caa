"""The webhook route in the event loop: verify requests, store records.

No thread waits for a client or for a sync. Only an inbox without group commit stores in a pool of
threads. A body of up to `SMALL_BYTES` is collected and then verified. A larger body is verified
while it arrives, kept in memory or in a file (see `body`), and read back by a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial

from core.webhooks.signature import TEST_HEADER, SignatureCheck
from databricks_app.endpoint import LARGEST_FACTOR, is_test
from databricks_app.events.record import Record
from databricks_app.ingest.group_commit import GroupCommit
from databricks_app.ingest.receiver import Answer
from databricks_app.ingest.wsgi import WebhookFirst
from databricks_app.serving.http.body import NoRoom, Room, Spool
from databricks_app.serving.http.exchange import Client, Exchange
from databricks_app.serving.http.parser import Head

# A body of up to this size is kept in memory and verified in one step.
SMALL_BYTES = 64 << 10
# Most bytes of large bodies that are in memory at the same time to be stored.
STORING_BYTES = 64 << 20
_TEST_FIELD = TEST_HEADER.lower().encode()

Reply = Callable[[int], None]


class Receiving:
    """The webhook route of one worker. Use it in the thread of its loop."""

    def __init__(
        self,
        webhook: WebhookFirst,
        room: Room,
        loop: asyncio.AbstractEventLoop,
        threads: Executor,
        longest_wait_seconds: float,
    ) -> None:
        """Start without requests.

        Args:
            webhook: Has the receiver, which verifies and counts requests, and counts its calls.
            room: Memory and disk for bodies.
            loop: The event loop.
            threads: Threads that store records if the inbox has no group commit.
            longest_wait_seconds: How long a record may wait for a thread. The sender gives up
                soon after.
        """
        self.receiver = webhook.receiver
        self.room = room
        self._calls = webhook.calls
        self._note_pause = webhook.note_pause
        self._loop = loop
        self._threads = threads
        self._longest_wait_seconds = longest_wait_seconds
        self._group_commit = GroupCommit.of(self.receiver, self._defer)
        self._is_submit_due = False
        self._storing_bytes = 0
        self._waiting: deque[tuple[float, LargePost]] = deque()

    def exchange(self, client: Client, head: Head) -> Exchange:
        """Start the exchange of a request."""
        if head.length is not None and head.length <= SMALL_BYTES:
            return SmallPost(client, head, self)
        return LargePost(client, head, self)

    def claims(self, head: Head) -> tuple[bytes | None, bytes | None]:
        """Return signature and timestamp of a request, from its headers or its query."""
        signature = head.fields.get(b"x-cio-signature")
        timestamp = head.fields.get(b"x-cio-timestamp")
        if signature is None and timestamp is None:
            query = head.target.partition(b"#")[0].partition(b"?")[2].decode("latin-1")
            return self.receiver.claims(None, None, query)
        return signature, timestamp

    def store(self, record: Record, reply: Reply, *, is_ours: bool) -> None:
        """Store a record; the loop calls `reply` with the status.

        Args:
            record: A verified record.
            reply: Called once.
            is_ours: Whether the request is one of our tests, and says nothing about the sender.
        """
        if not is_ours:
            reply = self._counted(reply)
        if self._group_commit is not None:
            self._group_commit.add(record, reply)
            # Submit at the end of this turn of the loop: all records of the turn are one group.
            if not self._is_submit_due:
                self._is_submit_due = True
                self._loop.call_soon(self._submit, self._group_commit)
            return

        def finish(stored: Future[int]) -> None:
            # At its end the pool cancels the work that waits.
            status = 503 if stored.cancelled() or stored.exception() else stored.result()
            self._defer(partial(reply, status))

        stored = self._threads.submit(self._store_in_thread, record, time.monotonic())
        stored.add_done_callback(finish)

    def examine(self, head: Head, body: bytes, reply: Reply) -> None:
        """Verify a complete request and store its record."""
        signature, timestamp = self.claims(head)
        is_ours = is_test(head.fields.get(_TEST_FIELD))
        found = self.receiver.examine_bytes(signature, timestamp, body, is_test=is_ours)
        if isinstance(found, Answer):
            reply(found.status)
        else:
            self.store(found, reply, is_ours=is_ours)

    def examine_large(
        self, check: SignatureCheck, spool: Spool, done: Callable[[Answer | Record | None], None]
    ) -> None:
        """Decide about a complete large body; a thread reads it back if it is in a file.

        Args:
            check: The signature check, updated with the whole body.
            spool: The body; nothing else may use it until `done` is called.
            done: Called in the loop with the result; None if the threads have ended.
        """
        work = partial(self.receiver.examine, check, spool.kept, spool.size, spool.sha256())
        if not spool.is_in_file:
            done(work())
            return

        def finish(examined: Future[Answer | Record]) -> None:
            # At its end the pool cancels the work that waits.
            result = None if examined.cancelled() else examined.result()
            self._defer(partial(done, result))

        self._threads.submit(work).add_done_callback(finish)

    def store_large(self, post: LargePost) -> None:
        """Store a large body when there is memory for it, in the order of arrival."""
        self._waiting.append((time.monotonic(), post))
        self._store_waiting()

    def sweep(self) -> None:
        """Do the periodic work: refuse what has waited too long."""
        if self._group_commit is not None:
            self._group_commit.expire()
            self._group_commit.submit()
        latest = time.monotonic() - self.receiver.append_deadline_seconds
        while self._waiting and self._waiting[0][0] <= latest:
            post = self._waiting.popleft()[1]
            self.receiver.refuse("inbox_timeout", 503)
            post.answer(503)

    def _counted(self, reply: Reply) -> Reply:
        """Count a call of the sender, from now until its answer."""
        call = self._calls.begin(time.monotonic())
        if call.pause_seconds is not None:
            self._note_pause(call.pause_seconds)

        def end(status: int) -> None:
            self._calls.end(call, time.monotonic())
            reply(status)

        return end

    def _store_waiting(self) -> None:
        while self._waiting:
            post = self._waiting[0][1]
            size = post.kept_bytes
            # A body larger than the limit is stored alone.
            if self._storing_bytes and self._storing_bytes + size > STORING_BYTES:
                return
            self._waiting.popleft()
            self._storing_bytes += size
            post.conclude(partial(self._finish_large, post, size))

    def _finish_large(self, post: LargePost, size: int, status: int) -> None:
        self._storing_bytes -= size
        post.answer(status)
        self._store_waiting()

    def _store_in_thread(self, record: Record, since: float) -> int:
        if time.monotonic() - since > self._longest_wait_seconds:
            self.receiver.refuse("overloaded", 503)
            return 503
        return self.receiver.store(record).status

    def _submit(self, group_commit: GroupCommit) -> None:
        self._is_submit_due = False
        group_commit.submit()

    def _defer(self, call: Callable[[], None]) -> None:
        """Call in the loop; may be called from any thread."""
        with suppress(RuntimeError):  # the loop has ended, so nobody waits for the call
            self._loop.call_soon_threadsafe(call)


class SmallPost(Exchange):
    """A webhook request that is verified when it is complete."""

    __slots__ = ("_held_bytes", "_pieces", "_receiving")

    def __init__(self, client: Client, head: Head, receiving: Receiving) -> None:
        """Start with the head only."""
        super().__init__(client, head)
        self._receiving = receiving
        self._pieces: list[bytes] = []
        self._held_bytes = 0

    def write(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self._pieces.append(piece)
        self._held_bytes += len(piece)
        self._receiving.room.take_memory(len(piece))

    def start(self) -> None:
        """Verify the request and store its record."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._receiving.examine(self.head, body, partial(self.client.reply, self))

    def drop(self) -> None:
        """Release the memory."""
        self._receiving.room.take_memory(-self._held_bytes)
        self._held_bytes = 0
        self._pieces = []


class LargePost(Exchange):
    """A webhook request whose body is verified while it arrives."""

    __slots__ = (
        "_check",
        "_is_dropped",
        "_is_ours",
        "_is_read_back",
        "_max_bytes",
        "_receiving",
        "_spool",
    )

    def __init__(self, client: Client, head: Head, receiving: Receiving) -> None:
        """Check the head; if that decides the answer, the body is not kept."""
        super().__init__(client, head)
        self._receiving = receiving
        self._is_dropped = self._is_read_back = False
        receiver = receiving.receiver
        self._max_bytes = receiver.max_body_bytes * LARGEST_FACTOR
        self._spool = Spool(receiving.room, head.length, receiver.max_body_bytes)
        signature, timestamp = receiving.claims(head)
        self._is_ours = is_test(head.fields.get(_TEST_FIELD))
        self._check = receiver.begin(signature, timestamp, head.length, is_test=self._is_ours)
        if isinstance(self._check, Answer):
            self.decide(self._check.status)

    @property
    def kept_bytes(self) -> int:
        """Number of bytes that will be stored."""
        return self._spool.kept_bytes

    def write(self, piece: bytes) -> None:
        """Keep a piece of the body and add it to the signature check."""
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
        if self._spool.size > self._max_bytes:
            self._receiving.receiver.refuse("too_large", 413)
            self.decide(413)

    def start(self) -> None:
        """Send the decided answer, or verify and store the body."""
        if self.decided:
            self.client.reply(self, self.decided)
        else:
            self._receiving.store_large(self)

    def conclude(self, reply: Reply) -> None:
        """Verify the complete body and store it."""
        if isinstance(self._check, Answer) or self._is_dropped:
            reply(503)  # the client has gone; this releases the memory for the next body
            return
        self._is_read_back = True
        self._receiving.examine_large(self._check, self._spool, partial(self._examined, reply))

    def answer(self, status: int) -> None:
        """Answer the client, if it is still there."""
        self.client.reply(self, status)

    def drop(self) -> None:
        """Release memory and disk."""
        self._is_dropped = True
        if not self._is_read_back:  # else a thread reads the file: `_examined` closes it
            self._spool.close()

    def _examined(self, reply: Reply, found: Answer | Record | None) -> None:
        self._is_read_back = False
        self._spool.close()
        if found is None:
            reply(503)
        elif isinstance(found, Answer):
            reply(found.status)
        else:
            self._receiving.store(found, reply, is_ours=self._is_ours)
