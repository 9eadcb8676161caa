"""Spark runs every file of `sql/` unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from databricks_app.lake import sql_dialect
from databricks_app.lake.sql_dialect import Table, View
from tests.spark.substitutions import SUBSTITUTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.spark.engine import SparkEngine

each_table = pytest.mark.parametrize("table", sql_dialect.tables(), ids=lambda table: table.name)
each_view = pytest.mark.parametrize("view", sql_dialect.views(), ids=lambda view: view.name)


@pytest.fixture(scope="module")
def engine(engine_in: Callable[..., SparkEngine]) -> SparkEngine:
    """All tables, then all views, each file run twice."""
    engine = engine_in()
    for kind in ("tables", "tables", "views", "views"):
        engine.make(kind)
    return engine


def test_no_file_needs_a_substitution() -> None:
    """The files contain nothing that only Databricks has."""
    texts = [one.sql for kind in ("tables", "views") for one in sql_dialect.statements(kind)]

    assert not [text for text in texts for one in SUBSTITUTIONS if one.pattern.search(text)]


@each_table
def test_table_has_the_columns_of_its_file(table: Table, engine: SparkEngine) -> None:
    """Names, order, types, NOT NULL and comments, as Delta keeps them."""
    columns = engine.spark.table(table.name).schema

    assert [
        (one.name, one.type.upper().replace(", ", ",").replace(": ", ":"), one.comment)
        for one in table.columns
    ] == [
        (one.name, one.dataType.simpleString().upper(), one.metadata["comment"]) for one in columns
    ]


@each_table
def test_table_is_a_clustered_delta_table_with_the_properties_of_its_file(
    table: Table, engine: SparkEngine
) -> None:
    """Serializable, with deletion vectors, clustered by what the file names."""
    answer = engine.run(f"DESCRIBE DETAIL {table.name}")
    detail = dict(zip(answer.names, answer.rows[0], strict=True))

    assert detail["format"] == "delta"
    assert detail["description"] == table.comment
    assert f"CLUSTER BY ({', '.join(detail['clusteringColumns'])})" in table.sql
    assert dict(detail["properties"]) | {
        "delta.enableDeletionVectors": "true",
        "delta.isolationLevel": "Serializable",
    } == dict(detail["properties"])


@each_table
def test_table_refuses_a_row_without_a_key(table: Table, engine: SparkEngine) -> None:
    """Delta Lake enforces NOT NULL."""
    required = [column.name for column in table.columns if not column.nullable]
    types = {column.name: column.type for column in table.columns}
    values = ", ".join(f"CAST(NULL AS {types[name]})" for name in required)

    with pytest.raises(
        Exception, match=r"DELTA_NOT_NULL_CONSTRAINT_VIOLATED|NOT_NULL_ASSERT_VIOLATION"
    ):
        engine.run(f"INSERT INTO {table.name} ({', '.join(required)}) VALUES ({values})")


@each_view
def test_view_of_empty_tables_is_empty_and_has_the_columns_of_its_file(
    view: View, engine: SparkEngine
) -> None:
    """Every view can be queried after a new installation."""
    answer = engine.run(f"SELECT * FROM {view.name}")

    assert answer.rows == []
    assert answer.names == tuple(view.column_comments)


@each_view
def test_view_keeps_its_comments(view: View, engine: SparkEngine) -> None:
    """The catalog shows them."""
    described = engine.run(f"DESCRIBE TABLE EXTENDED {view.name}").rows
    columns = dict((row[0], row[2]) for row in described[: len(view.column_comments)])

    assert columns == view.column_comments
    assert ("Comment", view.comment) in [row[:2] for row in described]
