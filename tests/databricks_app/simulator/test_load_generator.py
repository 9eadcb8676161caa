"""The load generator loses no event silently: each is acknowledged, given up, or not yet sent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from core.webhooks.sender import NoAnswer, PostResponse
from core.webhooks.signature import SigningKey
from databricks_app.simulator.load_generator import (
    Event,
    GeneratorCounts,
    GeneratorOptions,
    LoadGenerator,
)
from tests.support.loopback_receiver import KEY, LoopbackReceiver, unused_destination

FAST = GeneratorOptions(concurrency=3, first_delay_seconds=0.001, max_delay_seconds=0.01)


def some_events(count: int) -> list[Event]:
    """Make minimal events with different ids."""
    return [
        {"event_id": f"id{n}", "object_type": "email", "metric": "sent", "timestamp": n, "data": {}}
        for n in range(count)
    ]


def test_run_delivers_every_event_once() -> None:
    """Each event is posted once, over one of the connections, and all are acknowledged."""
    events = some_events(100)

    with LoopbackReceiver() as receiver:
        counts = LoadGenerator(receiver.destination, KEY, FAST).run(iter(events))

    received = [json.loads(body) for body in receiver.bodies]
    assert sorted(received, key=lambda event: event["timestamp"]) == events
    assert (counts.acknowledged, counts.given_up) == (100, 0)
    assert counts.outcomes == {"200": 100}
    assert counts.object_types == {"email": 100}
    assert receiver.connections <= 3


def test_run_retries_after_a_503() -> None:
    """A receiver that cannot store for a while gets every event in the end."""
    with LoopbackReceiver(status=lambda number: 503 if number < 7 else 200) as receiver:
        counts = LoadGenerator(receiver.destination, KEY, FAST).run(some_events(10))

    assert (counts.acknowledged, counts.given_up, counts.retries) == (10, 0, 7)
    assert counts.outcomes == {"200": 10, "503": 7}


def test_run_retries_after_a_timeout() -> None:
    """A post without an answer is counted as `timed_out`, and is tried again."""
    options = GeneratorOptions(concurrency=1, timeout_seconds=0.1, first_delay_seconds=0.001)
    with LoopbackReceiver(hangs=lambda number: number == 1) as receiver:
        counts = LoadGenerator(receiver.destination, KEY, options).run(some_events(4))

    assert counts.outcomes == {"200": 4, "timed_out": 1}


def test_run_signs_each_try_with_the_time_of_the_try() -> None:
    """A retry has a new timestamp, so that it is within the receiver's window."""
    times = iter([time.time() - 100, time.time()])
    options = GeneratorOptions(concurrency=1, first_delay_seconds=0.001)

    with LoopbackReceiver(status=lambda number: 503 if number == 0 else 200) as receiver:
        LoadGenerator(receiver.destination, KEY, options, now=lambda: next(times)).run(
            some_events(1)
        )

    first, second = (int(headers["X-CIO-Timestamp"]) for headers in receiver.headers)
    assert 99 <= second - first <= 101


def test_run_without_retry_gives_up_at_once() -> None:
    """Each event is posted once."""
    options = GeneratorOptions(concurrency=2, retry=False)
    with LoopbackReceiver(status=lambda number: 503 if number < 3 else 200) as receiver:
        counts = LoadGenerator(receiver.destination, KEY, options).run(some_events(10))

    assert (counts.acknowledged, counts.given_up, counts.retries) == (7, 3, 0)
    assert isinstance(counts.last_failure, PostResponse)
    assert counts.last_failure.status == 503
    assert counts.current_failure == ""


def test_run_gives_up_an_event_after_the_configured_time() -> None:
    """It is counted as given up."""
    options = GeneratorOptions(concurrency=1, first_delay_seconds=0.001, give_up_seconds=0.02)

    counts = LoadGenerator(unused_destination(), KEY, options).run(some_events(2))

    assert (counts.acknowledged, counts.given_up) == (0, 2)
    assert counts.retries >= 2
    assert isinstance(counts.last_failure, NoAnswer)


