"""The load generator: posts many events over several connections, and counts the answers.

Each connection takes the next event, posts it and, as Customer.io does, tries again until it is
acknowledged. Unlike at Customer.io, a failing event delays only its own connection, and is given up
after a minute by default, not after seven days.
"""

from __future__ import annotations

import json
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.webhooks.sender import TIMEOUT_SECONDS, NoAnswer, PostResponse, Sender

if TYPE_CHECKING:
    from core.webhooks.sender import Destination
    from core.webhooks.signature import SigningKey

Event = dict[str, Any]

# Another try would get the same answer: the key, the URL or the size is wrong.
_PERMANENT_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 410, 411, 413, 414, 415})
# The run stops when this many events were given up and none was acknowledged.
_STOP_AFTER_GIVEN_UP = 20


@dataclass(frozen=True, slots=True)
class GeneratorOptions:
    """How to send.

    Attributes:
        concurrency: Number of connections.
        rate: Maximum number of events per second; None: as fast as they are answered.
        timeout_seconds: How long to wait for an answer.
        retry: Whether a failed post is tried again.
        first_delay_seconds: The wait before the second try; it doubles with each try.
        max_delay_seconds: The longest wait between two tries.
        give_up_seconds: How long one event is tried.
    """

    concurrency: int = 8
    rate: float | None = None
    timeout_seconds: float = TIMEOUT_SECONDS
    retry: bool = True
    first_delay_seconds: float = 0.1
    max_delay_seconds: float = 5.0
    give_up_seconds: float = 60.0


