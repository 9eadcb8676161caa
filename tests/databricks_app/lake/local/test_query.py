"""Local tables read with Databricks SQL."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from databricks_app.errors import QueryError
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.sql_dialect import duckdb_text, duckdb_type, table, tables, views

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC)
SMS = "webhook_sms_events"


def write(folder: Path, name: str, *rows: dict[str, object], without: tuple[str, ...] = ()) -> None:
    """Append rows to a local table that lacks some columns of `sql/`."""
    schema = pa.schema([field for field in arrow_schema(table(name)) if field.name not in without])
    made_up = {"event_date": MOMENT.date(), "received_at": MOMENT, "loaded_at": MOMENT}
    write_deltalake(
        folder / "tables" / name,
        pa.Table.from_pylist([{**made_up, **row} for row in rows], schema=schema),
        mode="append",
        partition_by=["event_date"],
        schema_mode="merge",
    )


def test_missing_tables_are_empty_and_have_the_columns_of_sql(tmp_path: Path) -> None:
    """In an empty folder every table can be queried."""
    expected = {}
    found = {}

    for one in tables():
        result = LocalQuery(tmp_path).run(f"FROM {one.name} SELECT *")
        plain = [kind for kind in result.types if "(" not in kind and "[" not in kind]
        found[one.name] = (result.rows, result.names, plain)
        simple = [column.type for column in one.columns if "<" not in column.type]
        expected[one.name] = ([], one.column_names, simple)

    assert found == expected


def test_columns_have_the_same_order_and_type_with_and_without_files(tmp_path: Path) -> None:
    """The first rows of a table change no type."""
    before = {}
    after = {}

    for one in tables():
        empty = LocalQuery(tmp_path).run(f"FROM {one.name} SELECT *")
        before[one.name] = (empty.names, empty.types, 1)
        write(tmp_path, one.name, {"event_id": "a"})
        full = LocalQuery(tmp_path).run(f"FROM {one.name} SELECT *")
        after[one.name] = (full.names, full.types, len(full.rows))

    assert after == before


def test_query_returns_the_written_values(tmp_path: Path) -> None:
    """Times in UTC with microseconds, dates, maps as dicts, lists, NULLs."""
    row = {"event_id": "a", "headers": [("x", ["1", "2"])], "link_id": 2**62, "machine": False}
    write(tmp_path, "webhook_email_events", row, {"event_id": "b"})

    result = LocalQuery(tmp_path).run(
        "SELECT event_date, loaded_at, headers, link_id, machine FROM webhook_email_events"
        " ORDER BY event_id"
    )

    day = MOMENT.date()
    assert result.rows == [
        (day, MOMENT, {"x": ["1", "2"]}, 2**62, False),
        (day, MOMENT, None, None, None),
    ]
    assert result.types[:2] == ("DATE", "TIMESTAMP")


def test_event_date_comes_from_the_folder_and_is_a_date(tmp_path: Path) -> None:
    """Also for 1970-01-01."""
    write(tmp_path, SMS, {"event_id": "a"}, {"event_id": "b", "event_date": date(1970, 1, 1)})

    result = LocalQuery(tmp_path).run(
        f"SELECT event_id FROM {SMS} WHERE event_date < DATE '2000-01-01'"
    )

    assert result.rows == [("b",)]


def test_column_is_null_in_files_that_lack_it(tmp_path: Path) -> None:
    """Before and after new files have the column."""
    write(tmp_path, SMS, {"event_id": "a"}, without=("to", "reading_notes"))
    ask = f"SELECT event_id, `to`, reading_notes FROM {SMS} ORDER BY event_id"

    before = LocalQuery(tmp_path).run(ask)
    write(tmp_path, SMS, {"event_id": "b", "to": "+1"}, without=("reading_notes",))
    between = LocalQuery(tmp_path).run(ask)

    assert before.rows == [("a", None, None)]
    assert between.rows == [("a", None, None), ("b", "+1", None)]


CONDITIONS = [
    "TRUE",
    "event_date = DATE '2026-11-20'",
    "event_date = '2026-11-20'",
    "event_date <> DATE '2026-11-20'",
    "NOT event_date < DATE '2026-11-20'",
    "event_date IN (DATE '2026-11-18', DATE '1970-01-01')",
    "event_date NOT IN (DATE '2026-11-18', DATE '1970-01-01')",
    "event_date BETWEEN DATE '2026-11-18' AND DATE '2026-11-19'",
    "event_date = DATE '2026-11-18' OR event_id LIKE '%1'",
    "event_date = DATE '2026-11-18' OR event_date > DATE '2026-11-20' AND event_id LIKE '%1'",
    "(event_date = DATE '2026-11-18') = (event_id LIKE '%1')",
    "coalesce(`to`, 'none') = 'none' AND event_date >= DATE '2026-11-19'",
    "`to` IS NULL AND NOT (event_date = DATE '2026-11-20' OR event_date = DATE '2026-11-18')",
    "year(event_date) = 1970 OR month(event_date) = 11 AND day(event_date) = 20",
    "date_add(event_date, 1) = DATE '2026-11-19'",
    "event_date = (SELECT max(event_date) FROM webhook_sms_events WHERE event_id LIKE '%0')",
    "event_date IN (SELECT event_date FROM webhook_sms_events WHERE `to` IS NOT NULL)",
    "event_date = CASE WHEN event_id LIKE '%1' THEN DATE '2026-11-19' ELSE event_date END",
    "CAST(event_date AS STRING) LIKE '2026-11-2%'",
    "event_date IS NULL OR event_date < DATE '2000-01-01'",
    "event_date = :day",
]
FORMS = [
    "SELECT event_id FROM {table} WHERE {condition} ORDER BY 1",
    "WITH days AS (SELECT * FROM {table}) SELECT event_id FROM days WHERE {condition} ORDER BY 1",
    "SELECT event_id FROM (SELECT *, row_number() OVER (ORDER BY event_id) AS place FROM {table})"
    " WHERE {condition} ORDER BY 1",
    "SELECT event_id FROM {table} WHERE {condition} UNION ALL"
    " SELECT event_id FROM {table} WHERE NOT ({condition}) ORDER BY 1",
]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of five days, two files a day; the older ones lack a column."""
    folder = tmp_path_factory.mktemp("days")
    dates = [date(1970, 1, 1), *(date(2026, 11, day) for day in (18, 19, 20, 21))]
    for place, day in enumerate(dates):
        for number in range(2):
            row = {"event_id": f"{place}-{number}", "event_date": day}
            lacking = ("to",) if place < 3 else ()
            full = row if lacking else {**row, "to": f"+{number}" if number else None}
            write(folder, SMS, full, without=lacking)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_pruning_files_changes_no_result(days: Path, form: str) -> None:
    """Each condition selects the same rows as in a table in memory, which has no files to prune."""
    wrong = {}

    with duckdb.connect() as connection:
        connection.execute(
            f'CREATE TABLE {SMS} AS SELECT event_id, event_date, "to" FROM read_parquet($files,'
            " union_by_name = true, hive_partitioning = true, hive_types = {'event_date': DATE})",
            {"files": DeltaTable(days / "tables" / SMS).file_uris()},
        )
        for condition in CONDITIONS:
            sql = form.format(table=SMS, condition=condition)
            parameters = {"day": date(2026, 11, 20)} if ":day" in condition else {}
            expected = connection.execute(duckdb_text(sql), parameters).fetchall()
            rows = LocalQuery(days).run(sql, parameters).rows
            if rows != expected:
                wrong[condition] = (rows, expected)

    assert wrong == {}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM {table} WHERE event_date = DATE '2026-11-20'",
        "WITH t AS (SELECT * FROM {table}) SELECT count(*) FROM t WHERE event_date = '2026-11-20'",
        "SELECT count(*) FROM {table} WHERE event_date = DATE '2026-11-20' AND `to` = '+1'"
        " OR event_date IN (DATE '2026-11-20', DATE '2020-01-01') AND `to` IS NULL",
        "SELECT n FROM (SELECT event_date, count(*) AS n FROM {table} GROUP BY 1)"
        " WHERE event_date = DATE '2026-11-20'",
    ],
)
def test_files_of_other_days_are_not_opened(days: Path, tmp_path: Path, sql: str) -> None:
    """The files of other days are damaged here and cannot be read."""
    shutil.copytree(days, tmp_path, dirs_exist_ok=True)
    for file in (tmp_path / "tables" / SMS).glob("event_date=*/*.parquet"):
        if "2026-11-20" not in file.parent.name:
            file.write_bytes(b"no Parquet")

    assert LocalQuery(tmp_path).run(sql.format(table=SMS)).rows == [(2,)]


