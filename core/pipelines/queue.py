"""A queue that sends items in the background, in batches.

Every accepted item ends in one of two ways: the vendor accepted it, or `on_error` got it. Items
are encoded when they are put, so that a later change to them cannot be sent by mistake, and every
repeat carries the same bytes and message ids. One thread keeps the order; several do not.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, get_args

from core.errors import (
    ConfigurationError,
    CustomerIOError,
    QueueClosedError,
    QueueError,
    QueueFullError,
)
from core.http import forks
from core.http.responses import Json
from core.http.retries import RetryPolicy
from core.pipelines.buffer import Buffer, BufferLimits, QueuedBatch
from core.pipelines.client import PipelinesClient, decoded
from core.pipelines.encoding import MAX_BATCH_BYTES, MAX_ITEM_BYTES, envelope, room
from core.pipelines.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.pipelines.items import Item

logger = logging.getLogger(__name__)

WhenFull = Literal["block", "drop_oldest", "raise"]
OnError: TypeAlias = "Callable[[CustomerIOError, list[Json]], object]"

# Patient: an outage of minutes is waited for, since the items wait too.
RETRIES = RetryPolicy(
    attempts=10,
    base_seconds=0.5,
    cap_seconds=30.0,
    max_wait_seconds=300.0,
    total_seconds=600.0,
)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the queue was made, in this process.

    Attributes:
        accepted: Put.
        delivered: Accepted by the vendor.
        failed: Handed to `on_error`, dropped ones included.
        waiting: Not yet sent.
        in_flight: Being sent.
    """

    accepted: int
    delivered: int
    failed: int
    waiting: int
    in_flight: int


