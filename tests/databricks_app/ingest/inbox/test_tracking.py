"""An event is found where it was stored, without a question to the warehouse."""

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


def unasked() -> bool:
    """Stand for tables that must not be asked."""
    raise AssertionError("the tables were asked")


def test_a_stored_event_is_in_the_inbox(
    double: Databricks, files: workspace.DatabricksWorkspace
) -> None:
    """Among others, by its bytes; the tables are not asked."""
    store(double, VOLUME, BODY)
    store(double, VOLUME, b'{"event_id": "other"}')

    assert track(files, PATH, BODY, unasked) == "inbox"


@pytest.mark.parametrize(("is_row", "place"), [(True, "row"), (False, None)])
def test_an_event_that_no_object_holds_is_a_row_or_lost(
    double: Databricks, files: workspace.DatabricksWorkspace, is_row: bool, place: str | None
) -> None:
    """The tables are asked once."""
    store(double, VOLUME, b'{"event_id": "other"}')
    asked: list[int] = []

    def ask() -> bool:
        asked.append(1)
        return is_row

    assert track(files, PATH, BODY, ask, seconds=60) == place
    assert len(asked) == 1


def test_a_row_is_waited_for_by_its_object(
    double: Databricks, files: workspace.DatabricksWorkspace
) -> None:
    """The tables are asked when the object is gone, and only then."""
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
    """After the time that is given; the tables are not asked."""
    store(double, VOLUME, BODY)
    clock = iter(range(0, 100, 5))

    place = track(
        files,
        PATH,
        BODY,
        unasked,
        seconds=12,
        monotonic=lambda: float(next(clock)),
        sleep=lambda _: None,
    )

    assert place == "inbox"