def test_view_of_unrouted_events_reads_only_the_files_of_their_days(tmp_path: Path) -> None:
    """Only days with raw rows without a table are read. Files of another day are damaged here."""
    day, other = date(2026, 11, 20), date(2026, 11, 19)
    for name in ("replayed", "waiting"):
        write(tmp_path, "webhook_raw_events", {"event_id": name, "event_date": day})
    write(tmp_path, SMS, {"event_id": "replayed", "event_date": day})
    write(tmp_path, SMS, {"event_id": "waiting", "event_date": other})
    for file in (tmp_path / "tables" / SMS / f"event_date={other}").iterdir():
        file.write_bytes(b"no Parquet")

    result = LocalQuery(tmp_path).run("SELECT event_id FROM webhook_unrouted_events")

    assert result.rows == [("waiting",)]


def test_query_with_the_view_of_unrouted_events_still_reads_all_typed_rows(tmp_path: Path) -> None:
    """Files that the view does not need are still in the tables."""
    write(tmp_path, "webhook_raw_events", {"event_id": "a", "event_date": date(2026, 11, 20)})
    write(tmp_path, SMS, {"event_id": "b", "event_date": date(2026, 11, 19)})

    result = LocalQuery(tmp_path).run(
        "SELECT 'unrouted' AS kind, event_id FROM webhook_unrouted_events"
        f" UNION ALL SELECT 'sms', event_id FROM {SMS} ORDER BY 1"
    )

    assert result.rows == [("sms", "b"), ("unrouted", "a")]


