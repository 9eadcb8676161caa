"""The commands `ciolake query` and `ciolake tables`."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from deltalake import write_deltalake

from databricks_app.cli.query import query
from databricks_app.cli.rows import plain
from databricks_app.cli.tables import tables
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.sql_dialect import table
from databricks_app.lake.sql_dialect import tables as sql_tables
from databricks_app.lake.sql_dialect import views as sql_views

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC)
VALUES = "SELECT * FROM VALUES (1, 'a,b', NULL), (2, 'x\"y', 0.25) AS t(n, s, v) ORDER BY n"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with one SMS event."""
    name = "webhook_sms_events"
    row = {
        "event_id": "a",
        "event_date": MOMENT.date(),
        "event_timestamp": datetime(2026, 11, 22, 1, tzinfo=UTC),
        "received_at": MOMENT,
        "loaded_at": MOMENT,
        "link_id": 2**53 + 1,
        "content": "red \x1b[31m text",
    }
    write_deltalake(
        tmp_path / "tables" / name,
        pa.Table.from_pylist([row], schema=arrow_schema(table(name))),
        partition_by=["event_date"],
    )
    return tmp_path


def ask(*arguments: str, data_dir: Path, width: int = 100, stdin: str | None = None) -> Result:
    """Run `ciolake query` in a terminal of some width."""
    runner = CliRunner(env={"COLUMNS": str(width)})
    return runner.invoke(query, [*arguments, "--data-dir", str(data_dir)], input=stdin)


def test_query_prints_a_table(data_dir: Path) -> None:
    """Names, a line, rows; numbers to the right, NULL as such."""
    result = ask(VALUES, data_dir=data_dir)

    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0].split() == ["n", "s", "v"]
    assert [line.split() for line in lines[2:]] == [["1", "a,b", "NULL"], ["2", 'x"y', "0.25"]]
    assert (result.stderr, result.exit_code) == ("", 0)


def test_query_prints_records_where_a_table_does_not_fit(data_dir: Path) -> None:
    """One line a value, names aligned."""
    result = ask("SELECT * FROM webhook_sms_events", data_dir=data_dir, width=80)

    lines = result.stdout.splitlines()
    assert lines[0] == "--- 1 ---"
    assert "event_id                  a" in lines
    assert "event_timestamp           2026-11-22 01:00:00" in lines
    assert "received_at               2026-11-22 01:02:03.456789" in lines
    assert len(lines) == 1 + len(table("webhook_sms_events").columns)


def test_table_shows_rates_in_four_digits(data_dir: Path) -> None:
    """Sixteen digits are for programs."""
    result = ask("SELECT 1 / 3 AS a, 1 / 30000 AS b, 4 / 3 AS c, 2e0 AS d", data_dir=data_dir)

    assert result.stdout.splitlines()[2].split() == ["0.3333", "3.333e-05", "1.3333", "2"]


def test_table_shows_no_control_characters_of_others(data_dir: Path) -> None:
    """What a sender wrote must not steer the terminal."""
    result = ask("SELECT content FROM webhook_sms_events", data_dir=data_dir)

    assert "red \\x1b[31m text" in result.stdout
    assert "\x1b" not in result.stdout


def test_query_prints_csv(data_dir: Path) -> None:
    """Quoted where needed, NULL empty, times in ISO 8601."""
    result = ask(VALUES, "--format", "csv", data_dir=data_dir)
    times = ask(
        "SELECT event_date, event_timestamp, array(1, 2) AS a FROM webhook_sms_events",
        "--format=csv",
        data_dir=data_dir,
    )

    assert list(csv.reader(io.StringIO(result.stdout))) == [
        ["n", "s", "v"],
        ["1", "a,b", ""],
        ["2", 'x"y', "0.25"],
    ]
    assert times.stdout.splitlines()[1] == '2026-11-22,2026-11-22T01:00:00Z,"[1, 2]"'


