"""An event is found in the volume without a query to the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from databricks_app.databricks import workspace
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.tracking import track, track_in_folder
from tests.doubles import Databricks
from tests.support.storing import store

VOLUME, PATH = "main.cio.events", "/Volumes/main/cio/events"
BODY = b'{"event_id": "ours"}'


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume."""
    with Databricks(tmp_path / "double", volume=VOLUME) as double:
        yield double


@pytest.fixture
def files(double: Databricks) -> Iterator[workspace.DatabricksWorkspace]:
    """Its files."""
    joined = workspace.connect(double.environment())
    yield joined
    joined.close()


def must_not_query() -> bool:
    """Stand for tables that must not be queried."""
    raise AssertionError("the tables were queried")


def test_a_stored_event_is_in_the_inbox(
    double: Databricks, files: workspace.DatabricksWorkspace
) -> None:
    """It is found by its bytes among others; the tables are not queried."""
    store(double, VOLUME, BODY)
    store(double, VOLUME, b'{"event_id": "other"}')

    assert track(files, PATH, BODY, must_not_query) == "inbox"


@pytest.mark.parametrize(("is_row", "place"), [(True, "row"), (False, None)])
def test_an_event_in_no_object_is_a_row_or_lost(
    double: Databricks, files: workspace.DatabricksWorkspace, is_row: bool, place: str | None
) -> None:
    """The tables are queried once."""
    store(double, VOLUME, b'{"event_id": "other"}')
    asked: list[int] = []

    def ask() -> bool:
        asked.append(1)
        return is_row

    assert track(files, PATH, BODY, ask, seconds=60) == place
    assert len(asked) == 1


def test_the_tables_are_queried_after_the_object_is_deleted(
    double: Databricks, files: workspace.DatabricksWorkspace
) -> None:
    """Not before; until then only the volume is listed."""
    held = store(double, VOLUME, BODY)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            held.unlink()
            held.parent.rmdir()  # as an empty folder is, later

    assert track(files, PATH, BODY, lambda: not held.exists(), seconds=60, sleep=sleep) == "row"
    assert slept == [2.0, 2.0, 2.0]


def test_an_object_that_stays_ends_the_wait(
    double: Databricks, files: workspace.DatabricksWorkspace
) -> None:
    """After the given time; the tables are not queried."""
    store(double, VOLUME, BODY)
    clock = iter(range(0, 100, 5))

    place = track(
        files,
        PATH,
        BODY,
        must_not_query,
        seconds=12,
        monotonic=lambda: float(next(clock)),
        sleep=lambda _: None,
    )

    assert place == "inbox"


def local(folder: Path, *bodies: bytes) -> LocalInbox:
    """A local inbox with these events in an open segment."""
    inbox = LocalInbox(folder, floor_bytes=0, close_seconds=60)
    for body in bodies:
        inbox.append(Record(body, datetime.now(UTC), "1", "0badf00d", len(body)), 5)
    return inbox


def test_an_event_is_found_in_a_local_inbox(tmp_path: Path) -> None:
    """In a segment that is still written too. One that is closed meanwhile is the same segment."""
    inbox = local(tmp_path, b'{"event_id": "other"}', BODY)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        inbox.close()

    place = track_in_folder(
        tmp_path, BODY, must_not_query, seconds=0.2, look_seconds=0.01, sleep=sleep
    )

    assert place == "inbox"
    assert slept


def test_an_event_that_has_left_a_local_inbox_is_a_row(tmp_path: Path) -> None:
    """The tables are queried when its segment is deleted."""
    local(tmp_path, BODY).close()

    def sleep(_: float) -> None:
        for segment in tmp_path.glob("*.seg"):
            segment.unlink()

    assert track_in_folder(tmp_path, BODY, lambda: True, seconds=9, sleep=sleep) == "row"
    assert track_in_folder(tmp_path, BODY, lambda: False) is None