@dataclass(slots=True)
class GeneratorCounts:
    """The counts of a run so far.

    Attributes:
        acknowledged: Posts answered 2xx; an event that was sent twice counts twice.
        given_up: Events that were never acknowledged.
        retries: Posts after the first post of an event.
        reopened: Connections that the receiver had closed between two posts.
        outcomes: Posts by status (`200`), or by the reason why there was no answer (`refused`).
        object_types: Acknowledged posts by object type.
        latencies: Duration of each acknowledged post, in seconds.
        seconds: Duration of the run.
        is_stopped_early: Whether the run ended early because no event was acknowledged.
        is_interrupted: Whether Ctrl-C ended the run.
        last_failure: The outcome of the newest post that was not acknowledged.
        is_failing: Whether no post was acknowledged after `last_failure`.
    """

    acknowledged: int = 0
    given_up: int = 0
    retries: int = 0
    reopened: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    object_types: Counter[str] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("d"))
    seconds: float = 0.0
    is_stopped_early: bool = False
    is_interrupted: bool = False
    last_failure: PostResponse | NoAnswer | None = None
    is_failing: bool = False

    @property
    def current_failure(self) -> str:
        """Why posts fail now, in a few words; empty while they are acknowledged."""
        return str(self.last_failure) if self.is_failing else ""

    @property
    def rate(self) -> float:
        """Acknowledged posts per second."""
        return self.acknowledged / self.seconds if self.seconds else 0.0

    def latency(self, share: float) -> float | None:
        """Return the latency percentile of acknowledged posts, in seconds; `share` 0.5: median."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


class _PacedEvents:
    """Gives each caller the next event, no faster than the rate."""

    def __init__(self, events: Iterable[Event], rate: float | None, stop: threading.Event) -> None:
        self._events = iter(events)
        self._gap_seconds = 1 / rate if rate else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._due = time.monotonic()

    def take(self) -> Event | None:
        """Return the next event; None at the end, or when the run is stopped."""
        with self._lock:
            event = None if self._stop.is_set() else next(self._events, None)
            due = self._due
            # After a pause at most one second of events is sent faster, so that there is no burst.
            self._due = max(due + self._gap_seconds, time.monotonic() - 1)
        if event is not None and self._gap_seconds:
            self._stop.wait(due - time.monotonic())
        return None if self._stop.is_set() else event


class LoadGenerator:
    """One run that posts a stream of events."""

    def __init__(
        self,
        destination: Destination,
        key: SigningKey,
        options: GeneratorOptions | None = None,
        *,
        on_acknowledged: Callable[[Event], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare a run.

        Args:
            destination: Where to post.
            key: The key that signs every post.
            options: How to send.
            on_acknowledged: Called with each acknowledged event, by one thread at a time.
            now: Returns Unix seconds for the timestamp header; called again for each try.
        """
        self._destination = destination
        self._key = key
        self._options = options or GeneratorOptions()
        self._on_acknowledged = on_acknowledged
        self._now = now
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.counts = GeneratorCounts()

    def run(
        self,
        events: Iterable[Event],
        *,
        watch: Callable[[GeneratorCounts], None] | None = None,
        watch_seconds: float = 0.2,
    ) -> GeneratorCounts:
        """Send all events. A KeyboardInterrupt ends the run early and is marked in the counts.

        Args:
            events: The events; each is taken only when a connection is free.
            watch: Called in this thread about every `watch_seconds`.
            watch_seconds: See `watch`.
        """
        start = time.perf_counter()
        paced = _PacedEvents(events, self._options.rate, self._stop)
        with ThreadPoolExecutor(self._options.concurrency, "sender") as pool:
            workers = [pool.submit(self._work, paced) for _ in range(self._options.concurrency)]
            try:
                left = set(workers)
                while left and not any(worker.done() and worker.exception() for worker in workers):
                    left = wait(left, watch_seconds, FIRST_EXCEPTION).not_done
                    self.counts.seconds = time.perf_counter() - start
                    if watch is not None:
                        watch(self.counts)
            except KeyboardInterrupt:
                self.counts.is_interrupted = True
            finally:
                # After Ctrl-C or an error the workers finish their current posts and end.
                self._stop.set()
        for worker in workers:
            worker.result()
        self.counts.seconds = time.perf_counter() - start
        return self.counts

    def _work(self, paced: _PacedEvents) -> None:
        options = self._options
        with Sender(
            self._destination, self._key, timeout_seconds=options.timeout_seconds
        ) as sender:
            while (event := paced.take()) is not None:
                self._deliver(sender, event)
            with self._lock:
                self.counts.reopened += sender.reopened

    def _deliver(self, sender: Sender, event: Event) -> None:
        """Post one event until it is acknowledged, given up, or the run is stopped."""
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        options = self._options
        give_up_at = time.monotonic() + options.give_up_seconds
        delay = options.first_delay_seconds
        while True:
            answer = self._attempt(sender, event, body)
            if answer is not None and answer.is_acknowledged:
                return
            is_permanent = answer is not None and answer.status in _PERMANENT_STATUSES
            if is_permanent or not options.retry or time.monotonic() + delay > give_up_at:
                with self._lock:
                    self.counts.given_up += 1
                    has_success = self.counts.acknowledged > 0
                    if not has_success and self.counts.given_up >= _STOP_AFTER_GIVEN_UP:
                        self.counts.is_stopped_early = True
                        self._stop.set()
                return
            if self._stop.wait(delay):
                return
            delay = min(delay * 2, options.max_delay_seconds)
            with self._lock:
                self.counts.retries += 1

    def _attempt(self, sender: Sender, event: Event, body: bytes) -> PostResponse | None:
        """Post once and count the outcome; returns None if there was no answer."""
        counts = self.counts
        try:
            answer = sender.post(body, timestamp=int(self._now()))
        except NoAnswer as error:
            with self._lock:
                counts.outcomes[error.reason] += 1
                counts.last_failure, counts.is_failing = error, True
            return None
        with self._lock:
            counts.outcomes[str(answer.status)] += 1
            if not answer.is_acknowledged:
                counts.last_failure, counts.is_failing = answer, True
                return answer
            counts.acknowledged += 1
            counts.is_failing = False
            counts.object_types[event.get("object_type") or "none"] += 1
            counts.latencies.append(answer.seconds)
            if self._on_acknowledged is not None:
                self._on_acknowledged(event)
        return answer
