"""An event is found in the volume without a query to the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from databricks_app.databricks import workspace
from databricks_app.ingest.inbox.tracking import track
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
