"""The SQL warehouse of the double, tested through the unmodified connector."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from databricks.sql.exc import ServerOperationError
from deltalake import DeltaTable

from databricks_app.lake import sql_dialect
from databricks_app.lake.arrow_schema import arrow_schema
from tests.doubles import CLIENT_ID, USER, Databricks, Fault

DAY = datetime.date(2024, 1, 2)
NOON = datetime.datetime(2024, 1, 2, 12, tzinfo=datetime.UTC)
TABLE = "CREATE TABLE t (a BIGINT NOT NULL COMMENT 'key', b STRING)"


def rows(cursor: Any, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows."""
    cursor.execute(sql, parameters)
    return [tuple(row) for row in cursor.fetchall()]


def merge(path: str) -> str:
    """Return an insert-only MERGE of staged rows into `t`."""
    return f"""MERGE INTO t AS held
USING (SELECT a, b FROM read_files('{path}', format => 'parquet', schema => 'a BIGINT, b STRING'))
AS staged
ON held.a = staged.a
WHEN NOT MATCHED THEN INSERT (a, b) VALUES (staged.a, staged.b)"""


@pytest.fixture
def cursor(connect: Callable[..., Any]) -> Any:
    """A cursor in the schema `main.cio`."""
    return connect().cursor()


def test_values_of_all_types_are_returned(cursor: Any) -> None:
    """Types and values are those that Databricks would send."""
    sql = """SELECT 1 AS i, CAST(2 AS BIGINT) AS l, 'x' AS s, TRUE AS b, DATE'2024-01-02' AS d,
    TIMESTAMP'2024-01-02 12:00:00' AS t, CAST(1.50 AS DECIMAL(5, 2)) AS n, array(1, 2) AS a,
    CAST(NULL AS STRING) AS z"""

    found = rows(cursor, sql)[0]

    kinds = [column[1] for column in cursor.description]
    assert kinds[:5] == ["int", "bigint", "string", "boolean", "date"]
    assert kinds[5:] == ["timestamp", "decimal", "array", "string"]
    assert found[:7] == (1, 2, "x", True, DAY, NOON, Decimal("1.50"))
    assert list(found[7]) == [1, 2]
    assert found[8] is None


def test_named_and_positional_parameters_are_bound(cursor: Any) -> None:
    """Native parameters keep their types."""
    named = {"a": 7, "b": "it's", "c": NOON, "d": DAY, "e": True, "f": None, "g": 1.5}

    by_name = rows(cursor, "SELECT :a, :b, :c, :d, :e, :f, :g", named)
    by_place = rows(cursor, "SELECT ?, ?", [1, "x"])

    assert by_name == [(7, "it's", NOON, DAY, True, None, 1.5)]
    assert by_place == [(1, "x")]


def test_parameters_are_limited_and_must_have_a_value(cursor: Any) -> None:
    """More than 256 parameters, or a marker without a value, are refused."""
    many = {f"p{number}": number for number in range(257)}

    with pytest.raises(ServerOperationError, match=r"TOO_MANY_PARAMETERS.*257"):
        cursor.execute("SELECT :p0", many)
    with pytest.raises(ServerOperationError, match="UNBOUND_SQL_PARAMETER"):
        cursor.execute("SELECT :x", {"y": 1})


def test_a_large_result_has_pages(cursor: Any) -> None:
    """More rows than a page are fetched page by page."""
    cursor.arraysize = 1000

    found = rows(cursor, "SELECT * FROM (SELECT explode(sequence(1, 2500, 1)) AS n) ORDER BY n")

    assert found == [(number,) for number in range(1, 2501)]


