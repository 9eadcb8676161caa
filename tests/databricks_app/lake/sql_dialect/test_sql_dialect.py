"""Databricks SQL on the local engine: the same result, or an error."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.errors import QueryError
from databricks_app.lake.sql_dialect import (
    definitions,
    duckdb_query,
    duckdb_text,
    duckdb_type,
    sql_folder,
    statements,
    table,
    tables,
    views,
)
from databricks_app.lake.sql_dialect.functions import ALLOWED, DIVISION_BY_ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = "FROM VALUES (1, 'a', 10), (2, 'b', 20), (3, NULL, NULL), (4, 'd', 40) AS t(n, s, v)"


def at(*parts: int) -> datetime:
    """A UTC time."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # year to second


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in UTC, without tables."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    yield connection
    connection.close()


# The results that Databricks documents (docs.databricks.com, SQL language manual), by topic.
ANSWERS: dict[str, list[tuple[str, object]]] = {
    "numbers and conditions": [
        ("1 / 2", 0.5),
        ("5 div 2", 2),
        ("5 % 3", 2),
        ("try_divide(1, 0)", None),
        ("try_divide(1, 2)", 0.5),
        ("5 / nullif(0, 0)", None),
        ("CAST(2.9 AS INT)", 2),
        ("CAST(-2.9e0 AS BIGINT)", -2),
        ("CAST('12' AS INT)", 12),
        ("TRY_CAST('x' AS INT)", None),
        ("TRY_CAST(2.9 AS INT)", 2),
        ("CAST(TIMESTAMP '2026-01-01 00:00:00' AS STRING)", "2026-01-01 00:00:00"),
        ("CAST(1.5 AS STRING)", "1.5"),
        ("string(DATE '2026-01-01')", "2026-01-01"),
        ("round(2.5e0)", 3.0),
        ("floor(2.7)", 2),
        ("ceil(2.1e0)", 3),
        ("greatest(1, NULL, 3)", 3),
        ("least(1, NULL, 3)", 1),
        ("abs(-1)", 1),
        ("power(2, 3)", 8.0),
        ("sqrt(4)", 2.0),
        ("exp(0)", 1.0),
        ("ln(1)", 0.0),
        ("ln(-1)", None),
        ("rand() < 1", True),
        ("CASE WHEN 1 > 2 OR 2 > 1 AND true THEN 'x' ELSE 'y' END", "x"),
        ("equal_null(NULL, NULL)", True),
        ("coalesce(NULL, 4)", 4),
        ("nvl2(NULL, 1, 2)", 2),
        ("iff(true, 1, 2)", 1),
        ("isnull(NULL)", True),
        ("isnotnull(NULL)", False),
        ("1 <=> NULL", False),
    ],
    "text": [
        ("concat('a', NULL)", None),
        ("'a' || NULL", None),
        ("concat_ws('-', 'a', NULL, 'b')", "a-b"),
        ("substring('abc', 0, 2)", "ab"),
        ("substring('abc', -2, 1)", "b"),
        ("right('abc', 1)", "c"),
        ("upper('ab') || lower('CD')", "ABcd"),
        ("length('é')", 1),
        ("trim('  a ')", "a"),
        ("replace('aba', 'a', 'x')", "xbx"),
        ("reverse('ab')", "ba"),
        ("repeat('ab', 2)", "abab"),
        ("startswith('abc', 'a')", True),
        ("endswith('abc', 'a')", False),
        ("contains('abc', 'b')", True),
        ("length(uuid())", 36),
        ("instr('abc', 'b')", 2),
        ("locate('b', 'abc')", 2),
        ("lpad('a', 3, '0')", "00a"),
        ("split('a,b', ',')", ["a", "b"]),
        ("split_part('a,b', ',', 2)", "b"),
        ("regexp_extract('xy', 'x(y)')", "y"),
        ("regexp_replace('axa', 'a', 'b')", "bxb"),
        ("'abc' RLIKE 'b'", True),
        ("'a_b' LIKE 'a\\\\_b'", True),
        ("'axb' LIKE 'a\\\\_b'", False),
        ("'axb' NOT LIKE 'a_b'", False),
        ("'Ab' ILIKE 'a%'", True),
        ("md5('a')", "0cc175b9c0f1b6a831c399e269772661"),
        ("left(sha2('a', 256), 8)", "ca978112"),
        ("'it\\'s'", "it's"),
        ('"text"', "text"),
    ],
    "arrays, maps and structs": [
        ("array(5, 6)[0]", 5),
        ("element_at(array(5, 6), -1)", 6),
        ("element_at(map('a', 1), 'a')", 1),
        ("map('a', 1)['b']", None),
        ("map_keys(map('a', 1))", ["a"]),
        ("size(array(1, 2))", 2),
        ("array_contains(array(1, 2), 2)", True),
        ("array_join(array('a', NULL, 'b'), ',')", "a,b"),
        ("sort_array(array(2, 1))", [1, 2]),
        ("array_distinct(array(1, 1))", [1]),
        ("transform(array(1, 2), x -> x + 1)", [2, 3]),
        ("filter(array(1, 2), x -> x > 1)", [2]),
        ("named_struct('a', 1).a", 1),
        ("sequence(1, 3, 1)", [1, 2, 3]),
        (
            "sequence(DATE '2026-01-01', DATE '2026-01-02', INTERVAL 1 DAY)",
            [date(2026, 1, 1), date(2026, 1, 2)],
        ),
    ],
    "JSON": [
        ("get_json_object('{\"a\": {\"b\": 1}}', '$.a.b')", "1"),
        ("get_json_object('{\"a\": \"x\"}', '$.a')", "x"),
        ("get_json_object('no JSON', '$.a')", None),
        ('parse_json(\'{"a": "x"}\'):a::STRING', "x"),
        ('from_json(\'{"a": 1, "b": ["x"]}\', \'a INT, b ARRAY<STRING>\')', {"a": 1, "b": ["x"]}),
        ("from_json('[1, 2]', 'ARRAY<BIGINT>')", [1, 2]),
        ("from_json('no JSON', 'a INT')", None),
    ],
    "dates and times": [
        ("date_add(DATE '2026-01-31', 1)", date(2026, 2, 1)),
        ("date_sub(DATE '2026-01-31', 1)", date(2026, 1, 30)),
        ("add_months(DATE '2026-01-31', 1)", date(2026, 2, 28)),
        ("DATE '2026-01-01' + INTERVAL 1 DAY", date(2026, 1, 2)),
        ("(DATE '2026-01-03') - INTERVAL '2' DAYS", date(2026, 1, 1)),
        ("DATE '2026-01-01' - INTERVAL 12 HOURS", at(2025, 12, 31, 12)),
        ("TIMESTAMP '2026-01-01 00:00:00' + INTERVAL 1 DAY", at(2026, 1, 2)),
        ("dateadd(DAY, 2, DATE '2026-01-01')", at(2026, 1, 3)),
        ("datediff(DATE '2026-01-03', DATE '2026-01-01')", 2),
        ("date_diff(HOUR, TIMESTAMP '2026-01-01 10:59:00', TIMESTAMP '2026-01-01 11:01:00')", 0),
        (
            "timestampdiff(HOUR, TIMESTAMP '2026-01-01 10:59:00', TIMESTAMP '2026-01-01 12:01:00')",
            1,
        ),
        ("date_trunc('week', DATE '2026-11-22')", at(2026, 11, 16)),
        ("trunc(DATE '2026-11-22', 'MM')", date(2026, 11, 1)),
        ("last_day(DATE '2026-02-01')", date(2026, 2, 28)),
        ("dayofweek(DATE '2026-11-22')", 1),
        ("extract(DOW FROM DATE '2026-11-22')", 1),
        ("extract(YEAR FROM DATE '2026-11-22')", 2026),
        ("year(DATE '2026-11-22')", 2026),
        ("quarter(DATE '2026-11-22')", 4),
        ("month(DATE '2026-11-22')", 11),
        ("day(DATE '2026-11-22')", 22),
        ("dayofmonth(DATE '2026-11-22')", 22),
        ("dayofyear(DATE '2026-02-01')", 32),
        ("hour(TIMESTAMP '2026-11-22 01:02:03')", 1),
        ("minute(TIMESTAMP '2026-11-22 01:02:03')", 2),
        ("weekofyear(DATE '2026-11-22')", 47),
        ("make_date(2026, 1, 2)", date(2026, 1, 2)),
        ("to_date('31.01.2026', 'dd.MM.yyyy')", date(2026, 1, 31)),
        ("to_timestamp('2026-01-01 01:00:00')", at(2026, 1, 1, 1)),
        ("timestamp_seconds(1700000000)", at(2023, 11, 14, 22, 13, 20)),
        ("timestamp_millis(1700000000500)", at(2023, 11, 14, 22, 13, 20, 500000)),
        ("from_unixtime(1700000000)", "2023-11-14 22:13:20"),
        ("unix_timestamp(TIMESTAMP '2026-01-01 00:00:00.9')", 1767225600),
        ("unix_timestamp('2026-01-01 00:00:00')", 1767225600),
        ("unix_seconds(TIMESTAMP '2026-01-01 00:00:00.9')", 1767225600),
        (
            "date_format(TIMESTAMP '2026-11-22 01:02:03', 'yyyy-MM-dd HH:mm:ss E')",
            "2026-11-22 01:02:03 Sun",
        ),
        ("from_utc_timestamp(TIMESTAMP '2026-01-01 00:00:00', 'Europe/Berlin')", at(2026, 1, 1, 1)),
        ("CAST(current_timestamp() AS DATE) = current_date()", True),
    ],
    "aggregates": [
        (f"count_if(n > 2) {ROWS}", 2),
        (f"count_if(n > 1) FILTER (WHERE n < 4) {ROWS}", 2),
        (f"max_by(s, n) FILTER (WHERE n < 4) {ROWS}", None),
        (f"min_by(s, n) {ROWS}", "a"),
        (f"percentile_approx(n, 0.5) {ROWS}", 2),
        (f"percentile_approx(n, array(0.25, 0.75), 100) {ROWS}", [1, 3]),
        (f"percentile(n, 0.5) {ROWS}", 2.5),
        (f"approx_count_distinct(s) {ROWS}", 3),
        (f"approx_count_distinct(s) FILTER (WHERE n < 2) {ROWS}", 1),
        (f"count(DISTINCT n, s) {ROWS}", 3),
        (f"last(s, true) FILTER (WHERE n > 0) {ROWS}", "d"),
        (f"first(v) IGNORE NULLS {ROWS}", 10),
        (f"sort_array(collect_set(s)) {ROWS}", ["a", "b", "d"]),
        (f"sort_array(collect_set(s) FILTER (WHERE n < 2)) {ROWS}", ["a"]),
        (f"sort_array(collect_list(s)) {ROWS}", ["a", "b", "d"]),
        (f"any_value(n) {ROWS} WHERE n = 3", 3),
        (f"avg(n) {ROWS}", 2.5),
        (f"min(s) || max(s) {ROWS}", "ad"),
        (f"median(n) {ROWS}", 2.5),
        (f"round(stddev(n), 3) {ROWS}", 1.291),
        (f"round(stddev_samp(n), 3) {ROWS}", 1.291),
        (f"round(variance(n), 3) {ROWS}", 1.667),
        (f"stddev(n) {ROWS} WHERE n = 1", None),
        (f"bool_or(n > 3) {ROWS}", True),
        (f"bool_and(n > 3) {ROWS}", False),
        (f"grouping(s) {ROWS} GROUP BY ROLLUP (s) ORDER BY 1 DESC LIMIT 1", 1),
        (f"some(n > 3) {ROWS}", True),
        (f"every(n > 3) {ROWS}", False),
        (f"listagg(s, ',') {ROWS}", "a,b,d"),
        (f"sum(try_divide(v, 4)) {ROWS}", 17.5),
        (f"v / n {ROWS} LIMIT 1", 10.0),
    ],
    "windows": [
        (f"last(v, true) OVER (ORDER BY n) {ROWS} QUALIFY row_number() OVER (ORDER BY n) = 3", 20),
        (f"first(v, true) OVER (ORDER BY n DESC) {ROWS} LIMIT 1", 40),
        (f"first_value(v) IGNORE NULLS OVER (ORDER BY n) {ROWS} LIMIT 1", 10),
        (f"last_value(n) OVER (ORDER BY n) {ROWS} LIMIT 1", 1),
        (f"nth_value(n, 2) OVER (ORDER BY n) {ROWS} ORDER BY n DESC LIMIT 1", 2),
        (f"lag(n) OVER (ORDER BY n) {ROWS} ORDER BY n DESC LIMIT 1", 3),
        (f"lead(n, 2) OVER (ORDER BY n) {ROWS} ORDER BY n LIMIT 1", 3),
        (f"rank() OVER (ORDER BY s) {ROWS} ORDER BY s LIMIT 1", 1),
        (f"dense_rank() OVER (ORDER BY s) {ROWS} ORDER BY s DESC LIMIT 1", 4),
        (f"ntile(2) OVER (ORDER BY n) {ROWS} ORDER BY n DESC LIMIT 1", 2),
        (f"percent_rank() OVER (ORDER BY n) {ROWS} ORDER BY n DESC LIMIT 1", 1.0),
        (f"cume_dist() OVER (ORDER BY n) {ROWS} ORDER BY n LIMIT 1", 0.25),
    ],
    "parts of a query": [
        (f"s {ROWS} ORDER BY s LIMIT 1", None),
        (f"x {ROWS} LATERAL VIEW explode(array(n)) e AS x ORDER BY x LIMIT 1", 1),
        (f"count(*) {ROWS} WHERE EXISTS (SELECT 1)", 4),
        ("/*+ BROADCAST(t) */ 1;", 1),
    ],
}


