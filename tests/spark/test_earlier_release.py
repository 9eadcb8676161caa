"""The catalog of the release before workspaces on Spark: widened, loaded, its views replaced.

The statements are those of the present release: what the loader sends to add columns and to merge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from databricks_app.events.decoding import read
from databricks_app.events.record import Record
from databricks_app.lake import RAW_TABLE, sql_dialect
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.batch import LoadCounts, distinct, prepare
from databricks_app.lake.warehouse import statements
from tests.spark import staged
from tests.spark.engine import SparkEngine, comparable
from tests.support import earlier_release

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.earlier_release import Answers

pytestmark = pytest.mark.slow

VIEWS = [view.name for view in sql_dialect.views()]
VOLUME = "/Volumes/main/cio/events"
LATER = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The results of the views at each step of the upgrade, and the expected results.

    Attributes:
        widened: The old views over the rows of that release, after the tables got their columns.
        complete: The old views after the present release has loaded.
        replaced: The views of the present release.
        folder: Where the archive was unpacked.
    """

    widened: Answers
    complete: Answers
    replaced: Answers
    folder: Path


@pytest.fixture(scope="module")
def upgraded(
    engine_in: Callable[..., SparkEngine], tmp_path_factory: pytest.TempPathFactory
) -> Upgraded:
    """Spark after the whole upgrade."""
    folder = tmp_path_factory.mktemp("earlier")
    data = earlier_release.unpack(folder)
    engine = engine_in(folder / "volume")
    (folder / "volume").mkdir()
    for statement in earlier_release.catalog():
        engine.run(statement)
    for name, rows in earlier_release.table_rows(data).items():
        (folder / "volume" / f"{name}.parquet").write_bytes(staged.content(rows))
        engine.run(earlier_release.insert(name, f"{VOLUME}/{name}.parquet"))
    for table in sql_dialect.tables():
        there = [column.name for column in engine.spark.table(table.name).schema]
        missing = set(table.column_names) - set(there)
        engine.run(statements.add_columns(table, missing))
    widened = answers(engine)
    load(engine, folder)
    complete = answers(engine)
    engine.make("views")
    return Upgraded(widened, complete, answers(engine), folder)


def load(engine: SparkEngine, folder: Path) -> None:
    """Merge what was pending, and the later events, as the loader does."""
    later = [
        Record(one, LATER, "1798761600", "0badf00d", len(one))
        for one in earlier_release.later(folder)
    ]
    readings = [read(record) for record in (*earlier_release.pending(folder / "data"), *later)]
    schemas = {table.name: arrow_schema(table) for table in sql_dialect.tables()}
    stamps = {"batch_id": "the batch", "loaded_at": LATER}
    prepared = prepare(distinct(readings, LoadCounts()), schemas, stamps)
    for name, rows in {RAW_TABLE: prepared.raw, **prepared.typed}.items():
        file = f"{name}.new.parquet"
        (folder / "volume" / file).write_bytes(staged.content(rows))
        dates = set(rows.column("event_date").to_pylist())
        sql = statements.merge(sql_dialect.table(name), f"{VOLUME}/{file}", dates)
        engine.run(sql, {"loaded_at": LATER})


def answers(engine: SparkEngine) -> Answers:
    """All rows of each view."""
    found = {view: engine.run(f"SELECT * FROM {view}") for view in VIEWS}
    return {
        view: earlier_release.comparable(answer.names, comparable(answer.rows))
        for view, answer in found.items()
    }


@pytest.mark.parametrize("view", VIEWS)
def test_view_of_the_earlier_release_answers_in_the_wider_tables(
    view: str, upgraded: Upgraded
) -> None:
    """New columns in the tables and new rows do not change it."""
    loaded = earlier_release.expected(upgraded.folder, "loaded")[view]
    complete = earlier_release.expected(upgraded.folder, "complete")[view]

    assert upgraded.widened[view] == loaded
    assert upgraded.complete[view] == complete


@pytest.mark.parametrize("view", VIEWS)
def test_view_of_the_present_release_counts_old_and_new_rows(view: str, upgraded: Upgraded) -> None:
    """Rows without a workspace are of the default one, as are the new ones."""
    complete = earlier_release.expected(upgraded.folder, "complete")

    assert upgraded.replaced[view] == earlier_release.in_the_present_release(complete)[view]
