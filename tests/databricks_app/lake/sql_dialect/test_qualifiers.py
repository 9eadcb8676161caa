"""Qualified column names: the local engine resolves them like Spark.

Each of these queries was run on Apache Spark 4.2 with the tables and views of `sql/`. The schema of
the session was not the schema in the names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from databricks_app.errors import QueryError
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.sql_dialect import duckdb_text

if TYPE_CHECKING:
    from pathlib import Path

STRUCT = "named_struct('a', named_struct('b', 1))"


UNRESOLVED = [
    # Query, column in the error, advice in the error.
    ("SELECT e.e.metric FROM webhook_sms_events AS e", "e.e.metric", "e.metric"),
    ("SELECT max(e.e.metric) FROM webhook_sms_events e", "e.e.metric", "e.metric"),
    ("SELECT 1 FROM webhook_sms_events e ORDER BY e.e.metric", "e.e.metric", "e.metric"),
    ("SELECT e.e.* FROM webhook_sms_events AS e", "e.e.*", "e.*"),
    ("SELECT cio.e.metric FROM cio.webhook_sms_events AS e", "cio.e.metric", "e.metric"),
    (
        "SELECT cio.webhook_sms_events.metric FROM cio.webhook_sms_events AS e",
        "cio.webhook_sms_events.metric",
        r"\(e\)",
    ),
    (
        "SELECT a.webhook_sms_events.metric FROM b.webhook_sms_events",
        "a.webhook_sms_events.metric",
        "webhook_sms_events.metric",
    ),
    (
        "SELECT main.webhook_sms_events.metric FROM main.cio.webhook_sms_events",
        "main.webhook_sms_events.metric",
        "webhook_sms_events.metric",
    ),
    (
        "SELECT cio.webhook_sms_events.metric FROM webhook_sms_events",
        "cio.webhook_sms_events.metric",
        "FROM `cio.webhook_sms_events`",
    ),
    (
        "SELECT main.cio.webhook_sms_events.metric FROM cio.webhook_sms_events",
        "main.cio.webhook_sms_events.metric",
        "FROM `main.cio.webhook_sms_events`",
    ),
    ("WITH e AS (SELECT 1 AS a) SELECT e.e.a FROM e", "e.e.a", "e.a"),
    (
        "WITH e AS (SELECT * FROM cio.webhook_sms_events) SELECT e.e.metric FROM e",
        "e.e.metric",
        "e",
    ),
    (
        "SELECT 1 FROM webhook_sms_events AS e JOIN webhook_email_events AS f"
        " ON e.e.event_id = f.event_id",
        "e.e.event_id",
        "e.event_id",
    ),
    (
        "SELECT 1 FROM webhook_sms_events AS e WHERE EXISTS"
        " (SELECT 1 FROM webhook_email_events AS f WHERE e.e.event_id = f.event_id)",
        "e.e.event_id",
        "e.event_id",
    ),
    (
        "SELECT * FROM cio.webhook_sms_events, (SELECT cio.webhook_sms_events.metric AS m) AS x",
        "cio.webhook_sms_events.metric",
        "no table",
    ),
    (f"SELECT x.x.s.a FROM (SELECT {STRUCT} AS s) AS x", "x.x.s.a", r"\(x\)"),
    (
        "SELECT main.webhook_sms_events FROM webhook_sms_events",
        "main.webhook_sms_events",
        r"\(webhook_sms_events\)",
    ),
    ("SELECT count(e) FROM webhook_sms_events AS e", "e", "`e.`"),
]


def test_columns_that_spark_cannot_resolve_are_refused() -> None:
    """The error names the column as written and says what to write instead."""
    wrong: dict[str, str] = {}

    for sql, column, advice in UNRESOLVED:
        try:
            wrong[sql] = f"accepted as {duckdb_text(sql)}"
        except QueryError as error:
            if not re.search(f"`{re.escape(column)}`.*{advice}", str(error)):
                wrong[sql] = str(error)

    assert wrong == {}


RESOLVED = [
    "SELECT cio.webhook_sms_events.metric FROM cio.webhook_sms_events",
    "SELECT CIO.Webhook_SMS_Events.Metric FROM cio.webhook_sms_events",
    "SELECT cio.webhook_sms_events.metric FROM main.cio.webhook_sms_events",
    "SELECT main.cio.webhook_sms_events.metric FROM main.cio.webhook_sms_events",
    "SELECT cio.webhook_sms_events.* FROM main.cio.webhook_sms_events",
    "SELECT metric FROM cio.webhook_sms_events ORDER BY cio.webhook_sms_events.metric",
    "FROM cio.webhook_sms_events SELECT cio.webhook_sms_events.metric",
    "SELECT cio.daily_email_engagement.event_date FROM cio.daily_email_engagement",
    "SELECT 1 FROM cio.webhook_sms_events WHERE EXISTS (SELECT 1 FROM webhook_email_events AS f"
    " WHERE cio.webhook_sms_events.event_id = f.event_id)",
    "SELECT * FROM cio.webhook_sms_events,"
    " LATERAL (SELECT cio.webhook_sms_events.metric AS m) AS x",
    "WITH webhook_sms_events AS (SELECT * FROM cio.webhook_sms_events)"
    " SELECT metric FROM webhook_sms_events",
    "SELECT cio.webhook_email_events.headers.x FROM cio.webhook_email_events",
    "SELECT main.cio.webhook_email_events.headers.x FROM main.cio.webhook_email_events",
    "SELECT t.headers.x FROM webhook_email_events AS t",
    "SELECT p.recipients[0].device_id FROM webhook_push_events AS p",
    "SELECT r.d.device_id FROM webhook_push_events LATERAL VIEW explode(recipients) r AS d",
    "SELECT metric FROM (webhook_email_events e JOIN webhook_sms_events s USING (metric))",
    "SELECT metric FROM webhook_email_events AS metric",
]


def test_columns_that_spark_resolves_are_accepted(tmp_path: Path) -> None:
    """Schema and catalog as in FROM, fields of structs and maps, outer queries."""
    wrong: dict[str, object] = {}

    for sql in RESOLVED:
        try:
            rows = LocalQuery(tmp_path).run(sql).rows
        except QueryError as error:
            wrong[sql] = error
        else:
            if rows:
                wrong[sql] = rows

    assert wrong == {}


@pytest.mark.parametrize("name", ["s.a.b", "x.s.a.b", "X.S.A.B"])
def test_a_field_of_a_struct_keeps_all_parts_of_its_name(name: str, tmp_path: Path) -> None:
    """No part before a field is read as a schema."""
    sql = f"SELECT {name} FROM (SELECT {STRUCT} AS s) AS x"

    assert LocalQuery(tmp_path).run(sql).rows == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t.metric.x FROM webhook_sms_events AS t",
        f"SELECT x.s.b FROM (SELECT {STRUCT} AS s) AS x",
        "SELECT webhook_sms_events.metric FROM cio.webhook_sms_events AS e",
        "SELECT cio.webhook_sms_events.nothing FROM cio.webhook_sms_events",
    ],
)
def test_engine_refuses_names_that_need_the_types_of_columns(sql: str, tmp_path: Path) -> None:
    """A missing field, a field of a text, and a table that an alias hides."""
    with pytest.raises(QueryError, match="The query fails"):
        LocalQuery(tmp_path).run(sql)


@pytest.mark.parametrize("name", ["e", "webhook_sms_events"])
def test_table_with_a_schema_and_the_name_of_a_part_of_with_is_refused(name: str) -> None:
    """Without the schema the engine would read the part of WITH instead of the table."""
    with pytest.raises(QueryError, match=f"WITH defines {name}"):
        duckdb_text(f"WITH {name} AS (SELECT 1 AS a) SELECT * FROM cio.{name}")


def test_using_refuses_a_qualified_column() -> None:
    """The parser drops the qualifier, which is a syntax error on Databricks."""
    with pytest.raises(QueryError, match=r"USING.*`a\.`"):
        duckdb_text(
            "SELECT 1 FROM webhook_sms_events a JOIN webhook_email_events b USING (a.event_id)"
        )