@pytest.mark.parametrize("topic", ANSWERS)
def test_expressions_have_the_result_that_databricks_documents(
    engine: duckdb.DuckDBPyConnection, topic: str
) -> None:
    """Value and Python type are the same, so a DATE is not a TIMESTAMP."""
    wrong: dict[str, str] = {}

    for expression, expected in ANSWERS[topic]:
        try:
            row = engine.execute(duckdb_text(f"SELECT {expression}")).fetchone()
        except (QueryError, duckdb.Error) as error:
            wrong[expression] = repr(error)
            continue
        if row is None or row[0] != expected or type(row[0]) is not type(expected):
            wrong[expression] = f"{row!r} instead of {expected!r}"

    assert wrong == {}


def test_every_allowed_function_is_compared_with_databricks() -> None:
    """Each allowed function is used by an expression in `ANSWERS`."""
    expressions = [expression for answers in ANSWERS.values() for expression, _ in answers]
    trees = [sqlglot.parse_one(f"SELECT {one}", dialect="databricks") for one in expressions]
    used = {type(node).__name__ for tree in trees for node in tree.walk()}

    assert ALLOWED - used == frozenset()


def test_counts_and_sums_of_integers_are_bigint(engine: duckdb.DuckDBPyConnection) -> None:
    """DuckDB itself would return HUGEINT, which other programs read as a decimal."""
    expressions = [
        "count_if(campaign_id > 1)",
        "sum(campaign_id)",
        "sum(CASE WHEN metric = 'sent' THEN 1 ELSE 0 END) OVER (PARTITION BY metric)",
        "sum(-(link_id + 1)) FILTER (WHERE machine)",
        "sum(length(href))",
        "sum(CAST(metric AS INT))",
        "sum(max_link) FROM (SELECT coalesce(max(link_id), 0) AS max_link",
    ]
    columns = "CAST(NULL AS {}) AS {}".format
    source = ", ".join(
        columns(duckdb_type(column.type), column.name)
        for column in table("webhook_email_events").columns
    )
    engine.execute(f"CREATE OR REPLACE VIEW webhook_email_events AS SELECT {source}")
    types = {}

    for expression in expressions:
        end = " FROM webhook_email_events" + (")" if "(SELECT" in expression else "")
        relation = engine.sql(duckdb_text(f"SELECT {expression}{end}"))
        types[expression] = [str(kind) for kind in relation.types]

    assert types == {expression: ["BIGINT"] for expression in expressions}