def test_query_prints_json(data_dir: Path) -> None:
    """One array; times in ISO 8601 UTC, integers exact, a repeated name numbered."""
    sql = "SELECT received_at, event_date, link_id, NULL AS x, 1 AS x FROM webhook_sms_events"

    result = ask(sql, "--format", "json", data_dir=data_dir)

    assert json.loads(result.stdout) == [
        {
            "received_at": "2026-11-22T01:02:03.456789Z",
            "event_date": "2026-11-22",
            "link_id": 2**53 + 1,
            "x": None,
            "x_2": 1,
        }
    ]


def test_query_prints_json_lines(data_dir: Path) -> None:
    """One object a line."""
    result = ask(VALUES, "--format", "jsonl", data_dir=data_dir)

    assert [json.loads(line)["n"] for line in result.stdout.splitlines()] == [1, 2]


def test_query_without_rows_prints_what_a_program_expects(data_dir: Path) -> None:
    """A header, an empty array, nothing."""
    sql = "SELECT 1 AS n WHERE FALSE"
    forms = ("csv", "json", "jsonl")

    outputs = [ask(sql, "--format", form, data_dir=data_dir).stdout for form in forms]

    assert outputs == ["n\n", "[]\n", ""]


def test_the_limit_is_reported_on_standard_error(data_dir: Path) -> None:
    """Standard output stays data."""
    result = ask(VALUES, "--limit", "1", "--format", "jsonl", data_dir=data_dir)

    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == "These are only the first 1 rows; --limit shows more.\n"


def test_only_tables_have_a_default_limit(data_dir: Path) -> None:
    """A thousand rows are enough to read; a program gets all."""
    sql = "SELECT explode(sequence(1, 1200, 1)) AS n"

    shown = ask(sql, data_dir=data_dir)
    exported = ask(sql, "--format", "csv", data_dir=data_dir)

    assert "only the first 1000 rows" in shown.stderr
    assert len(exported.stdout.splitlines()) == 1201


def test_query_reads_standard_input(data_dir: Path) -> None:
    """For queries longer than a line."""
    result = ask("-", "--format", "csv", data_dir=data_dir, stdin="SELECT 1 AS n\n")

    assert result.stdout == "n\n1\n"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM webhook_sms", "Did you mean webhook_sms_events?"),
        ("SELECT 1 +", "line 1, column"),
        ("SELECT recipent FROM webhook_sms_events", '"recipient"'),
        ("selec 1", "begins with SELECT"),
        ("DROP TABLE webhook_sms_events", "not with DROP"),
    ],
)
def test_error_says_what_to_do_and_exits_with_one(sql: str, expected: str, data_dir: Path) -> None:
    """On standard error, without a trace."""
    result = ask(sql, data_dir=data_dir)

    assert result.exit_code == 1
    assert expected in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_folder_without_tables_gives_a_remark(tmp_path: Path) -> None:
    """Empty answers of a wrong folder would puzzle."""
    result = ask("SELECT count(*) AS n FROM webhook_sms_events", "--format=csv", data_dir=tmp_path)

    assert result.stdout == "n\n0\n"
    assert f"There are no tables in {tmp_path}" in result.stderr


