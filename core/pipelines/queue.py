"""A queue that sends items in the background, in batches.

Every item that the queue accepts is either accepted by the vendor or passed to `on_error`. With one
thread the items arrive in the order in which they were put; with several threads they may not.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from typing import TYPE_CHECKING, Self

from core.errors import (
    CustomerIOError,
    QueueClosedError,
    QueueError,
    QueueFullError,
)
from core.http import forks
from core.http.retries import RetryPolicy
from core.pipelines.buffer import Buffer, BufferLimits, QueuedBatch
from core.pipelines.client import PipelinesClient, decoded
from core.pipelines.encoding import MAX_BATCH_BYTES, envelope, room
from core.pipelines.queue_options import RETRIES, OnError, Stats, WhenFull, check_options
from core.pipelines.rejections import Undelivered, delivered
from core.pipelines.sigterm import close_on_sigterm
from core.pipelines.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.pipelines.items import Item

logger = logging.getLogger(__name__)


class PipelinesQueue(Surface):
    """Accepts items from any thread and sends them in the background.

    In a forked child the queue is empty, because the parent sends the items that it put. A child
    that ends with `os._exit`, as a child of `multiprocessing` does, must call `close` itself.
    """

    def __init__(
        self,
        client: PipelinesClient,
        *,
        max_items: int = 500,
        max_bytes: int = MAX_BATCH_BYTES,
        interval_seconds: float = 0.5,
        capacity: int = 10_000,
        capacity_bytes: int = 64 << 20,
        when_full: WhenFull = "block",
        block_seconds: float | None = None,
        threads: int = 1,
        retries: RetryPolicy = RETRIES,
        on_error: OnError | None = None,
        exit_seconds: float = 10.0,
        flush_on_sigterm: bool = False,
    ) -> None:
        """Create a queue. Its threads start with the first item.

        Args:
            client: Sends the batches. The caller closes it, after the queue.
            max_items: The most items in a batch.
            max_bytes: The maximum size of the body of a batch.
            interval_seconds: How long after its first item a batch that is not full is sent.
            capacity: The most items that may wait, without those that are being sent.
            capacity_bytes: The maximum size of the encoded items that wait.
            when_full: `block` waits for room, `drop_oldest` passes the oldest items to `on_error`,
                `raise` refuses the new item with `QueueFullError`.
            block_seconds: How long `block` waits before `QueueFullError`; None: without limit.
            threads: The number of sending threads. Only one thread keeps the order of the items.
            retries: How often and how long a batch is repeated.
            on_error: Called with the error and the items of a failed batch, message ids included.
                An item that the vendor rejects is passed alone: `vendor_message` of the error says
                why, and the other items of its batch are delivered.
                It runs in a sending thread, or in the thread that dropped the items or closed the
                queue. Without it, the number of lost items is logged as an error.
            exit_seconds: How long the exit of the interpreter waits for the remaining items.
            flush_on_sigterm: Whether SIGTERM closes the queue, for `exit_seconds` at most, before
                it ends the process. A handler of SIGTERM that is there already is called then.

        Raises:
            ConfigurationError: A limit is out of its range, or `flush_on_sigterm` is used outside
                the main thread.
        """
        check_options(max_items, max_bytes, capacity, capacity_bytes, threads, when_full)
        self._client = client
        self._limits = BufferLimits(
            max_items, room(envelope(None, None), max_bytes), capacity, capacity_bytes
        )
        self._interval_seconds = interval_seconds
        self._when_full = when_full
        self._block_seconds = block_seconds
        self._thread_count = threads
        self._retries = retries
        self._on_error = on_error
        self._exit_seconds = exit_seconds
        self._is_closing = False
        self._is_registered = False
        self.after_fork()
        forks.watch(self)
        if flush_on_sigterm:
            close_on_sigterm(self._exit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after_fork(self) -> None:
        """Start empty in a forked child: items, threads and locks belong to the parent."""
        # Re-entrant, because a signal handler may put an item while its thread holds the lock.
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._given_up = threading.Event()
        self._buffer = Buffer(self._limits)
        self._threads: set[threading.Thread] = set()
        self._flush_below = 0
        self._batch_started_at = 0.0
        self._delivered = self._failed = 0

    def put(self, item: Item) -> str:
        """Add an item as the vendor specifies it; return its message id.

        Raises:
            ValidationError: Names the field.
            SizeError: The item is larger than 32,000 bytes.
            QueueFullError: The queue is full (`when_full="raise"`, or after `block_seconds`).
            QueueClosedError: The queue is closed.
        """
        # Encoded now: later changes of the item have no effect, and every repeated call sends the
        # same bytes with the same message ids.
        message_id, data = self._client.encoded(item, "item")
        self._add(data)
        return message_id

    def flush(self, timeout: float | None = 30.0) -> bool:
        """Send all items that were put before this call, and wait for the results.

        Args:
            timeout: Seconds; None: without limit.

        Returns:
            Whether all these items were delivered or passed to `on_error` within the timeout.

        Raises:
            QueueError: Called from `on_error`, where it would wait for itself.
        """
        with self._lock:
            if threading.current_thread() in self._threads:
                raise QueueError(
                    "flush: must not be called from on_error, it would wait for itself"
                )
            target = self._buffer.accepted
            self._flush_below = max(self._flush_below, target)
            if self._buffer.waiting:
                self._start_threads()
            self._work.notify_all()
            return self._progress.wait_for(
                lambda: self._buffer.settled_below >= target, timeout=timeout
            )

    def close(self, timeout: float = 30.0) -> bool:
        """Accept no more items, send the remaining items, and end the threads.

        Items without a result after the timeout are passed to `on_error` with `QueueClosedError`.
        A second call returns immediately.

        Args:
            timeout: Seconds.

        Returns:
            Whether all items had a result within the timeout.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            self._is_closing = True
            # After `sys.exit` in on_error there may be no thread.
            if self._buffer.waiting:
                self._start_threads()
            self._work.notify_all()
            # Callers that wait in `put` for room get QueueClosedError.
            self._progress.notify_all()
            # Called from on_error, this thread cannot join itself.
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        atexit.unregister(self._exit)
        return self._give_up()

    def stats(self) -> Stats:
        """Return the current numbers of items."""
        with self._lock:
            return Stats(
                accepted=self._buffer.accepted,
                delivered=self._delivered,
                failed=self._failed,
                waiting=len(self._buffer.waiting),
                in_flight=self._buffer.in_flight,
            )

    def _take(self, item: Mapping[str, object]) -> str:
        message_id, data = self._client.encoded(item)
        self._add(data)
        return message_id

    def _add(self, data: bytes) -> None:
        with self._lock:
            dropped = self._make_room(len(data))
            if len(self._threads) < self._thread_count:
                self._start_threads()
            buffer = self._buffer
            # The first item of a batch starts its interval, so a thread has to compute its wait
            # again.
            if not buffer.waiting:
                self._batch_started_at = time.monotonic()
                self._work.notify()
            buffer.append(data)
            if buffer.has_full_batch:
                self._work.notify()
        if dropped:
            text = "the queue is full: the oldest items were dropped"
            self._report(QueueFullError(text), dropped)

    def _make_room(self, size: int) -> list[bytes]:
        """Wait for room, or drop items; return the dropped items."""
        deadline = None
        while True:
            if self._is_closing:
                raise QueueClosedError("the queue is closed: the item was not accepted")
            if self._buffer.has_room(size):
                return []
            if self._when_full == "drop_oldest":
                return self._buffer.drop_oldest(size)
            # A sending thread (in on_error) must not wait: it is the one that makes room.
            if self._when_full == "raise" or threading.current_thread() in self._threads:
                raise QueueFullError("the queue is full: the item was not accepted")
            remaining = None
            if self._block_seconds is not None:
                deadline = deadline or time.monotonic() + self._block_seconds
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise QueueFullError(
                        "the queue was full for block_seconds: the item was not accepted"
                    )
            self._progress.wait(remaining)

    def _start_threads(self) -> None:
        # The threads are daemons, so the exit of the interpreter does not wait for them: `_exit`
        # does. Registered with the first item, because an unused queue has nothing to send.
        if not self._is_registered:
            atexit.register(self._exit)
            self._is_registered = True
        while len(self._threads) < self._thread_count:
            thread = threading.Thread(target=self._run, name="pipelines-queue", daemon=True)
            thread.start()
            self._threads.add(thread)

    def _exit(self) -> None:
        self.close(self._exit_seconds)

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._deliver(batch)
        finally:
            # If on_error ended this thread (sys.exit), the next item starts another one.
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _next(self) -> QueuedBatch | None:
        """Wait for a batch that is due; None if the queue is closed and empty."""
        with self._lock:
            while not self._is_due():
                if not self._buffer.waiting:
                    if self._is_closing:
                        return None
                    self._work.wait()
                else:
                    due_at = self._batch_started_at + self._interval_seconds
                    self._work.wait(max(0.0, due_at - time.monotonic()))
            batch = self._buffer.take()
            if self._buffer.waiting:
                self._batch_started_at = time.monotonic()
                self._work.notify()  # another thread may send the rest
            self._progress.notify_all()
            return batch

    def _is_due(self) -> bool:
        buffer = self._buffer
        if not buffer.waiting:
            return False
        if self._is_closing or buffer.next_number < self._flush_below or buffer.has_full_batch:
            return True
        return time.monotonic() >= self._batch_started_at + self._interval_seconds

    def _deliver(self, batch: QueuedBatch) -> None:
        failures = list(delivered(batch.items, self._send))
        with self._lock:
            # False if `close` has already reported the batch, because its timeout was over.
            is_claimed = self._buffer.claim(batch)
            if is_claimed:
                self._delivered += len(batch.items) - sum(len(one.items) for one in failures)
        try:
            if is_claimed:
                self._report_all(failures)
        finally:
            with self._lock:
                self._buffer.settle(batch)
                self._progress.notify_all()

    def _report_all(self, failures: Sequence[Undelivered]) -> None:
        ended: BaseException | None = None
        for failure in failures:
            try:
                self._report(failure.error, failure.items)
            except BaseException as error:  # noqa: BLE001  # raised again below
                # `sys.exit` in on_error ends this thread, after the other items were reported.
                ended = error
        if ended is not None:
            raise ended

    def _send(self, items: Sequence[bytes]) -> None:
        if self._given_up.is_set():
            # `close` has reported all items of the batch, so its remaining parts are not sent.
            raise QueueClosedError("the queue was closed before the batch was accepted")
        try:
            self._client.send_encoded(items, retries=self._retries, pause=self._pause)
        except CustomerIOError:
            raise
        except Exception as error:  # on_error gets it; the thread must continue
            raise QueueError(f"a batch could not be sent: {type(error).__name__}") from error

    def _pause(self, seconds: float) -> None:
        if self._given_up.wait(seconds):
            raise QueueClosedError("the queue was closed before the batch was accepted")

    def _give_up(self) -> bool:
        with self._lock:
            unknown, unsent = self._buffer.give_up()
            # Wakes threads that wait for a retry, see `_pause`.
            self._given_up.set()
            self._progress.notify_all()
        if unknown:
            text = "the queue was closed while these items were sent: the outcome is unknown"
            self._report(QueueClosedError(text), unknown)
        if unsent:
            self._report(
                QueueClosedError("the queue was closed before these items were sent"), unsent
            )
        return not unknown and not unsent

    def _report(self, error: CustomerIOError, items: Sequence[bytes]) -> None:
        with self._lock:
            self._failed += len(items)
        if self._on_error is None:
            logger.error("%d items were not delivered: %s", len(items), error)
            return
        failed = decoded(items)
        error.unconfirmed = failed
        try:
            self._on_error(error, list(failed))
        except Exception as fault:  # noqa: BLE001  # later batches must still be sent
            # Without the traceback, which may show items.
            logger.error(
                "on_error failed with %s; %d items are lost", type(fault).__name__, len(items)
            )
