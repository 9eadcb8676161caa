"""What the handlers declare is what `sql/tables/` defines."""

from __future__ import annotations

from databricks_app.events.decoding import RAW_COLUMNS, RAW_TABLE
from databricks_app.events.handlers import HANDLERS_BY_TABLE
from databricks_app.lake.sql_dialect import tables

LOADER_COLUMNS = {"loaded_at", "batch_id"}


def test_columns_are_those_of_the_sql_tables() -> None:
    """Names, order, types and nullability agree with `sql/tables/`, for all nine tables."""
    declared = {table: handler.columns for table, handler in HANDLERS_BY_TABLE.items()}
    declared[RAW_TABLE] = RAW_COLUMNS

    assert {
        name: [(column.name, column.type, column.nullable) for column in columns]
        for name, columns in declared.items()
    } == {
        table.name: [
            (column.name, column.type, column.nullable)
            for column in table.columns
            if column.name not in LOADER_COLUMNS
        ]
        for table in tables()
    }