def test_the_products_tables_and_views_can_be_created_twice(
    cursor: Any, double: Databricks
) -> None:
    """Every statement of `sql/` runs; comments, properties and clustering are stored."""
    for _ in range(2):
        for each in (*sql_dialect.statements("tables"), *sql_dialect.statements("views")):
            cursor.execute(each.sql)

    raw = sql_dialect.tables()[0]
    there = rows(
        cursor,
        "SELECT column_name, comment, is_nullable FROM information_schema.columns "
        "WHERE table_name = :name ORDER BY ordinal_position",
        {"name": raw.name},
    )
    properties = dict(rows(cursor, f"SHOW TBLPROPERTIES {raw.name}"))
    held = double.workspace.catalog.get("table", ("main", "cio", raw.name))
    assert there == [
        (column.name, column.comment, "YES" if column.nullable else "NO") for column in raw.columns
    ]
    assert properties["delta.isolationLevel"] == "Serializable"
    assert "event_date" in held.clustering
    assert held.comment == raw.comment
    for view in sql_dialect.views():
        assert rows(cursor, f"SELECT * FROM {view.name}") == []
        assert [column[0] for column in cursor.description] == list(view.column_comments)


@pytest.mark.parametrize(
    "column",
    ["t.t.a", "cio.x.a", "x.x.a", "other.t.a", "main.t.a", "other.cio.t.a", "x.a.a"],
)
def test_a_column_with_a_wrong_qualifier_is_not_resolved(cursor: Any, column: str) -> None:
    """As in Spark, the schema must be the table's, an alias has none, a number has no fields."""
    cursor.execute(TABLE)
    name = "t AS x" if "x" in column else "t"

    for sql in (f"SELECT {column} FROM {name}", f"CREATE VIEW v AS SELECT {column} FROM {name}"):
        with pytest.raises(ServerOperationError, match=r"\[UNRESOLVED_COLUMN.WITH_SUGGESTION\]"):
            cursor.execute(sql)
    with pytest.raises(ServerOperationError, match=r"\[UNRESOLVED_COLUMN"):
        cursor.execute("SELECT cio.t.a FROM t AS t")


def test_a_column_can_be_qualified_by_the_schema_of_its_table(cursor: Any) -> None:
    """Without a schema in FROM it is the session's; a name after a struct is its field."""
    cursor.execute(TABLE)
    cursor.execute("INSERT INTO t VALUES (1, 'x')")

    both = rows(cursor, "SELECT cio.t.a, main.cio.t.a, t.a FROM t")
    field = rows(
        cursor, "SELECT x.s.f, s.f FROM (SELECT named_struct('f', a) AS s FROM cio.t) AS x"
    )

    assert both == [(1, 1, 1)]
    assert field == [(1, 1)]


def test_a_table_is_a_real_delta_table(cursor: Any, double: Databricks) -> None:
    """Another Delta reader sees the same rows."""
    cursor.execute(TABLE)
    cursor.execute("INSERT INTO t VALUES (1, 'x'), (2, NULL)")

    folder = double.workspace.catalog.table_dir(("main", "cio", "t"))

    assert DeltaTable(str(folder)).to_pyarrow_table().num_rows == 2


def test_a_merge_inserts_only_unmatched_rows(
    cursor: Any, stage: Callable[[str, pa.Table], str], double: Databricks
) -> None:
    """The counts are right, and a repetition inserts nothing."""
    cursor.execute(TABLE)
    cursor.execute("INSERT INTO t VALUES (1, 'held')")
    path = stage("one", pa.table({"a": [1, 2, 3], "b": ["x", "y", None]}))

    first = rows(cursor, merge(path))
    again = rows(cursor, merge(path))

    assert first == [(2, 0, 0, 2)]
    assert again == [(0, 0, 0, 0)]
    assert rows(cursor, "SELECT a, b FROM t ORDER BY a") == [(1, "held"), (2, "y"), (3, None)]
    assert double.faults.counts["statement.MERGE"] == 2