def test_error_of_a_division_by_zero_says_what_to_use(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    """It is an error on Databricks; DuckDB would return infinity."""
    with pytest.raises(duckdb.Error, match=re.escape(DIVISION_BY_ZERO)):
        engine.execute(duckdb_text(f"SELECT n / (n - 1) {ROWS}")).fetchall()


REFUSED = {
    # Query, and a part of the reason.
    "SELECT weekday(current_date)": "`weekday`.*use dayofweek",
    "SELECT hash(1)": "`hash`",
    "SELECT explode_outer(array(1))": "use explode",
    "SELECT exists(array(1), x -> x > 0)": "`exists`",
    "SELECT any(true)": "`any`",
    "SELECT to_utc_timestamp(now(), 'Europe/Berlin')": "to_utc_timestamp",
    "SELECT extract(SECOND FROM now())": "use: ",
    "SELECT date_trunc('century', now())": "must be one of",
    "SELECT date_format(now(), 'Q')": "yyyy",
    "SELECT current_date - current_date": "datediff",
    "SELECT floor(2.75, 1)": "round",
    "SELECT sequence(3, 1)": "step",
    "SELECT regexp_replace('a', '(a)', '$1')": r"\$1",
    "SELECT sha2('a', 512)": "256",
    "SELECT from_json(s, n) FROM VALUES ('{}', 'a INT') AS t(s, n)": "schema",
    "SELECT array(1)[n] FROM VALUES (0) AS t(n)": "literal number or text",
    "SELECT a FROM (SELECT 1 AS a) LATERAL VIEW OUTER explode(array()) e AS x": "lateral",
    "SELECT * FROM (SELECT 1 AS a) PIVOT (sum(a) FOR a IN (1))": "CASE WHEN",
    "SELECT * FROM webhook_raw_events TABLESAMPLE (1 ROWS)": "tablesample",
    "SELECT * FROM webhook_raw_events VERSION AS OF 1": "version",
    "SELECT ${name}": "parameter",
}

FORBIDDEN = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_files('/etc')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM parquet.`/etc/passwd`",
    "SELECT * FROM information_schema.tables",
    "SELECT getenv('HOME')",
    "SELECT 1 INTO x",
    "SELECT 1; DROP TABLE webhook_raw_events",
    "INSERT INTO webhook_raw_events SELECT 1",
    "WITH x AS (SELECT 1) INSERT INTO webhook_raw_events SELECT * FROM x",
    "DELETE FROM webhook_raw_events",
    "COPY INTO webhook_raw_events FROM '/tmp'",
    "ATTACH 'x.db'",
    "SET threads = 1",
    "CALL something()",
    "EXPLAIN SELECT 1",
    "SELECT 1; EXPLAIN SELECT 'personal'",
    "DESCRIBE SELECT 1",
    "",
    "-- nothing",
]


