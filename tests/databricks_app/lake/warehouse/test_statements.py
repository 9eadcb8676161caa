"""The SQL of the loader: names of `sql/`, literal dates, and no other value of an event."""

from __future__ import annotations

from datetime import date

import sqlglot
from sqlglot import exp

from databricks_app.lake import sql_dialect
from databricks_app.lake.sql_dialect import ColumnDefinition, Table
from databricks_app.lake.warehouse import statements

SMALL = Table(
    "webhook_small",
    (
        ColumnDefinition("event_id", "STRING", False, "Key"),
        ColumnDefinition("event_date", "DATE", False, "Day"),
        ColumnDefinition(
            "headers", "MAP<STRING, ARRAY<STRING>>", True, "What the sender\\'s mail says"
        ),
    ),
    "",
    "",
)
DAYS = (date(2026, 11, 22), date(1970, 1, 1))
PATH = "/Volumes/main/cio/events/staging/1.parquet"


def test_statements_contain_the_dates_and_no_other_value_of_an_event() -> None:
    """The dates limit what is read. docs/databricks-statements.sql has the whole statements."""
    merge = statements.merge(SMALL, PATH, DAYS)
    other = statements.rows_of_other_loads(SMALL, PATH, DAYS, statements.KEY)

    for sql in (merge, other):
        assert "`event_date` IN (DATE'1970-01-01', DATE'2026-11-22')" in sql
    assert "WHEN MATCHED" not in merge
    assert ":batch_id" in other


def test_add_columns_adds_only_missing_columns_and_escapes_comments() -> None:
    """A quote in a comment does not end the text."""
    sql = statements.add_columns(SMALL, ["headers"])

    assert "event_id" not in sql
    assert "ADD COLUMNS (`headers` MAP<STRING, ARRAY<STRING>> COMMENT " in sql
    assert "'What the sender\\\\\\'s mail says'" in sql


def test_statements_of_every_table_are_databricks_sql() -> None:
    """The parser of the dialect accepts them. Other tests run them on a warehouse double."""
    kinds = {
        table.name: [
            type(sqlglot.parse_one(text, dialect="databricks"))
            for text in (
                statements.merge(table, PATH, DAYS),
                statements.rows_of_other_loads(table, PATH, DAYS, statements.KEY),
                statements.add_columns(table, table.column_names[-2:]),
            )
        ]
        for table in sql_dialect.tables()
    }

    assert kinds == {name: [exp.Merge, exp.Select, exp.Alter] for name in kinds}