def test_data_dir_is_the_option_then_the_environment_then_the_env_file(
    data_dir: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ./data if nobody says anything."""
    count = ["SELECT count(*) AS n FROM webhook_sms_events", "--format=csv"]
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(folder)
    runner = CliRunner()

    nobody = runner.invoke(query, count, env={"CIO_DATA_DIR": None})
    environment = runner.invoke(query, count, env={"CIO_DATA_DIR": str(data_dir)})
    (folder / ".env").write_text(f"CIO_DATA_DIR={data_dir}\n")
    env_file = runner.invoke(query, count, env={"CIO_DATA_DIR": None})
    both = runner.invoke(query, count, env={"CIO_DATA_DIR": str(folder)})

    outputs = [result.stdout for result in (nobody, environment, env_file, both)]
    assert outputs == ["n\n0\n", "n\n1\n", "n\n1\n", "n\n0\n"]
    assert "There are no tables in data" in nobody.stderr


def listed(*arguments: str, data_dir: Path, width: int = 200) -> Result:
    """Run `ciolake tables`."""
    runner = CliRunner(env={"COLUMNS": str(width)})
    return runner.invoke(tables, [*arguments, "--data-dir", str(data_dir)])


def test_tables_lists_every_table_and_view(data_dir: Path) -> None:
    """With rows, files, bytes, freshness and comment."""
    result = listed("--format", "json", data_dir=data_dir)

    records = {record["name"]: record for record in json.loads(result.stdout)}
    assert list(records) == [item.name for item in (*sql_tables(), *sql_views())]
    sms = records["webhook_sms_events"]
    assert (sms["kind"], sms["rows"], sms["files"]) == ("table", 1, 1)
    assert sms["newest_loaded_at"] == "2026-11-22T01:02:03Z"
    assert sms["bytes"] > 0
    assert sms["comment"] == table("webhook_sms_events").comment
    view = records["campaign_performance"]
    assert (view["kind"], view["rows"], view["newest_loaded_at"]) == ("view", None, None)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (200, ["name", "kind", "rows", "files", "bytes", "newest_loaded_at", "comment"]),
        (100, ["name", "kind", "rows", "files", "bytes", "newest_loaded_at"]),
        (80, ["name", "kind", "rows", "bytes", "newest_loaded_at"]),
        (70, ["name", "rows", "bytes", "newest_loaded_at"]),
    ],
)
def test_tables_fits_the_terminal(width: int, columns: list[str], data_dir: Path) -> None:
    """A narrow one gets fewer columns, not folded ones."""
    result = listed(data_dir=data_dir, width=width)

    lines = result.stdout.splitlines()
    assert lines[0].split() == columns
    assert max(map(len, lines)) <= width
    assert len(lines) == 2 + len(sql_tables()) + len(sql_views())


@pytest.mark.parametrize("name", ["webhook_push_events", "daily_email_engagement"])
def test_tables_of_a_name_shows_its_columns(name: str, data_dir: Path) -> None:
    """Types and comments, of tables and of views."""
    result = listed(name, "--format", "json", data_dir=data_dir)

    records = json.loads(result.stdout)
    (item,) = (item for item in (*sql_tables(), *sql_views()) if item.name == name)
    names = getattr(item, "column_names", None) or item.column_comments  # type: ignore[union-attr]
    assert [record["col_name"] for record in records] == list(names)
    assert all(record["data_type"] and record["comment"] for record in records)


def test_columns_of_a_view_are_a_table_in_the_smallest_terminal(data_dir: Path) -> None:
    """Comments are folded at words, names are not."""
    result = listed("campaign_performance", data_dir=data_dir, width=80)

    lines = result.stdout.splitlines()
    (view,) = (view for view in sql_views() if view.name == "campaign_performance")
    assert max(map(len, lines)) <= 80
    assert [name for line in lines[2:] if (name := line.split(" ")[0])] == list(
        view.column_comments
    )


@pytest.mark.parametrize("name", ["webhook_pusch_events", "x; DROP TABLE y", ""])
def test_tables_of_an_unknown_name_is_an_error(name: str, data_dir: Path) -> None:
    """With the names there are, or why it is none."""
    result = listed(name, data_dir=data_dir)

    assert result.exit_code == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
        (datetime(2026, 1, 1), "2026-01-01T00:00:00Z"),  # noqa: DTZ001  # a time without a zone
        (date(2026, 1, 1), "2026-01-01"),
        (float("nan"), None),
        (Decimal("2"), 2),
        (Decimal("2.5"), 2.5),
        (b"\x00", "AA=="),
        ({1: [b"\x00"]}, {"1": ["AA=="]}),
        (True, True),
        (date(2026, 1, 2) - date(2026, 1, 1), "1 day, 0:00:00"),
    ],
)
def test_plain_values_are_those_of_json(value: object, expected: object) -> None:
    """Whatever the engine answers can be written."""
    assert plain(value) == expected
    assert json.dumps(plain(value))