class PipelinesQueue(Surface):
    """Takes items from any thread and sends them in the background.

    In a forked child it begins empty: what the parent put, the parent sends. A child that ends
    with `os._exit`, as those of `multiprocessing` do, must call `close` itself.
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
    ) -> None:
        """Prepare a queue; its threads start with the first item.

        Args:
            client: Sends the batches; it stays the caller's to close, after the queue.
            max_items: Items in a batch at most.
            max_bytes: Bytes of a batch's body at most.
            interval_seconds: A batch that is not full is sent this long after it was begun.
            capacity: Items that wait at most; those being sent are not counted.
            capacity_bytes: Encoded items that wait at most.
            when_full: `block` waits for room, `drop_oldest` hands the oldest to `on_error`,
                `raise` refuses the new item with `QueueFullError`.
            block_seconds: How long to wait for room before `QueueFullError`; None for ever.
            threads: How many send; with one, items arrive in the order they were put.
            retries: How often and how long a batch is tried.
            on_error: Gets the error and the items of a batch that was given up, with their
                message ids. Called by a sending thread, or by the one that dropped or closed.
                Without it, the number of lost items is logged as an error.
            exit_seconds: How long the interpreter's exit waits for what is left.

        Raises:
            ConfigurationError: A limit cannot be used.
        """
        _check_options(max_items, max_bytes, capacity, capacity_bytes, threads, when_full)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after_fork(self) -> None:
        """Begin empty: items, threads and locks are the parent's."""
        # Re-entrant, as a signal handler may put an item while its thread is in here.
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._given_up = threading.Event()
        self._buffer = Buffer(self._limits)
        self._threads: set[threading.Thread] = set()
        self._flush_below = 0
        self._batch_began = 0.0
        self._delivered = self._failed = 0

    def put(self, item: Item) -> str:
        """Take an item in the vendor's shape; return its message id.

        Raises:
            ValidationError: Names the field.
            SizeError: It is over 32,000 bytes.
            QueueFullError: No room, with `when_full` `raise` or after `block_seconds`.
            QueueClosedError: The queue is closed.
        """
        message_id, data = self._client.encoded(item, "item")
        self._add(data)
        return message_id

    def flush(self, timeout: float | None = 30.0) -> bool:
        """Send what was put before this call, and wait until all of it is settled.

        Args:
            timeout: Seconds; None waits without limit.

        Returns:
            Whether every item put before was accepted or handed to `on_error` in time.

        Raises:
            QueueError: Called from `on_error`: it would wait for itself.
        """
        with self._lock:
            if threading.current_thread() in self._threads:
                raise QueueError("flush: called from on_error, it would wait for itself")
            target = self._buffer.accepted
            self._flush_below = max(self._flush_below, target)
            if self._buffer.waiting:
                self._start_threads()
            self._work.notify_all()
            return self._progress.wait_for(
                lambda: self._buffer.settled_below >= target, timeout=timeout
            )

    def close(self, timeout: float = 30.0) -> bool:
        """Take no more items, send what is left, and end the threads.

        What cannot be settled in time goes to `on_error` with `QueueClosedError`. A second call
        returns at once.

        Args:
            timeout: Seconds.

        Returns:
            Whether everything was settled in time.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            self._is_closing = True
            if self._buffer.waiting:
                self._start_threads()
            self._work.notify_all()
            self._progress.notify_all()
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        atexit.unregister(self._exit)
        return self._give_up()

    def stats(self) -> Stats:
        """Count what happened so far."""
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
            if not buffer.waiting:
                self._batch_began = time.monotonic()
                self._work.notify()
            buffer.append(data)
            if buffer.has_full_batch:
                self._work.notify()
        if dropped:
            words = "the queue is full: the oldest items were dropped"
            self._report(QueueFullError(words), dropped)

    def _make_room(self, size: int) -> list[bytes]:
        """Wait for room or make it; return what was dropped for it."""
        deadline = None
        while True:
            if self._is_closing:
                raise QueueClosedError("the queue is closed; the item was not taken")
            if self._buffer.has_room(size):
                return []
            if self._when_full == "drop_oldest":
                return self._buffer.drop_oldest(size)
            # A sending thread (in on_error) would wait for room that it has to make itself.
            if self._when_full == "raise" or threading.current_thread() in self._threads:
                raise QueueFullError("the queue is full; the item was not taken")
            if self._block_seconds is not None:
                deadline = deadline or time.monotonic() + self._block_seconds
            self._wait_for_room(deadline)

    def _wait_for_room(self, deadline: float | None) -> None:
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            raise QueueFullError("the queue was full for block_seconds; the item was not taken")
        self._progress.wait(remaining)

    def _start_threads(self) -> None:
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
            # on_error may have ended this thread (sys.exit): the next item starts another.
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _next(self) -> QueuedBatch | None:
        """Wait for a batch that is due; None if there will be none."""
        with self._lock:
            while not self._is_due():
                if self._is_closing and not self._buffer.waiting:
                    return None
                self._work.wait(self._idle_seconds())
            batch = self._buffer.take()
            if self._buffer.waiting:
                self._batch_began = time.monotonic()
                self._work.notify()  # another thread may take the rest
            self._progress.notify_all()
            return batch

    def _is_due(self) -> bool:
        buffer = self._buffer
        if not buffer.waiting:
            return False
        if self._is_closing or buffer.next_number < self._flush_below or buffer.has_full_batch:
            return True
        return time.monotonic() >= self._batch_began + self._interval_seconds

    def _idle_seconds(self) -> float | None:
        if not self._buffer.waiting:
            return None
        return max(0.0, self._batch_began + self._interval_seconds - time.monotonic())

    def _deliver(self, batch: QueuedBatch) -> None:
        error = self._send(batch.items)
        with self._lock:
            is_ours = self._buffer.claim(batch)
            if is_ours and error is None:
                self._delivered += len(batch.items)
        try:
            if is_ours and error is not None:
                self._report(error, batch.items)
        finally:
            with self._lock:
                self._buffer.settle(batch)
                self._progress.notify_all()

    def _send(self, items: Sequence[bytes]) -> CustomerIOError | None:
        try:
            self._client.send_encoded(items, retries=self._retries, pause=self._pause)
        except CustomerIOError as error:
            return error
        except Exception as error:  # noqa: BLE001  # the items go to on_error, the thread lives on
            failure = QueueError(f"a batch could not be sent: {type(error).__name__}")
            failure.__cause__ = error
            return failure
        return None

    def _pause(self, seconds: float) -> None:
        if self._given_up.wait(seconds):
            raise QueueClosedError("the queue was closed before the batch was accepted")

    def _give_up(self) -> bool:
        with self._lock:
            unknown, unsent = self._buffer.give_up()
            self._given_up.set()
            self._progress.notify_all()
        if unknown:
            words = "the queue was closed while these items were sent; their fate is unknown"
            self._report(QueueClosedError(words), unknown)
        if unsent:
            self._report(QueueClosedError("the queue was closed before these were sent"), unsent)
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
        except Exception as fault:  # noqa: BLE001  # the batches behind it must still be sent
            logger.error(  # without the traceback: it may show items
                "on_error failed with %s; %d items are lost", type(fault).__name__, len(items)
            )


def _check_options(
    max_items: int,
    max_bytes: int,
    capacity: int,
    capacity_bytes: int,
    threads: int,
    when_full: str,
) -> None:
    smallest = MAX_BATCH_BYTES - room(envelope(None, None)) + MAX_ITEM_BYTES
    ranges = {
        "max_items": max_items >= 1,
        "max_bytes": smallest <= max_bytes <= MAX_BATCH_BYTES,
        "capacity": capacity >= 1,
        "capacity_bytes": capacity_bytes >= MAX_ITEM_BYTES,
        "threads": threads >= 1,
        "when_full": when_full in get_args(WhenFull),
    }
    for name, is_good in ranges.items():
        if not is_good:
            raise ConfigurationError(f"{name}: is out of its range")