def test_a_merge_of_a_real_table_is_fast(
    cursor: Any, stage: Callable[[str, pa.Table], str]
) -> None:
    """A MERGE of a thousand rows into the widest table takes less than 200 ms of CPU time."""
    table = max(sql_dialect.tables(), key=lambda one: len(one.columns))
    cursor.execute(table.sql)
    names = ", ".join(table.column_names)
    values = ", ".join(f"staged.{name}" for name in table.column_names)
    keys = [
        {"event_id": str(number), "event_date": DAY, "received_at": NOON, "loaded_at": NOON}
        for number in range(1000)
    ]
    path = stage("wide", pa.Table.from_pylist(keys, schema=arrow_schema(table)))
    schema = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    sql = f"""MERGE INTO {table.name} AS held
    USING (SELECT {names} FROM read_files('{path}', format => 'parquet', schema => '{schema}'))
    AS staged ON held.event_id = staged.event_id AND held.event_date IN (DATE'2024-01-02')
    WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"""
    cursor.execute(sql)

    start = time.process_time()
    for _ in range(5):
        cursor.execute(sql)

    assert (time.process_time() - start) / 5 < 0.2


def test_a_pattern_reads_the_files_that_exist(
    cursor: Any, stage: Callable[[str, pa.Table], str]
) -> None:
    """As documented for `read_files`: a set of strings; a missing one is no error, but all are."""
    path = stage("x.1", pa.table({"a": [1]}))
    stage("x.2", pa.table({"a": [2]}))
    stage("x.9", pa.table({"a": [9]}))

    def found(names: str) -> list[tuple[Any, ...]]:
        pattern = path.replace("x.1", f"x.{{{names}}}")
        return rows(
            cursor,
            f"SELECT a FROM read_files('{pattern}', format => 'parquet', schema => 'a BIGINT')"
            " ORDER BY a",
        )

    assert found("1,2,5") == [(1,), (2,)]
    with pytest.raises(ServerOperationError, match="PATH_NOT_FOUND"):
        found("5,6")


def test_overlapping_merges_conflict(
    connect: Callable[..., Any], stage: Callable[[str, pa.Table], str], double: Databricks
) -> None:
    """Of two MERGEs that have read the same snapshot of a Serializable table only one commits."""
    connect().cursor().execute(f"{TABLE} TBLPROPERTIES ('delta.isolationLevel' = 'Serializable')")
    paths = [stage(str(one), pa.table({"a": [one], "b": ["x"]})) for one in (1, 2)]
    double.faults.set(Fault("overlap", statement="^MERGE", times=2, parties=2))

    def run(path: str) -> str:
        try:
            connect().cursor().execute(merge(path))
        except ServerOperationError as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(run, paths))

    assert "DELTA_CONCURRENT_APPEND" in outcomes[0]
    assert "ConcurrentAppendException" in outcomes[0]
    assert outcomes[1] == "done"
    assert len(double.workspace.engine.query("SELECT a FROM main.cio.t")) == 1


def test_blind_appends_do_not_conflict(connect: Callable[..., Any], double: Databricks) -> None:
    """INSERTs that do not read the table all commit."""
    connect().cursor().execute(TABLE)
    double.faults.set(Fault("overlap", statement="^INSERT", times=4, parties=4))

    def run(number: int) -> None:
        connect().cursor().execute(f"INSERT INTO t VALUES ({number}, 'x')")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))

    assert len(double.workspace.engine.query("SELECT a FROM main.cio.t")) == 4


def test_a_null_in_a_required_column_is_refused(cursor: Any) -> None:
    """NOT NULL is enforced with the platform's error class."""
    cursor.execute(TABLE)

    with pytest.raises(ServerOperationError, match="DELTA_NOT_NULL_CONSTRAINT_VIOLATED"):
        cursor.execute("INSERT INTO t (b) VALUES ('x')")


def test_a_value_that_does_not_fit_is_refused(
    cursor: Any, stage: Callable[[str, pa.Table], str]
) -> None:
    """A staged text that is not a number fails with the error class of casts."""
    cursor.execute(TABLE)
    path = stage("bad", pa.table({"a": ["no number"], "b": ["x"]}))

    with pytest.raises(ServerOperationError, match=r"CAST_INVALID_INPUT.*SQLSTATE: 22018"):
        cursor.execute(merge(path))