def test_run_with_a_wrong_key_ends_early() -> None:
    """A 401 is not retried, and a run without any acknowledged event stops early."""
    with LoopbackReceiver() as receiver:
        generator = LoadGenerator(receiver.destination, SigningKey.from_text("wrong"), FAST)
        counts = generator.run(some_events(1000))

    assert counts.is_stopped_early
    assert counts.acknowledged == 0
    assert 20 <= counts.given_up <= 22
    assert counts.outcomes == {"401": counts.given_up}


def test_run_continues_after_failures_once_an_event_was_acknowledged() -> None:
    """Only a run without any acknowledged event stops early."""
    options = GeneratorOptions(concurrency=1, retry=False)
    with LoopbackReceiver(status=lambda number: 200 if number in {0, 40} else 503) as receiver:
        counts = LoadGenerator(receiver.destination, KEY, options).run(some_events(41))

    assert not counts.is_stopped_early
    assert (counts.acknowledged, counts.given_up) == (2, 39)


def test_run_calls_on_acknowledged_for_exactly_the_acknowledged_events() -> None:
    """The callback gets the events that the receiver has stored, and no others."""
    reported: list[str] = []
    options = GeneratorOptions(concurrency=3, retry=False)
    with LoopbackReceiver(status=lambda number: 503 if number % 4 == 1 else 200) as receiver:
        LoadGenerator(
            receiver.destination,
            KEY,
            options,
            on_acknowledged=lambda event: reported.append(event["event_id"]),
        ).run(some_events(60))

    stored = [json.loads(body)["event_id"] for body in receiver.bodies]
    assert sorted(reported) == sorted(stored)
    assert len(reported) == 45


def test_run_stops_at_ctrl_c_and_keeps_its_counts() -> None:
    """It finishes the current posts, and the counts match what the receiver has."""

    def endless() -> Iterator[Event]:
        while True:
            yield from some_events(1)

    def interrupt(counts: GeneratorCounts) -> None:
        if counts.acknowledged > 10:
            raise KeyboardInterrupt

    with LoopbackReceiver() as receiver:
        counts = LoadGenerator(receiver.destination, KEY, FAST).run(
            endless(), watch=interrupt, watch_seconds=0.01
        )

    assert counts.is_interrupted
    assert counts.acknowledged == len(receiver.bodies) > 10


def test_run_stops_at_ctrl_c_during_a_wait_between_tries() -> None:
    """The run ends at once, not after the wait."""

    def interrupt(counts: GeneratorCounts) -> None:
        if counts.outcomes["refused"] == 2:
            raise KeyboardInterrupt

    options = GeneratorOptions(concurrency=2, first_delay_seconds=50)
    counts = LoadGenerator(unused_destination(), KEY, options).run(
        some_events(2), watch=interrupt, watch_seconds=0.01
    )

    assert (counts.acknowledged, counts.given_up) == (0, 0)
    assert counts.seconds < 10


def test_run_does_not_exceed_its_rate() -> None:
    """41 events at 200 per second take at least 0.2 s."""
    with LoopbackReceiver() as receiver:
        options = GeneratorOptions(concurrency=4, rate=200)
        counts = LoadGenerator(receiver.destination, KEY, options).run(some_events(41))

    assert counts.acknowledged == 41
    assert counts.seconds >= 0.2


def test_run_raises_an_error_of_its_events() -> None:
    """An error while the events are made ends the run."""

    def faulty() -> Iterator[Event]:
        yield from some_events(3)
        raise ValueError("no more")

    with LoopbackReceiver() as receiver, pytest.raises(ValueError, match="no more"):
        LoadGenerator(receiver.destination, KEY, FAST).run(faulty())


def test_counts_without_an_answer_have_no_latency() -> None:
    """Without an acknowledged post there is no percentile, and the rate is 0."""
    counts = GeneratorCounts()

    assert counts.latency(0.99) is None
    assert counts.rate == 0


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_counts_latency_is_the_percentile(share: float, expected: float) -> None:
    """Checked with a hundred known latencies."""
    counts = GeneratorCounts()
    counts.latencies.extend(float(n) for n in range(100, 0, -1))

    assert counts.latency(share) == expected
