"""The present release in the data folder of the release before workspaces."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from databricks_app.events.record import Record
from databricks_app.lake import RAW_TABLE, sql_dialect
from databricks_app.lake.local import verify
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.merge_plan import MergeLimits
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import LocalLake
from tests.support import earlier_release
from tests.support.earlier_release import Answers
from tests.support.loading import LoaderUnderTest

TYPED = [table.name for table in sql_dialect.tables() if table.name != RAW_TABLE]
# Later than all that the archive holds.
LATER = datetime(2027, 1, 1, tzinfo=UTC)
# What a person was called last depends on the clock of the receiver.
_LATEST = frozenset({"customer_id", "identifiers_id", "email"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the data folder of that release in it."""
    earlier_release.unpack(tmp_path)
    return tmp_path


def expected(folder: Path, moment: str) -> Answers:
    """What the views are to give: what they gave, and the columns that are new in them."""
    return earlier_release.in_the_present_release(earlier_release.expected(folder, moment))


def load_all(folder: Path, policy: Policy) -> None:
    """Load what is pending, and the later events."""
    under_test = LoaderUnderTest(folder / "data")
    under_test.lake = under_test.loader.lake = LocalLake(folder / "data", policy=policy)
    under_test.lake.start()
    bodies = earlier_release.later(folder)
    under_test.store(*(Record(one, LATER, "1798761600", "0badf00d", len(one)) for one in bodies))
    under_test.drain()
    under_test.lake.close()


def assert_each_key_is_there_once(data: Path) -> None:
    """In the raw table, and in one typed table unless it was unrouted."""
    verdict = verify.check(data, TYPED)

    assert verdict.differences == ()
    assert (verdict.conflicts, verdict.unrouted) == (0, 3)
    for name in (RAW_TABLE, *TYPED):
        keys = LocalQuery(data).run(
            f"SELECT count(*), count(DISTINCT event_id || event_date) FROM {name}"
        )
        assert keys.rows[0][0] == keys.rows[0][1] == verdict.rows[name] > 0


@pytest.mark.slow
def test_the_folder_answers_every_view_before_and_after_the_columns_are_added(
    folder: Path,
) -> None:
    """A reader may come before the loader; the loader's start adds what the tables lack."""
    before = earlier_release.answers(LocalQuery(folder / "data"))
    lake = LocalLake(folder / "data")
    report = lake.start()
    lake.close()

    after = earlier_release.answers(LocalQuery(folder / "data"))

    assert report.problems == ()
    assert report.added_columns == {
        RAW_TABLE: ("workspace", "body_sha256"),
        **dict.fromkeys(TYPED, ("workspace",)),
    }
    assert before == after == expected(folder, "loaded")
    assert all(after.values())


def test_pending_and_new_events_are_loaded_and_each_key_stands_once(folder: Path) -> None:
    """Old and new rows count together, as if that release had loaded them all."""
    load_all(folder, Policy())

    assert earlier_release.answers(LocalQuery(folder / "data")) == expected(folder, "complete")
    assert_each_key_is_there_once(folder / "data")
    stored = LocalQuery(folder / "data").run(
        f"SELECT DISTINCT workspace, body_sha256 IS NULL FROM {RAW_TABLE} ORDER BY 2"
    )
    assert stored.rows == [("default", False), ("default", True)]


@pytest.mark.slow
def test_files_of_both_releases_are_compacted_together(folder: Path) -> None:
    """The new ones have columns and comments that the old ones lack."""
    limits = MergeLimits(compact_files=2, late_files=2, days_at_once=100)
    load_all(folder, Policy(1, 1, limits=limits, chores_seconds=60))

    files = DeltaTable(folder / "data" / "tables" / RAW_TABLE).file_uris()
    assert len(files) == len({Path(file).parent for file in files})
    assert earlier_release.answers(LocalQuery(folder / "data")) == expected(folder, "complete")


def test_a_receiver_of_the_present_release_goes_on_in_the_folder(folder: Path) -> None:
    """The real processes, from the segment of the process that was killed to the views."""
    data, wanted = folder / "data", expected(folder, "complete")
    before = earlier_release.raw_rows(data)
    with serving(folder, CIO_WEB_WORKERS="1") as receiver:
        wait_until(lambda: earlier_release.raw_rows(data) > before)
        earlier_release.post(receiver, earlier_release.later(folder))
        wait_until(lambda: earlier_release.raw_rows(data) == earlier_release.EVENTS)
        ready = receiver.page("/readyz")
        receiver.stop()

    assert (ready.status, json.loads(ready.body)["status"]) == (200, "ok")
    assert _unnamed(earlier_release.answers(LocalQuery(data))) == _unnamed(wanted)
    assert_each_key_is_there_once(data)
    assert receiver.logged("load_failed") == []


def _unnamed(answers: Answers) -> Answers:
    return {
        view: [{name: one[name] for name in one if name not in _LATEST} for one in records]
        for view, records in answers.items()
    }
