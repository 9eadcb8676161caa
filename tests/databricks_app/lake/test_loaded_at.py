"""A reader that polls a table by `loaded_at` misses no row, also if clocks are wrong."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from databricks_app.events.decoding import Reading
from databricks_app.lake import Lake
from tests.support.lake_backends import LakeBackend, ids
from tests.support.lake_events import EMAIL, NOON, RAW, SMS, event, reading_of

TABLES = (RAW, EMAIL, SMS)


def load(lake: Lake, *readings: Reading, at: datetime = NOON) -> None:
    """Load events in one batch that begins at this time."""
    lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=at)


@dataclass
class Poller:
    """Reads what is above the newest `loaded_at` that it has seen, table by table."""

    backend: LakeBackend
    seen: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in TABLES})
    marks: dict[str, datetime] = field(default_factory=dict)
    polls: int = 0

    def poll(self) -> None:
        """Read the new rows of each table."""
        self.polls += 1
        for table in TABLES:
            mark = self.marks.get(table, datetime(1970, 1, 1, tzinfo=UTC))
            new = [
                row
                for row in self.backend.rows(table, "event_id, loaded_at")
                if row[1].astimezone(UTC) > mark
            ]
            self.seen[table] += [row[0] for row in new]
            self.marks[table] = max([mark, *(row[1].astimezone(UTC) for row in new)])

    def assert_complete(self) -> None:
        """Every row was read once."""
        for table in TABLES:
            assert sorted(self.seen[table]) == ids(self.backend, table)


def test_reader_that_polls_after_each_commit_misses_nothing(
    backend: LakeBackend, lake: Lake
) -> None:
    """70 dates make three commits in each table."""
    poller = Poller(backend)
    readings = [event(f"e{day}", days_ago=day) for day in range(70)]
    backend.after_commit = poller.poll

    load(lake, *readings, reading_of(b"not json"))

    backend.after_commit = lambda: None
    poller.poll()
    poller.assert_complete()
    assert poller.polls > 6
    assert len(poller.seen[EMAIL]) == 70


def test_a_clock_that_steps_back_hides_no_row(backend: LakeBackend, lake: Lake) -> None:
    """New rows have later times than the newest stored row."""
    poller = Poller(backend)
    load(lake, event("a"))
    poller.poll()

    load(lake, event("b"), at=NOON - timedelta(hours=1))

    poller.poll()
    poller.assert_complete()


def test_another_instance_with_a_slower_clock_hides_no_row(
    backend: LakeBackend, lake: Lake
) -> None:
    """At its start it reads the newest time from the tables."""
    poller = Poller(backend)
    load(lake, event("a"), event("s", "sms/sent"))
    poller.poll()
    lake.close()
    other = backend.lake()
    other.start()

    load(other, event("b"), event("t", "sms/sent"), at=NOON - timedelta(days=1))

    poller.poll()
    poller.assert_complete()
    newest = other.newest_loaded_at()
    other.close()
    assert newest is not None
    assert newest > NOON


def test_typed_rows_are_never_older_than_their_raw_rows(backend: LakeBackend, lake: Lake) -> None:
    """One sequence for all tables."""
    load(lake, event("a"))
    load(lake, event("b"))

    raw, typed = (backend.rows(table, "event_id, loaded_at") for table in (RAW, EMAIL))

    assert all(one[1] < other[1] for one, other in zip(raw, typed, strict=True))
