"""Several loaders: one loads, the others are standby and report that they are alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from databricks_app.errors import InboxError, LakeError
from databricks_app.lake import Standby, StartReport
from databricks_app.loading.loader import Loader
from tests.support.loading import LoaderUnderTest, record, stopping_when


@dataclass
class Contested:
    """A lake that another loader uses until `start` was called so often."""

    wrapped: object
    refusals: int
    closed: int = field(default=0, init=False)

    def start(self) -> StartReport:
        """Stand by, or start."""
        if self.refusals:
            self.refusals -= 1
            raise Standby("Another instance loads.")
        return self.wrapped.start()  # type: ignore[attr-defined, no-any-return]

    def load(self, *args: object, **more: object) -> object:
        """Lose the lease in the first load."""
        if not self.closed:
            raise Standby("Another instance has taken over.")
        return self.wrapped.load(*args, **more)  # type: ignore[attr-defined]

    def newest_loaded_at(self) -> None:
        """Return None."""

    def close(self) -> None:
        """Count the call."""
        self.closed += 1
        self.wrapped.close()  # type: ignore[attr-defined]


def contested(folder: Path, refusals: int) -> tuple[LoaderUnderTest, Contested]:
    """A loader whose lake another loader uses."""
    under_test = LoaderUnderTest(folder)
    lake = Contested(under_test.lake, refusals)
    under_test.loader.standby_seconds = 0.01
    under_test.loader.lake = lake  # type: ignore[assignment]  # it quacks
    return under_test, lake


def run_until(loader: Loader, is_enough: Callable[[], bool]) -> None:
    """Run until a status after which this holds."""
    stopping_when(loader, is_enough).run()


def test_a_loader_that_stands_by_has_no_problem(tmp_path: Path) -> None:
    """Its events wait."""
    under_test, lake = contested(tmp_path, 10**9)
    under_test.store(record("A"))

    run_until(under_test.loader, lambda: len(under_test.statuses) == 3)

    assert {said.problems for said in under_test.statuses} == {()}
    assert under_test.loader.reader.pending().events == 1
    assert under_test.sample("load_failures_total") == 0
    assert lake.closed >= 3


def test_a_loader_takes_over_and_one_that_lost_the_lease_starts_again(tmp_path: Path) -> None:
    """Its current batch is loaded when it has the lease again."""
    under_test, _ = contested(tmp_path, 2)
    under_test.store(record("A"))

    run_until(under_test.loader, lambda: under_test.statuses[-1].last_load_at is not None)

    assert under_test.rows("SELECT event_id FROM webhook_email_events") == [("A",)]
    assert under_test.loader.reader.pending().events == 0


def test_a_loader_that_loses_the_lease_in_a_load_deletes_nothing(tmp_path: Path) -> None:
    """The new owner of the lease does."""
    under_test, lake = contested(tmp_path, 0)
    under_test.store(record("A"))

    run_until(under_test.loader, lambda: lake.closed == 1)

    assert under_test.loader.reader.pending().events == 1


def test_a_waiting_loader_writes_its_status(tmp_path: Path) -> None:
    """Also during a flush interval of many minutes."""
    under_test = LoaderUnderTest(tmp_path)
    under_test.loader.status_seconds = 0.01
    under_test.loader.flush_interval_seconds = 3600

    run_until(under_test.loader, lambda: len(under_test.statuses) == 4)

    assert under_test.statuses[-1].at > under_test.statuses[0].at


def test_the_status_has_the_error_of_the_inbox(tmp_path: Path) -> None:
    """Like an error of the lake."""
    under_test = LoaderUnderTest(tmp_path)

    class Broken:
        unreadable = ()

        def pending(self) -> object:
            raise InboxError("The volume may not be read.")

    under_test.loader.reader = Broken()  # type: ignore[assignment]  # as far as it gets

    run_until(under_test.loader, lambda: len(under_test.statuses) == 1)

    assert "nothing is lost: The volume may not be read." in under_test.statuses[0].problems[0]


def test_the_status_says_how_often_and_for_how_long_loading_fails(tmp_path: Path) -> None:
    """From the second failure on. A progress message does not hide it; a load ends it."""
    under_test = LoaderUnderTest(tmp_path)
    now = iter(range(0, 1000, 5))
    under_test.loader.now = lambda: float(next(now))
    lake = under_test.loader.lake

    class Refusing:
        def start(self) -> StartReport:
            if len(under_test.statuses) < 2:
                raise LakeError("The warehouse sleeps.")
            under_test.loader.report_progress("SELECT has taken 12 s so far")
            return lake.start()

        def newest_loaded_at(self) -> datetime | None:
            return lake.newest_loaded_at()

        def close(self) -> None:
            lake.close()

    under_test.loader.lake = Refusing()  # type: ignore[assignment]  # as far as it gets

    run_until(under_test.loader, lambda: len(under_test.statuses) == 4)

    first, second, noted, good = (said.problems for said in under_test.statuses)
    assert "The warehouse sleeps." in first[0]
    assert " times in " not in first[0]
    assert "(2 times in " in second[0]
    assert "The warehouse sleeps." in second[0]
    assert noted == ("SELECT has taken 12 s so far", *second)
    assert good == ()


def test_a_progress_message_is_in_the_status_at_once(tmp_path: Path) -> None:
    """So a slow call is visible while it runs."""
    under_test = LoaderUnderTest(tmp_path)

    under_test.loader.report_progress("MERGE has taken 12 s so far")

    assert under_test.statuses[-1].problems == ("MERGE has taken 12 s so far",)
