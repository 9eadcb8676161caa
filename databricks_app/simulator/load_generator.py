"""Post many events over several connections, and keep count of what was acknowledged.

Each connection takes the next event, posts it and, like Customer.io, tries again until it is
acknowledged. Unlike Customer.io, a failing event holds up its own connection only, and is given
up after a while that a person can wait for.
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

# The same request would get the same answer again: key, URL or size are wrong.
_LASTING = frozenset({400, 401, 402, 403, 404, 405, 410, 411, 413, 414, 415})
_HOPELESS = 20  # events given up before any was acknowledged end the run


@dataclass(frozen=True, slots=True)
class GeneratorOptions:
    """How to send.

    Attributes:
        concurrency: Connections.
        rate: Most events per second; None: as fast as they are answered.
        timeout_seconds: How long one post may be silent.
        retry: Whether a failed post is tried again.
        first_delay_seconds: Wait before the second try; doubles each time.
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
    """What happened so far.

    Attributes:
        acknowledged: Posts answered 2xx; an event that was sent twice counts twice.
        given_up: Events that were never acknowledged.
        retries: Posts after the first of an event.
        reopened: Kept connections that the receiver had closed between two posts.
        outcomes: Posts by status (`200`) or by why nothing came back (`refused`).
        object_types: Acknowledged posts by object type.
        latencies: Seconds of each acknowledged post.
        seconds: How long the run took.
        is_hopeless: Whether it ended early because nothing was ever acknowledged.
        is_interrupted: Whether a person ended it.
        last_failure: What came of the newest post that was not acknowledged.
        is_failing: Whether nothing was acknowledged since then.
    """

    acknowledged: int = 0
    given_up: int = 0
    retries: int = 0
    reopened: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    object_types: Counter[str] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("d"))
    seconds: float = 0.0
    is_hopeless: bool = False
    is_interrupted: bool = False
    last_failure: PostResponse | NoAnswer | None = None
    is_failing: bool = False

    @property
    def trouble(self) -> str:
        """What goes wrong at the moment, in a few words; empty where nothing does."""
        return str(self.last_failure) if self.is_failing else ""

    @property
    def rate(self) -> float:
        """Acknowledged posts per second of the run."""
        return self.acknowledged / self.seconds if self.seconds else 0.0

    def latency(self, share: float) -> float | None:
        """Seconds within which this share of the acknowledged posts was answered."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


class _PacedEvents:
    """Hands out the events, one to each caller, no faster than the rate."""

    def __init__(self, events: Iterable[Event], rate: float | None, stop: threading.Event) -> None:
        self._events = iter(events)
        self._gap_seconds = 1 / rate if rate else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._due = time.monotonic()

    def take(self) -> Event | None:
        """The next event; None at the end, or when the run is stopped."""
        with self._lock:
            event = None if self._stop.is_set() else next(self._events, None)
            due = self._due
            # At most a second of lost time is made up for, so that a pause ends without a burst.
            self._due = max(due + self._gap_seconds, time.monotonic() - 1)
        if event is not None and self._gap_seconds:
            self._stop.wait(due - time.monotonic())
        return None if self._stop.is_set() else event


class LoadGenerator:
    """One run over a stream of events."""

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
            key: Signs every post.
            options: How to send.
            on_acknowledged: Called with each acknowledged event, by one thread at a time.
            now: Unix seconds for the timestamp header; read anew for each try.
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
        """Send all events; a KeyboardInterrupt ends the run early and is marked in the counts.

        Args:
            events: Taken one by one, while sending.
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
            is_lasting = answer is not None and answer.status in _LASTING
            if is_lasting or not options.retry or time.monotonic() + delay > give_up_at:
                self._give_up()
                return
            if self._stop.wait(delay):
                return
            delay = min(delay * 2, options.max_delay_seconds)
            with self._lock:
                self.counts.retries += 1

    def _attempt(self, sender: Sender, event: Event, body: bytes) -> PostResponse | None:
        """Post once and count what came of it."""
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

    def _give_up(self) -> None:
        with self._lock:
            self.counts.given_up += 1
            if not self.counts.acknowledged and self.counts.given_up >= _HOPELESS:
                self.counts.is_hopeless = True
                self._stop.set()
