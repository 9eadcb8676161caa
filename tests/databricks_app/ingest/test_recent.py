"""RecentValue: a value is computed at most once a second, and no caller waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.harness.process_table import wait_until
from databricks_app.ingest.recent import FRESH_SECONDS, RecentValue
from tests.support.still_time import FixedClock


class Counter:
    """Counts its calls; each waits while `may_go_on` is cleared."""

    def __init__(self) -> None:
        """Start at 0, without waiting."""
        self.calls = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self) -> int:
        """Return the number of this call."""
        self.calls += 1
        number = self.calls
        assert self.may_go_on.wait(20)
        return number


@pytest.fixture
def counter() -> Iterator[Counter]:
    """A computation that is released at the end of the test."""
    counter = Counter()
    yield counter
    counter.may_go_on.set()


def becomes(recent: RecentValue[int], value: int) -> Callable[[], bool]:
    """Return a check whether the value is this one, which may still be in computation."""
    return lambda: recent.get() == value


def test_many_callers_cause_one_computation_a_second(counter: Counter, now: FixedClock) -> None:
    """In the next second there is one more."""
    recent = RecentValue(counter, 3.0, now)

    with ThreadPoolExecutor(8) as threads:
        first = set(threads.map(lambda _: recent.get(), range(200)))
        now.at += FRESH_SECONDS
        wait_until(becomes(recent, 2))
        second = set(threads.map(lambda _: recent.get(), range(200)))

    assert (first, second, counter.calls) == ({1}, {2}, 2)


def test_the_previous_value_is_returned_during_a_computation(
    counter: Counter, now: FixedClock
) -> None:
    """No caller waits for a value that is one second newer."""
    recent = RecentValue(counter, 3.0, now)
    recent.get()
    counter.may_go_on.clear()
    now.at += FRESH_SECONDS

    assert [recent.get(), recent.get()] == [1, 1]
    wait_until(lambda: counter.calls == 2)


def test_an_old_value_is_not_returned(counter: Counter, now: FixedClock) -> None:
    """After a minute a caller gets a new value."""
    recent = RecentValue(counter, 3.0, now)
    recent.get()
    now.at += 60

    assert recent.get() == 2


def test_callers_do_not_wait_for_a_computation_that_hangs(
    counter: Counter, now: FixedClock
) -> None:
    """All get TimeoutError, no second computation starts, and the late value is used."""
    counter.may_go_on.clear()
    recent = RecentValue(counter, 0.05, now)

    for seconds in (0, 10, 60):
        now.at = 1_700_000_000.0 + seconds
        with pytest.raises(TimeoutError):
            recent.get()
    waited = recent.seconds_under_way
    counter.may_go_on.set()
    wait_until(lambda: recent.seconds_under_way == 0)
    now.at += FRESH_SECONDS
    later = recent.get()

    assert (waited, later, counter.calls) == (60, 2, 2)


def test_the_error_of_a_computation_is_raised_for_a_second(now: FixedClock) -> None:
    """Every caller gets it, and the computation runs only once."""
    calls = []

    def fail() -> int:
        calls.append(1)
        raise KeyError("a fault")

    recent = RecentValue(fail, 3.0, now)

    for _ in range(3):
        with pytest.raises(KeyError):
            recent.get()
    assert len(calls) == 1