def test_functions_with_another_result_are_refused() -> None:
    """The error names the function or says what to use instead."""
    wrong: dict[str, str] = {}

    for sql, reason in REFUSED.items():
        try:
            wrong[sql] = f"accepted as {duckdb_text(sql)}"
        except QueryError as error:
            if not re.search(reason, str(error)):
                wrong[sql] = str(error)

    assert wrong == {}


def test_only_queries_of_the_tables_are_accepted(caplog: pytest.LogCaptureFixture) -> None:
    """No files, no environment, no writing, no second statement. Nothing of the text is logged."""
    accepted = []

    for sql in FORBIDDEN:
        with suppress(QueryError):
            accepted.append((sql, duckdb_text(sql)))

    assert accepted == []
    assert caplog.text == ""


@given(st.text(max_size=60))
def test_any_text_is_translated_or_refused(text: str) -> None:
    """For any text there is a translation or a QueryError."""
    with suppress(QueryError):
        assert duckdb_text(text)


def test_syntax_error_has_line_and_column() -> None:
    """The error also says what was expected."""
    with pytest.raises(QueryError, match=r"line 2, column \d+ near 'FROM': Expected table name\.$"):
        duckdb_text("SELECT 1\nFROM")


def test_unclosed_text_is_a_syntax_error() -> None:
    """The text cannot be split into tokens."""
    with pytest.raises(QueryError, match="cannot be parsed"):
        duckdb_text("SELECT 'a")


