"""Qualified names of columns: what Spark resolves, the local engine resolves alike.

Which of these queries Spark accepts was tried on Apache Spark 4.3 with the tables and views of
`sql/`, in a session whose schema is another one than that of the tables that are named with one.
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


@pytest.mark.parametrize(
    ("sql", "column", "advice"),
    [
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
            "SELECT * FROM cio.webhook_sms_events,"
            " (SELECT cio.webhook_sms_events.metric AS m) AS x",
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
    ],
)
def test_a_column_that_spark_does_not_resolve_is_refused(
    sql: str, column: str, advice: str
) -> None:
    """The error names the column as written and says what to write."""
    with pytest.raises(QueryError, match=f"`{re.escape(column)}`.*{advice}"):
        duckdb_text(sql)


@pytest.mark.parametrize(
    "sql",
    [
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
    ],
)
def test_a_column_that_spark_resolves_is_answered(sql: str, tmp_path: Path) -> None:
    """Schema and catalog where FROM gives them, fields of structs and maps, outer queries."""
    assert LocalQuery(tmp_path).run(sql).rows == []


@pytest.mark.parametrize("name", ["s.a.b", "x.s.a.b", "X.S.A.B"])
def test_a_field_of_a_struct_keeps_all_parts_of_its_name(name: str, tmp_path: Path) -> None:
    """Nothing in front of a field is taken for a schema."""
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
def test_what_only_the_types_tell_is_refused_by_the_engine(sql: str, tmp_path: Path) -> None:
    """A field that is not there, of what is no struct, and a table that an alias hides."""
    with pytest.raises(QueryError, match="The query fails"):
        LocalQuery(tmp_path).run(sql)


@pytest.mark.parametrize("name", ["e", "webhook_sms_events"])
def test_a_table_with_a_schema_is_not_a_part_of_with(name: str) -> None:
    """Without its schema the engine would read the part of WITH, and answer something else."""
    with pytest.raises(QueryError, match=f"WITH defines {name}"):
        duckdb_text(f"WITH {name} AS (SELECT 1 AS a) SELECT * FROM cio.{name}")


def test_using_takes_no_qualified_column() -> None:
    """The parser drops the qualifier that Databricks calls a syntax error."""
    with pytest.raises(QueryError, match=r"USING.*`a\.`"):
        duckdb_text(
            "SELECT 1 FROM webhook_sms_events a JOIN webhook_email_events b USING (a.event_id)"
        )
