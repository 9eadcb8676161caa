"""The loader's SQL: names of `sql/`, literal dates, and no value of an event."""

from __future__ import annotations

from datetime import date

import pytest
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
MERGE = """MERGE INTO `webhook_small` AS held
USING (
  SELECT `event_id`, `event_date`, `headers`
  FROM read_files('/Volumes/main/cio/events/staging/1.parquet', format => 'parquet', \
schema => 'event_id STRING, event_date DATE, headers MAP<STRING, ARRAY<STRING>>')
) AS staged
ON held.`event_id` = staged.`event_id` AND held.`event_date` = staged.`event_date` \
AND held.`event_date` IN (DATE'1970-01-01', DATE'2026-11-22')
WHEN NOT MATCHED THEN INSERT (`event_id`, `event_date`, `headers`)
VALUES (staged.`event_id`, staged.`event_date`, staged.`headers`)"""
HELD = """SELECT held.`event_id`, held.`event_date`
FROM `webhook_small` AS held
INNER JOIN (
  SELECT `event_id`, `event_date`
  FROM read_files('/Volumes/main/cio/events/staging/1.parquet', format => 'parquet', \
schema => 'event_id STRING, event_date DATE')
) AS staged
ON held.`event_id` = staged.`event_id` AND held.`event_date` = staged.`event_date` \
AND held.`event_date` IN (DATE'1970-01-01', DATE'2026-11-22')
WHERE held.`batch_id` IS NULL OR held.`batch_id` <> :batch_id"""
PATH = "/Volumes/main/cio/events/staging/1.parquet"


def test_merge_inserts_what_is_missing_within_the_dates() -> None:
    """It changes no row, and reads no day but those of the batch."""
    assert statements.merge(SMALL, PATH, DAYS) == MERGE


def test_held_asks_for_what_other_loads_wrote() -> None:
    """The batch is a parameter."""
    assert statements.rows_of_other_loads(SMALL, PATH, DAYS, statements.KEY) == HELD


def test_add_columns_names_those_alone_that_are_missing() -> None:
    """With their comments, whose quotes end nothing."""
    sql = statements.add_columns(SMALL, ["headers"])

    assert sql == (
        "ALTER TABLE `webhook_small` ADD COLUMNS (`headers` MAP<STRING, ARRAY<STRING>> "
        "COMMENT 'What the sender\\\\\\'s mail says')"
    )


@pytest.mark.parametrize("table", sql_dialect.tables(), ids=lambda table: table.name)
def test_statements_of_every_table_are_databricks_sql(table: Table) -> None:
    """As the parser of the dialect reads them; the second engine is in the lake's own tests."""
    texts = (
        statements.merge(table, PATH, DAYS),
        statements.rows_of_other_loads(table, PATH, DAYS, statements.KEY),
        statements.add_columns(table, table.column_names[-2:]),
    )

    kinds = [type(sqlglot.parse_one(text, dialect="databricks")) for text in texts]

    assert kinds == [exp.Merge, exp.Select, exp.Alter]
