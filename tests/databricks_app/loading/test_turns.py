"""Loaders with local inboxes take turns with the lease."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from databricks_app.errors import LakeError
from databricks_app.lake import KeptLease, Standby, StartReport
from databricks_app.lake.local.store import LocalLake
from databricks_app.loading.turns import Turns
from tests.support.loading import LoaderUnderTest, record, stopping_when


class Watched:
    """A lake that notes when it is started and closed."""

    def __init__(self, wrapped: LocalLake) -> None:
        self.wrapped = wrapped
        self.calls: list[str] = []
        self.broken = False

    def start(self) -> StartReport:
        """Start."""
        self.calls.append("start")
        return self.wrapped.start()

    def load(self, *args: object, **more: object) -> object:
        """Load, or fail once."""
        self.calls.append("load")
        if self.broken:
            self.broken = False
            raise LakeError("The warehouse is away.")
        return self.wrapped.load(*args, **more)  # type: ignore[arg-type]

    def newest_loaded_at(self) -> None:
        """Return None."""

    def close(self) -> None:
        """Give the lease back."""
        self.calls.append("close")
        self.wrapped.close()


@pytest.fixture
def under_test(tmp_path: Path) -> LoaderUnderTest:
    """A loader that takes turns."""
    under_test = LoaderUnderTest(tmp_path)
    under_test.loader.lake = Watched(under_test.lake)  # type: ignore[assignment]  # it quacks
    under_test.loader.turns = Turns(0.01)
    return under_test


def calls_of(under_test: LoaderUnderTest, statuses: int) -> list[str]:
    """Run until so many statuses; return the calls of the lake without the last close."""
    stopping_when(under_test.loader, lambda: len(under_test.statuses) >= statuses).run()
    return under_test.loader.lake.calls[:-1]  # type: ignore[attr-defined, no-any-return]


def test_the_lease_is_given_back_after_a_drain(under_test: LoaderUnderTest) -> None:
    """Not at the end of the process."""
    under_test.store(record("A"))

    assert calls_of(under_test, 3)[:3] == ["start", "load", "close"]


def test_without_events_the_lease_is_not_taken(under_test: LoaderUnderTest) -> None:
    """A start runs statements, which would wake the warehouse."""
    assert calls_of(under_test, 3) == []


def test_the_lease_is_given_back_after_a_failure(under_test: LoaderUnderTest) -> None:
    """Another machine may succeed; the load is repeated in the next turn."""
    under_test.loader.lake.broken = True  # type: ignore[attr-defined]
    under_test.loader.stopping = _Impatient()
    under_test.store(record("A"))

    calls = calls_of(under_test, 3)

    assert calls[:6] == ["start", "load", "close", "start", "load", "close"]
    assert under_test.rows("SELECT event_id FROM webhook_email_events") == [("A",)]


class _Impatient(threading.Event):
    """Does not wait."""

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        del timeout
        return self.is_set()


def test_a_turn_ends_though_events_are_left(under_test: LoaderUnderTest) -> None:
    """The machine with the backlog lets the others try, then continues."""
    under_test.loader.turns = Turns(0.01, turn_seconds=0.0)
    under_test.loader.batch_rows = under_test.loader.batch_bytes = 1
    for name in ("A", "B"):
        under_test.store(record(name))

    calls = calls_of(under_test, 5)

    assert calls[:6] == ["start", "load", "close", "start", "load", "close"]


def test_a_pause_on_standby_is_random_and_shorter_than_events_may_wait() -> None:
    """Two machines do not try in step; a machine that ended its turn waits longer than those."""
    for interval, longest in ((900.0, 6.0), (2.0, 1.0)):
        pauses = [
            Turns(interval, chance=lambda chance=chance: chance).standby_pause(Standby(""))
            for chance in (0.0, 0.5, 1.0)
        ]

        assert pauses == pytest.approx([longest / 3, longest * 2 / 3, longest])
        assert Turns(interval).pause_after_turn() > longest


def test_a_lease_that_somebody_keeps_is_a_problem_after_ten_minutes() -> None:
    """A dead owner is taken over earlier. A lease for one drain is no problem."""
    clock = [0.0]
    turns = Turns(900.0, monotonic=lambda: clock[0])
    found = []
    for seconds, standby in ((0, KeptLease("")), (599, KeptLease("")), (600, KeptLease(""))):
        clock[0] = seconds
        turns.standby_pause(standby)
        found.append(len(turns.problems()))
    turns.standby_pause(Standby(""))

    assert found == [0, 0, 1]
    assert turns.problems() == ()