def test_unknown_table_gets_a_suggestion_and_the_names() -> None:
    """The error helps to correct a typing mistake."""
    with pytest.raises(QueryError, match=r"Did you mean webhook_email_events.*daily_email"):
        duckdb_text("SELECT * FROM webhook_email_event")


def test_query_names_what_it_reads_without_catalog_schema_and_its_own_names() -> None:
    """Only tables and views of `sql/` count; case does not."""
    query = duckdb_query(
        "WITH x AS (SELECT main.cio.Webhook_SMS_Events.metric FROM main.cio.Webhook_SMS_Events)"
        " SELECT * FROM x JOIN cio.daily_email_engagement USING (metric)"
    )

    assert query.names == {"webhook_sms_events", "daily_email_engagement"}
    assert "cio." not in query.text


def test_named_parameters_stay_parameters(engine: duckdb.DuckDBPyConnection) -> None:
    """Values are never part of the text."""
    text = duckdb_text("SELECT :metric")

    assert engine.execute(text, {"metric": "'; --"}).fetchone() == ("'; --",)


def test_show_tables_lists_tables_and_views(engine: duckdb.DuckDBPyConnection) -> None:
    """With their comments, in running order."""
    rows = engine.execute(duckdb_text("SHOW TABLES IN main.cio;")).fetchall()

    assert rows == [(item.name, item.comment) for item in (*tables(), *views())]
    assert engine.execute(duckdb_text("show views")).fetchall() == rows[len(tables()) :]