def test_compaction_changes_no_row(tmp_path: Path) -> None:
    """Only the newest version's files are read."""
    for name in "abc":
        write(tmp_path, SMS, {"event_id": name})
    DeltaTable(tmp_path / "tables" / SMS).optimize.compact()

    result = LocalQuery(tmp_path).run(f"SELECT event_id FROM {SMS} ORDER BY 1")

    assert result.rows == [("a",), ("b",), ("c",)]


@pytest.mark.parametrize("name", ["with space", "qu'ote", "ünïcode"])
def test_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    """Deltalake percent-encodes the path of the folder."""
    write(tmp_path / name, SMS, {"event_id": "a"})

    assert LocalQuery(tmp_path / name).run(f"SELECT count(*) FROM {SMS}").rows == [(1,)]


def test_limit_cuts_the_rows_and_sets_is_cut(tmp_path: Path) -> None:
    """It reads one row more than the limit."""
    sql = "SELECT * FROM VALUES (1), (2), (3) AS t(n)"

    cut, whole = (LocalQuery(tmp_path).run(sql, limit=limit) for limit in (2, 3))

    assert (cut.rows, cut.is_cut) == ([(1,), (2,)], True)
    assert (len(whole.rows), whole.is_cut) == (3, False)


def test_parameters_are_passed_by_name(tmp_path: Path) -> None:
    """As on Databricks. A missing parameter is an error."""
    sql = "SELECT :day + INTERVAL 0 DAYS, :name"
    result = LocalQuery(tmp_path).run("SELECT :name", {"name": "x'"})

    assert result.rows == [("x'",)]
    with pytest.raises(QueryError):
        LocalQuery(tmp_path).run(sql, {"name": "x"})


def test_sums_are_bigint_where_the_engine_has_its_own_type(tmp_path: Path) -> None:
    """The sum of integers is HUGEINT in DuckDB."""
    assert LocalQuery(tmp_path).run("SELECT sum(1) FROM VALUES (1) AS t(n)").types == ("BIGINT",)


def test_views_read_views_and_tables(tmp_path: Path) -> None:
    """The views and tables behind a view are created with it; joins of views work."""
    write(tmp_path, "webhook_raw_events", {"event_id": "a", "unrouted_reason": "unknown"})

    result = LocalQuery(tmp_path).run(
        "SELECT e.failure_class, count(d.event_date)"
        " FROM webhook_error_summary e LEFT JOIN daily_email_engagement d USING (event_date)"
        " GROUP BY ALL"
    )

    assert result.rows == [("unknown", 0)]