def test_columns_can_be_added_and_are_null_in_old_rows(cursor: Any) -> None:
    """ALTER TABLE ADD COLUMNS works on a table with rows."""
    cursor.execute(TABLE)
    cursor.execute("INSERT INTO t VALUES (1, 'x')")

    cursor.execute("ALTER TABLE t ADD COLUMNS (`c` MAP<STRING, STRING> COMMENT 'new')")
    cursor.execute("ALTER TABLE t SET TBLPROPERTIES ('delta.isolationLevel' = 'Serializable')")

    assert rows(cursor, "SELECT * FROM t") == [(1, "x", None)]
    assert rows(cursor, "DESCRIBE TABLE t")[2] == ("c", "map<string, string>", "new")
    with pytest.raises(ServerOperationError, match="FIELD_ALREADY_EXISTS"):
        cursor.execute("ALTER TABLE t ADD COLUMNS (c STRING)")


def test_delete_removes_rows(cursor: Any) -> None:
    """DELETE has a condition; rows for which it is NULL stay."""
    cursor.execute(TABLE)
    cursor.execute("INSERT INTO t VALUES (1, 'x'), (2, NULL), (3, 'z')")

    gone = rows(cursor, "DELETE FROM t WHERE b = :b", {"b": "x"})

    assert gone == [(1,)]
    assert rows(cursor, "SELECT a FROM t ORDER BY a") == [(2,), (3,)]
    assert rows(cursor, "DELETE FROM t") == [(2,)]


def test_update_sets_literals_where_a_condition_holds(cursor: Any) -> None:
    """Rows for which it is unknown stay."""
    cursor.execute(TABLE)
    cursor.execute("INSERT INTO t VALUES (1, 'x'), (2, NULL), (3, 'z')")

    changed = rows(cursor, "UPDATE t AS held SET b = 'new' WHERE held.b = 'x'")

    assert changed == [(1,)]
    assert rows(cursor, "SELECT a, b FROM t ORDER BY a") == [(1, "new"), (2, None), (3, "z")]


def test_a_merge_that_updates_changes_what_matches(cursor: Any) -> None:
    """And is refused where several rows of the source match one of the target."""
    cursor.execute(TABLE)
    cursor.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    source = "(SELECT 1 AS a UNION ALL SELECT 3 AS a)"
    sql = "MERGE INTO t AS held USING {} AS s ON held.a = s.a WHEN MATCHED THEN UPDATE SET b = 'n'"

    assert rows(cursor, sql.format(source)) == [(1, 1, 0, 0)]
    assert rows(cursor, "SELECT a, b FROM t ORDER BY a") == [(1, "n"), (2, "y")]
    with pytest.raises(ServerOperationError, match="MULTIPLE_SOURCE_ROW"):
        cursor.execute(sql.format("(SELECT 1 AS a UNION ALL SELECT 1 AS a)"))


def test_grants_are_stored_and_shown(cursor: Any) -> None:
    """SHOW GRANTS shows the result of GRANT and REVOKE."""
    cursor.execute(TABLE)
    cursor.execute(f"GRANT SELECT, MODIFY ON TABLE t TO `{CLIENT_ID}`")
    cursor.execute("GRANT USE SCHEMA ON SCHEMA main.cio TO `bob`")
    cursor.execute(f"REVOKE MODIFY ON TABLE t FROM `{CLIENT_ID}`")

    assert rows(cursor, "SHOW GRANTS ON TABLE t") == [(CLIENT_ID, "SELECT", "TABLE", "main.cio.t")]
    assert rows(cursor, "SHOW GRANTS `bob` ON SCHEMA main.cio")[0][1] == "USE SCHEMA"


