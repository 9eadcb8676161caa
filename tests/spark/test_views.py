"""DuckDB and Spark return the same rows for each view and table of the same Delta tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from databricks_app.lake import sql_dialect
from databricks_app.lake.local.fsync import fsync
from databricks_app.lake.local.merge import merge
from databricks_app.lake.local.merge_plan import PlannedMerge
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.table_handle import TableHandle
from tests.spark import lake_data
from tests.spark.engine import Answer, comparable, ordered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from databricks_app.lake.local.query import Result
    from tests.spark.engine import SparkEngine

VIEWS = [view.name for view in sql_dialect.views()]
TABLES = [table.name for table in sql_dialect.tables()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with rows in all tables."""
    folder = tmp_path_factory.mktemp("lake")
    lake_data.fill(folder)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path, engine_in: Callable[..., SparkEngine]) -> SparkEngine:
    """Spark over the Delta tables of that folder, with the views of `sql/`."""
    engine = engine_in()
    engine.register(folder)
    return engine


def asked(query: LocalQuery, engine: SparkEngine, name: str) -> tuple[Result, Answer]:
    """All rows of a table or view, from both."""
    sql = f"SELECT * FROM {name}"
    return query.run(sql), engine.run(sql)


def as_read_locally(table: str) -> list[str]:
    """The columns of a table; local queries read a workspace of NULL as the default one."""
    names = sql_dialect.table(table).column_names
    return ["coalesce(workspace, 'default') AS workspace" if n == "workspace" else n for n in names]


@pytest.mark.parametrize("name", VIEWS)
def test_view_gives_the_same_names_types_and_rows(
    name: str, folder: Path, engine: SparkEngine
) -> None:
    """Rates are equal to the last digit."""
    local, spark = asked(LocalQuery(folder), engine, name)

    assert len(spark.rows) > 1
    assert local.names == spark.names
    assert local.types == spark.types
    assert ordered(comparable(local.rows)) == ordered(comparable(spark.rows))


@pytest.mark.parametrize("name", TABLES)
def test_local_table_is_read_by_spark(name: str, folder: Path, engine: SparkEngine) -> None:
    """Other engines can read what delta-rs writes: nested values, times, NULL."""
    local = LocalQuery(folder).run(f"SELECT * FROM {name}")
    spark = engine.run(f"SELECT {', '.join(as_read_locally(name))} FROM {name}")

    assert local.names == spark.names
    assert ordered(comparable(local.rows)) == ordered(comparable(spark.rows))


@pytest.fixture(scope="module")
def merged(
    tmp_path_factory: pytest.TempPathFactory, engine_in: Callable[..., SparkEngine]
) -> SparkEngine:
    """Spark over the same tables, each day rewritten as upkeep does it."""
    folder = tmp_path_factory.mktemp("merged")
    lake_data.fill(folder)
    for name in TABLES:
        handle = TableHandle(folder / "tables" / name, -1)
        days = handle.stored_files().items()
        plans = [PlannedMerge(day, tuple(files), closes_day=True) for day, files in days]
        assert list(merge(handle, plans, fsync))
    engine = engine_in()
    engine.register(folder)
    return engine


@pytest.mark.parametrize("name", TABLES)
def test_spark_reads_the_same_rows_where_days_were_merged(
    name: str, folder: Path, merged: SparkEngine
) -> None:
    """Our own code writes the log entry and the file of a merge, not delta-rs."""
    local = LocalQuery(folder).run(f"SELECT * FROM {name}")
    spark = merged.run(f"SELECT {', '.join(as_read_locally(name))} FROM {name}")

    assert ordered(comparable(local.rows)) == ordered(comparable(spark.rows))