def test_threads_and_memory_can_be_bounded(tmp_path: Path) -> None:
    """The page limits them, so that a query cannot use the whole machine."""
    local = LocalQuery(tmp_path, memory_limit="64MB", threads=1)

    with pytest.raises(QueryError, match="more memory"):
        local.run(
            "SELECT collect_list(repeat('x', 1000) || x) FROM"
            " (SELECT explode(sequence(1, 1000000, 1)) AS x)"
        )


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT recipent FROM webhook_sms_events", "recipent.*\n.*recipient"),
        ("SELECT CAST('a@example.com' AS INT)", "does not fit.*try_cast"),
        ("SELECT 1 % (SELECT 0)", "try_divide"),
        ("SELECT 9223372036854775807 + 1", "The query fails: OutOfRange"),
    ],
)
def test_error_of_a_query_says_why_and_contains_no_value(
    sql: str, text: str, tmp_path: Path
) -> None:
    """Names of columns help; values may be personal data."""
    with pytest.raises(QueryError, match=f"(?s){text}") as caught:
        LocalQuery(tmp_path).run(sql)

    assert "example.com" not in str(caught.value)


def test_error_of_a_missing_file_says_to_run_the_query_again(tmp_path: Path) -> None:
    """A vacuum may delete replaced files while a very slow query runs."""
    write(tmp_path, SMS, {"event_id": "a"})
    for file in (tmp_path / "tables" / SMS).rglob("*.parquet"):
        file.unlink()

    with pytest.raises(QueryError, match="Run the query again"):
        LocalQuery(tmp_path).run(f"SELECT * FROM {SMS}")


def test_error_of_a_broken_table_names_it(tmp_path: Path) -> None:
    """The folder has a log without entries."""
    (tmp_path / "tables" / SMS / "_delta_log").mkdir(parents=True)

    with pytest.raises(QueryError, match=SMS):
        LocalQuery(tmp_path).run(f"SELECT * FROM {SMS}")


def test_engine_refuses_other_files_and_settings(tmp_path: Path) -> None:
    """A second protection, behind the refusals of the translation."""
    write(tmp_path, SMS, {"event_id": "a"})
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")

    with LocalQuery(tmp_path)._prepared(f"SELECT * FROM {SMS}") as (connection, text):
        assert len(connection.execute(text).fetchall()) == 1
        for forbidden in (
            f"SELECT * FROM read_csv('{secret}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'x.db'}'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(forbidden)


def test_states_have_size_and_newest_row_of_every_table(tmp_path: Path) -> None:
    """Tables without files are listed too."""
    write(tmp_path, SMS, {"event_id": "a"}, {"event_id": "b", "event_date": date(2026, 1, 1)})
    size = sum(file.stat().st_size for file in (tmp_path / "tables" / SMS).rglob("*.parquet"))

    states = {state.name: state for state in LocalQuery(tmp_path).states()}

    assert list(states) == [each.name for each in tables()]
    sms, push = states[SMS], states["webhook_push_events"]
    assert (sms.rows, sms.files, sms.bytes, sms.newest_loaded_at) == (2, 2, size, MOMENT)
    assert (push.rows, push.files, push.bytes, push.newest_loaded_at) == (0, 0, 0, None)


def test_every_type_of_sql_has_a_duckdb_name() -> None:
    """Empty tables are created with these types."""
    with duckdb.connect() as connection:
        for each in tables():
            for column in each.columns:
                connection.execute(f"SELECT CAST(NULL AS {duckdb_type(column.type)})")


def test_describing_a_view_gives_databricks_types_and_comments(tmp_path: Path) -> None:
    """The engine knows a view's types, `sql/` its comments."""
    result = LocalQuery(tmp_path).run("DESCRIBE webhook_unrouted_events")

    (view,) = (view for view in views() if view.name == "webhook_unrouted_events")
    assert {row[0]: row[2] for row in result.rows} == view.column_comments
    assert {row[1] for row in result.rows} == {"STRING", "TIMESTAMP", "DATE", "BIGINT"}