def test_describe_shows_databricks_types(engine: duckdb.DuckDBPyConnection) -> None:
    """Comments are the same as on Databricks too."""
    rows = engine.execute(duckdb_text("DESCRIBE TABLE main.cio.webhook_email_events")).fetchall()

    assert [row[0] for row in rows] == list(table("webhook_email_events").column_names)
    assert ("headers", "MAP<STRING, ARRAY<STRING>>") in [row[:2] for row in rows]


def test_error_of_an_unknown_table_lists_the_tables() -> None:
    """Only the tables of `sql/` exist."""
    with pytest.raises(QueryError, match=r"no table x.*webhook_raw_events"):
        table("x")


def test_statements_have_the_unchanged_text_of_the_files() -> None:
    """A SQL warehouse runs exactly the reviewed text."""
    first = statements("tables")[0]
    text = (sql_folder() / "tables" / first.file).read_text(encoding="utf-8")

    assert first.sql + ";\n" == text
    assert first.sql.startswith("CREATE TABLE IF NOT EXISTS webhook_raw_events (")


def test_sql_of_a_view_is_the_text_after_as() -> None:
    """It is unchanged."""
    assert all(view.sql.startswith(("WITH ", "SELECT")) for view in views())
    assert all(view.sql in (sql_folder() / "views" / view.file).read_text() for view in views())


def test_missing_folder_is_an_error() -> None:
    """The installation is broken."""
    with pytest.raises(QueryError, match="No SQL files"):
        statements("nothing")


def test_statements_are_split_at_semicolons_outside_strings_and_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may contain several statements."""
    (tmp_path / "_sql" / "some").mkdir(parents=True)
    text = "SELECT 'a;b'; -- c;d\n\nSELECT 2;;\nSELECT 3\n-- the end\n"
    (tmp_path / "_sql" / "some" / "1.sql").write_text(text)
    monkeypatch.setattr(definitions, "_PACKAGE", tmp_path)

    assert [each.sql for each in statements("some")] == [
        "SELECT 'a;b'",
        "-- c;d\n\nSELECT 2",
        "SELECT 3\n-- the end",
    ]


@pytest.mark.parametrize("text", ["SELECT 1", "CREATE VIEW v AS SELECT 1", "CREATE TABLE"])
def test_error_of_an_invalid_definition_names_the_file(text: str) -> None:
    """So a mistake in `sql/` is easy to find."""
    with pytest.raises(QueryError, match=r"1\.sql"):
        definitions._table(definitions.Statement("1.sql", text))
