"""The present release on the tables and views of the release before workspaces, on a warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from databricks_app.cli.deploy import deploy
from databricks_app.databricks import workspace
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.events.decoding import read
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.volume_reader import pending, put_replay
from databricks_app.lake import RAW_TABLE, StartReport, sql_dialect
from databricks_app.lake.warehouse import verify
from databricks_app.lake.warehouse.connect import open_lake, open_query
from databricks_app.settings import Settings, from_environment
from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks
from tests.doubles.warehouse.queries import Session
from tests.spark.staged import content
from tests.support import earlier_release
from tests.support.deploying import few_sources
from tests.support.earlier_release import Answers

TYPED = [table.name for table in sql_dialect.tables() if table.name != RAW_TABLE]
VIEWS = [view.name for view in sql_dialect.views()]
VOLUME = "/Volumes/main/cio/events"
LATER = datetime(2027, 1, 1, tzinfo=UTC)


class EarlierCatalog:
    """A schema that the release before made and filled.

    Attributes:
        folder: Where its data folder was unpacked.
        double: The workspace.
    """

    def __init__(self, folder: Path, double: Databricks) -> None:
        self.folder = folder
        self.double = double
        self.data = earlier_release.unpack(folder)
        for statement in earlier_release.catalog():
            self.run(statement)
        for name, rows in earlier_release.table_rows(self.data).items():
            path = f"/Volumes/main/cio/events/filled/{name}.parquet"
            local = double.workspace.catalog.local_path(path)
            local.parent.mkdir(parents=True, exist_ok=True)
            local.write_bytes(content(rows))
            self.run(earlier_release.insert(name, path))

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the receiver."""
        return self.double.environment() | {
            "CIO_STORE": "databricks",
            "CIO_CATALOG": "main",
            "CIO_SCHEMA": "cio",
            "CIO_VOLUME": "events",
            "CIO_DATA_DIR": str(self.folder / "receiver"),
        }

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return from_environment(self.variables)

    def run(self, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
        """Names and rows of a statement."""
        rows = self.double.workspace.engine.run(sql, Session("main", "cio"), [])
        return rows.column_names, list(zip(*rows.to_pydict().values(), strict=True))

    def answers(self) -> Answers:
        """All rows of each view."""
        found = {view: self.run(f"SELECT * FROM {view}") for view in VIEWS}
        return {view: earlier_release.comparable(*answer) for view, answer in found.items()}

    def load(self) -> StartReport:
        """Start the lake of the present release; load what was pending, and the later events."""
        joined = workspace.connect(self.variables)
        lake = open_lake(joined, self.settings, CallTimeout())
        bodies = earlier_release.later(self.folder)
        later = [Record(one, LATER, "1798761600", "0badf00d", len(one)) for one in bodies]
        try:
            started = lake.start()
            for number, records in enumerate((earlier_release.pending(self.data), later)):
                readings = [read(record) for record in records]
                lake.load(readings, batch_id=f"batch {number}", loaded_at=LATER)
        finally:
            lake.close()
            joined.close()
        return started

    def deploy(self, *options: str) -> None:
        """Run `ciolake deploy` of the present release."""
        sources = self.folder / "sources"
        where = ["--catalog", "main", "--schema", "cio", "--volume", "events"]
        fixed = [*where, "--warehouse", WAREHOUSE_ID, "--no-proof", "--source", str(sources)]
        login = {"DATABRICKS_HOST": self.double.url, "DATABRICKS_TOKEN": TOKEN}
        env = login | {"CIO_WEBHOOK_SIGNING_KEYS": "test-signing-key"}
        done = CliRunner().invoke(deploy, [*fixed, *options], env=env)
        assert done.exit_code == 0, done.output


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[EarlierCatalog]:
    """Tables, views and rows of the release before, and its data folder."""
    few_sources(tmp_path / "sources")
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        yield EarlierCatalog(tmp_path, double)


@pytest.mark.slow
def test_loading_widens_the_tables_and_leaves_the_views(earlier: EarlierCatalog) -> None:
    """Views of the release before answer as they did, over old and new rows."""
    before = earlier.answers()

    started = earlier.load()

    assert started.added_columns == {
        RAW_TABLE: ("workspace", "body_sha256"),
        **dict.fromkeys(TYPED, ("workspace",)),
    }
    assert before == earlier_release.expected(earlier.folder, "loaded")
    assert earlier.answers() == earlier_release.expected(earlier.folder, "complete")


@pytest.mark.slow
def test_starting_says_which_views_to_replace_and_how(earlier: EarlierCatalog) -> None:
    """The problem is in `/readyz` until the loader starts with the new views."""
    first = earlier.load()
    earlier.deploy("--replace-views")
    second = earlier.load()

    (problem,) = first.problems
    assert all(view in problem for view in VIEWS)
    assert "`ciolake deploy --replace-views`" in problem
    assert second.problems == ()


@pytest.mark.slow
def test_deploy_replaces_the_views_with_the_option(earlier: EarlierCatalog) -> None:
    """Not without the option, because a view may have other readers. New views count all rows."""
    earlier.load()
    earlier.deploy()
    kept = earlier.answers()
    earlier.deploy("--replace-views")

    assert kept == earlier_release.expected(earlier.folder, "complete")
    assert earlier.answers() == earlier_release.in_the_present_release(kept)


def test_each_key_stands_once(earlier: EarlierCatalog) -> None:
    """A repetition of an event that the release before had loaded inserts nothing."""
    earlier.load()

    joined = workspace.connect(earlier.variables)
    verdict = verify.check(open_query(joined, earlier.settings), TYPED, is_loading=False)
    joined.close()

    assert verdict.differences == ()
    assert (verdict.conflicts, verdict.unrouted) == (0, 3)
    assert verdict.rows[RAW_TABLE] == earlier_release.EVENTS


def test_a_receiver_outside_databricks_keeps_its_inbox_in_the_volume(
    earlier: EarlierCatalog,
) -> None:
    """Its settings do not name an inbox. What waits there is loaded together with new events."""
    joined = workspace.connect(earlier.variables)
    lease, inbox = f"{VOLUME}/lease/00000001.json", earlier.folder / "receiver/inbox"
    # As an instance of that release writes it, which still loads.
    owned = {"holder": "earlier", "renewals": 1, "is_released": False, "statement_seconds": 301}
    joined.put(lease, json.dumps(owned).encode(), overwrite=True)
    waiting, later = earlier_release.pending(earlier.data), earlier_release.later(earlier.folder)
    put_replay(joined, VOLUME, waiting)
    folder = earlier.folder / "work"
    folder.mkdir()
    with serving(folder, CIO_WEB_WORKERS="1", **earlier.variables) as receiver:
        earlier_release.post(receiver, later)
        stored = pending(joined, VOLUME).events
        on_disk = list(inbox.glob("*.open")) + list(inbox.glob("*.seg"))
        joined.put(lease, json.dumps(owned | {"is_released": True}).encode(), overwrite=True)
        wait_until(lambda: not pending(joined, VOLUME).events, 60, 0.5)
        receiver.stop()
    joined.close()

    assert (stored, on_disk) == (len(waiting) + len(later), [])
    ((rows,),) = earlier.run(f"SELECT count(*) FROM {RAW_TABLE}")[1]
    assert rows == earlier_release.EVENTS