def test_schemas_volumes_and_tables_are_created_listed_and_dropped(cursor: Any) -> None:
    """USE sets the schema of names; OPTIMIZE and VACUUM are accepted."""
    for sql in (
        "CREATE SCHEMA IF NOT EXISTS main.more COMMENT 'x'",
        "USE CATALOG main",
        "USE SCHEMA more",
        "CREATE VOLUME IF NOT EXISTS files COMMENT 'y'",
        TABLE,
        "COMMENT ON TABLE t IS 'said'",
        "OPTIMIZE t",
        "VACUUM t RETAIN 168 HOURS",
    ):
        cursor.execute(sql)

    assert rows(cursor, "SHOW TABLES IN main.more") == [("more", "t", False)]
    assert rows(cursor, "SHOW VOLUMES") == [("more", "files")]
    assert ("more",) in rows(cursor, "SHOW SCHEMAS")
    assert rows(cursor, "SELECT comment FROM information_schema.tables") == [("said",)]
    cursor.execute("DROP TABLE t")
    cursor.execute("DROP TABLE IF EXISTS t")
    cursor.execute("DROP VOLUME files")
    assert rows(cursor, "SHOW TABLES") == []
    with pytest.raises(ServerOperationError, match="TABLE_OR_VIEW_NOT_FOUND"):
        cursor.execute("SELECT * FROM t")


@pytest.mark.parametrize(
    "sql",
    [
        "FROBNICATE t",
        "UPDATE t SET b = 'x'",
        "UPDATE t SET a = a + 1 WHERE b = 'x'",
        "MERGE INTO t USING (SELECT 1 AS a) AS s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = s.a",
        "CREATE TABLE u AS SELECT 1 AS a",
        "COPY INTO t FROM '/Volumes/main/cio/events' FILEFORMAT = JSON",
        "MERGE INTO t USING (SELECT 1 AS a) AS s ON t.a = s.a WHEN MATCHED THEN DELETE",
        "ALTER TABLE t DROP COLUMN b",
    ],
)
def test_an_unsupported_statement_fails(cursor: Any, sql: str) -> None:
    """The double never ignores a statement silently."""
    cursor.execute(TABLE)

    with pytest.raises(ServerOperationError, match="The double does not support"):
        cursor.execute(sql)


def test_current_user_is_the_user_of_the_token(cursor: Any) -> None:
    """The session has the principal of its caller."""
    assert rows(cursor, "SELECT current_user()") == [(USER,)]


def test_an_asynchronous_statement_is_polled(cursor: Any, double: Databricks) -> None:
    """execute_async returns at once; the result is fetched when the statement has ended."""
    double.faults.set(Fault("statement_slow", statement="SELECT 5", seconds=0.2))

    cursor.execute_async("SELECT 5")
    cursor.get_async_execution_result()

    assert cursor.fetchall()[0][0] == 5


def test_a_hanging_statement_can_be_cancelled(cursor: Any, double: Databricks) -> None:
    """After cancel the state is CANCELED."""
    double.faults.set(Fault("statement_slow", statement="SELECT 6", seconds=None))
    cursor.execute_async("SELECT 6")

    cursor.cancel()

    states = [one.state for one in double.workspace.sessions.operations.values()]
    assert states == ["CANCELED"]


def test_a_closed_session_is_an_invalid_handle(cursor: Any, double: Databricks) -> None:
    """A statement in a session that the server has closed is refused."""
    double.workspace.sessions.sessions.clear()

    with pytest.raises(Exception, match="Invalid SessionHandle"):
        cursor.execute("SELECT 1")


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT count(t) FROM t", "UNRESOLVED_COLUMN"),
        ("SELECT * FROM t, (SELECT t.a AS c) AS x", "UNRESOLVED_COLUMN"),
        ("SELECT b FROM t JOIN t AS u USING (u.a)", "PARSE_SYNTAX_ERROR"),
    ],
)
def test_a_column_name_that_spark_refuses_is_refused(cursor: Any, sql: str, error: str) -> None:
    """DuckDB alone would accept all three; tests/spark/test_names.py checks them with Spark."""
    cursor.execute(TABLE)

    with pytest.raises(ServerOperationError, match=error):
        cursor.execute(sql)
