"""The lake in a workspace, through the real SQL connector and the real protocols."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from databricks_app.cli.query import query
from databricks_app.cli.replay import replay
from databricks_app.cli.tables import tables
from databricks_app.cli.verify import verify
from databricks_app.databricks import workspace
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.sql_connect import statements
from databricks_app.databricks.volume_files import TimedFiles
from databricks_app.errors import LakeError, QueryError
from databricks_app.events.decoding import Reading
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.volume_reader import pending, put_replay
from databricks_app.lake import LoadReport, Standby, sql_dialect
from databricks_app.lake.warehouse.connect import open_lake, open_query
from databricks_app.lake.warehouse.store import WarehouseLake
from databricks_app.loading.loader import open_loader
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings, from_environment
from tests.doubles import Databricks, Fault
from tests.support.lake_events import EMAIL, NOON, RAW, SMS, body, event

VOLUME = "main.cio.events"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume and no tables."""
    with Databricks(tmp_path / "double", volume=VOLUME) as double:
        yield double


@pytest.fixture
def variables(double: Databricks, tmp_path: Path) -> dict[str, str]:
    """The environment of an app."""
    return double.environment() | {
        "CIO_STORE": "databricks",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": "cio",
        "CIO_VOLUME": "events",
        "CIO_DATA_DIR": str(tmp_path / "data"),
        "CIO_FRESHNESS_SECONDS": "0.05",
    }


@pytest.fixture
def settings(variables: dict[str, str]) -> Settings:
    """The settings of the app."""
    return from_environment(variables)


@pytest.fixture
def joined(variables: dict[str, str]) -> Iterator[workspace.DatabricksWorkspace]:
    """The workspace of the app."""
    joined = workspace.connect(variables)
    yield joined
    joined.close()


def few(lake: WarehouseLake) -> WarehouseLake:
    """A lake with only three tables, because it is faster."""
    lake._custom_tables = [one for one in sql_dialect.tables() if one.name in {RAW, EMAIL, SMS}]
    lake._custom_views = ()
    return lake


@pytest.fixture
def lake(joined: workspace.DatabricksWorkspace, settings: Settings) -> Iterator[WarehouseLake]:
    """A started lake."""
    lake = few(open_lake(joined, settings, CallTimeout(call_seconds=20, grace_seconds=0.5)))
    lake.start()
    yield lake
    lake.close()


def load(lake: WarehouseLake, *readings: Reading) -> LoadReport:
    """Load readings with a new batch id."""
    return lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=NOON)


def ask(
    joined: workspace.DatabricksWorkspace, settings: Settings, sql: str
) -> list[tuple[Any, ...]]:
    """Rows of a query through the warehouse."""
    return open_query(joined, settings).run(sql).rows


def test_a_load_arrives_through_the_real_protocols(
    lake: WarehouseLake, joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """Nested values, NULLs, times and counts included; a second load changes nothing."""
    batch = [event("a", "email/sent", headers={"X-A": ["1", "2"]}), event("b", "sms/sent")]

    first, second = load(lake, *batch), load(lake, *batch)

    assert first.inserted == {RAW: 2, EMAIL: 1, SMS: 1}
    assert (second.inserted, second.duplicates) == ({}, {RAW: 2, EMAIL: 1, SMS: 1})
    ((headers, subject, loaded_at),) = ask(
        joined, settings, f"SELECT headers, subject, loaded_at FROM {EMAIL}"
    )
    assert {key: list(values) for key, values in dict(headers).items()} == {"X-A": ["1", "2"]}
    assert subject is None
    assert NOON < loaded_at <= NOON + timedelta(microseconds=2)  # two tables, at the same time


def test_staged_portions_arrive_through_the_real_protocols(
    lake: WarehouseLake, joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """One pattern names the files of several portions; a second load changes nothing."""
    portions = [[event("a"), event("b", "sms/sent")], [event("c")], [event("d")]]
    reports = []
    for batch_id in ("one", "two"):
        for portion in portions:
            lake.stage(portion, batch_id=batch_id, loaded_at=NOON)
        reports.append(lake.commit(loaded_at=NOON + timedelta(hours=1)))

    first, second = reports
    assert first.inserted == {RAW: 4, EMAIL: 3, SMS: 1}
    assert (second.inserted, second.duplicates) == ({}, first.inserted)
    rows = ask(joined, settings, f"SELECT event_id, loaded_at FROM {RAW} ORDER BY event_id")
    assert rows == [(one, NOON + timedelta(hours=1)) for one in "abcd"]


def test_sessions_end_after_each_load(double: Databricks, lake: WarehouseLake) -> None:
    """An open session may keep the warehouse running. The next load opens another one."""
    open_sessions = double.workspace.sessions.sessions

    assert load(lake, event("a", "email/sent")).inserted == {RAW: 1, EMAIL: 1}
    until = time.monotonic() + 10
    while open_sessions and time.monotonic() < until:
        time.sleep(0.02)

    assert open_sessions == {}
    assert load(lake, event("b", "email/sent")).inserted == {RAW: 1, EMAIL: 1}


def test_typed_row_is_made_from_the_stored_raw_row(
    lake: WarehouseLake, joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """Its body is read through the connector."""
    first = event("a", subject="first")
    load(lake, replace(first, table=None, typed=None))

    load(lake, first)

    assert ask(joined, settings, f"SELECT subject, received_at FROM {EMAIL}") == [("first", NOON)]


FAULTS = [
    Fault("reset_after", "sql.*", statement="MERGE"),
    Fault(
        "statement_fails",
        statement="MERGE",
        text="[DELTA_CONCURRENT_APPEND] ConcurrentAppendException. SQLSTATE: 2D521",
    ),
    Fault("unavailable", "files.put", path="staging"),
]
MORE_FAULTS = [
    pytest.param(one, marks=pytest.mark.slow)
    for one in (
        Fault("reset_before", "sql.*", statement="MERGE"),
        Fault("unavailable", "sql.*", statement="MERGE"),
        Fault("throttled", "sql.*", statement="MERGE"),
        Fault("expired", "sql.*", statement="MERGE"),
        Fault("invalid_token", "sql.*", statement="MERGE"),
        Fault("statement_fails_after", statement="MERGE", text="Invalid SessionHandle"),
    )
]


@pytest.mark.parametrize("fault", [*FAULTS, *MORE_FAULTS], ids=lambda fault: fault.action)
def test_each_event_is_stored_once_after_any_single_failure(
    double: Databricks,
    lake: WarehouseLake,
    joined: workspace.DatabricksWorkspace,
    settings: Settings,
    fault: Fault,
) -> None:
    """If the load fails, the test repeats it like the loader."""
    double.faults.set(fault)

    for _ in range(3):
        try:
            load(lake, event("a"), event("b"))
            break
        except LakeError:
            continue

    assert fault.acted == 1
    for table in (RAW, EMAIL):
        found = ask(joined, settings, f"SELECT event_id FROM {table} ORDER BY 1")
        assert found == [("a",), ("b",)]


WORDS = [
    (Fault("expired", "sql.*", times=None), "refuses the token"),
    (Fault("invalid_token", "sql.*", times=None), "the workspace refuses the token"),
    (
        Fault("denied", "sql.*", times=None, text="You may not use this SQL warehouse."),
        "CAN USE on the warehouse",
    ),
    (Fault("missing", "sql.*", times=None), "there is no such warehouse"),
    (Fault("error", "sql.Execute*", times=None), "is RUNNING"),
    (
        Fault(
            "statement_fails",
            times=None,
            statement="MERGE",
            text="[INSUFFICIENT_PERMISSIONS] User does not have MODIFY on Table 'main.cio.x'. "
            "SQLSTATE: 42501",
        ),
        "GRANT MODIFY ON TABLE main.cio.x",
    ),
    (Fault("denied", "files.put", path="staging", times=None), "grant READ VOLUME"),
    (Fault("full", "files.put", path="staging", times=None), "takes no more"),
]


@pytest.mark.parametrize(("fault", "words"), WORDS, ids=[words for _, words in WORDS])
def test_error_of_a_failing_workspace_says_what_is_wrong(
    double: Databricks, lake: WarehouseLake, fault: Fault, words: str
) -> None:
    """The next load succeeds when the failure has ended."""
    double.faults.set(fault)
    with pytest.raises(LakeError, match=words):
        load(lake, event("a"))
    double.faults.clear()

    assert load(lake, event("a")).inserted[EMAIL] == 1


def test_stop_abandons_a_hanging_statement(double: Databricks, lake: WarehouseLake) -> None:
    """The warehouse cannot delay a stop after SIGTERM."""
    double.faults.set(Fault("statement_slow", statement="MERGE", seconds=60))
    threading.Timer(0.5, lake._statements.timeout.stopping.set).start()
    began = time.monotonic()

    with pytest.raises(LakeError, match="because the process is stopping"):
        load(lake, event("a"))

    assert time.monotonic() - began < 5


def test_second_instance_is_on_standby_and_takes_over(
    lake: WarehouseLake, joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """Immediately after the first one releases the lease."""
    other = few(open_lake(joined, settings, CallTimeout()))
    with pytest.raises(Standby):
        other.start()
    lake.close()

    other.start()
    other.close()


def test_start_adds_a_column(
    lake: WarehouseLake, joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """To a table of an older release."""
    lake.close()
    old = next(one for one in sql_dialect.tables() if one.name == SMS)
    new = replace(
        old, columns=(*old.columns, sql_dialect.ColumnDefinition("extra", "BIGINT", True, "New"))
    )
    lake._custom_tables = [new if one.name == SMS else one for one in lake._tables()]

    report = lake.start()

    assert report.added_columns == {SMS: ("extra",)}
    assert ask(joined, settings, f"SELECT extra FROM {SMS}") == []


def run_loader(variables: dict[str, str], is_enough: Any) -> list[Any]:
    """Run the loader of these variables in this process until a status after which this holds."""
    settings = from_environment(variables)
    loader = open_loader(settings, Metrics(), None)
    said: list[Any] = []

    def write_status(status: Any) -> None:
        said.append(status)
        if is_enough(said):
            loader.stopping.set()

    loader.write_status = write_status
    loader.run()
    return said


def test_loader_process_loads_the_objects_of_the_inbox(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    joined: workspace.DatabricksWorkspace,
    settings: Settings,
) -> None:
    """It creates all tables and views and deletes the objects. The commands see the rows."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    content = body("a")
    put_replay(joined, settings.volume_path, [Record(content, NOON, "", "0badf00d", len(content))])

    said = run_loader(variables, lambda said: said[-1].last_load_at is not None)

    assert said[-1].problems == ()
    assert list(joined.entries(f"{settings.volume_path}/staging")) == []
    assert ask(joined, settings, "SELECT count(*) FROM webhook_unrouted_events") == [(0,)]
    shown = CliRunner().invoke(query, [f"SELECT event_id FROM {EMAIL}", "--format", "json"])
    assert json.loads(shown.output) == [{"event_id": "a"}]
    checked = CliRunner().invoke(verify, [])
    assert (checked.exit_code, "exactly once" in checked.output) == (0, True), checked.output
    counted = CliRunner().invoke(replay, ["--all", "--dry-run"])
    assert counted.output.startswith("1 event would be ")
    put_back = CliRunner().invoke(replay, ["--event-id", "a", "--from", "2026-11-22"])
    assert put_back.output.startswith("1 event was copied into the inbox.\nA running receiver ")
    assert re.search(r"loaded them by \d\d:\d\d UTC\.$", put_back.output)
    assert pending(joined, settings.volume_path).events == 1
    listed = CliRunner().invoke(tables, ["--format", "json"])
    assert listed.exit_code == 0, listed.output
    rows = {row["name"]: row["rows"] for row in json.loads(listed.output)}
    assert (rows[RAW], rows[SMS], len(rows)) == (1, 0, 9 + len(sql_dialect.views()))


def test_closed_session_sends_no_request_when_it_is_collected(
    double: Databricks, joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """The connector would send requests for a minute during garbage collection."""
    ask(joined, settings, "SELECT 1")
    asked = double.faults.counts["sql.CloseSession"]

    gc.collect()

    assert double.faults.counts["sql.CloseSession"] == asked


def test_state_of_the_warehouse_is_read(
    double: Databricks, joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """None if the workspace does not return it."""
    asking = statements(joined, settings, CallTimeout())
    assert asking.state() == "RUNNING"
    double.faults.set(Fault("denied", "warehouses.*", times=None))

    assert asking.state() is None


def test_timed_files_read_and_write_the_volume(
    joined: workspace.DatabricksWorkspace, settings: Settings
) -> None:
    """Each call has a timeout."""
    files, folder = TimedFiles(joined, CallTimeout()), f"{settings.volume_path}/odd"
    files.put(f"{folder}/a", b"1", overwrite=False)
    with pytest.raises(FileExistsError):
        files.put(f"{folder}/a", b"2", overwrite=False)

    assert (files.get(f"{folder}/a"), files.names(folder)) == (b"1", ["a"])
    files.delete(f"{folder}/a")
    files.delete_folder(folder)
    assert list(files.entries(folder)) == []


def test_error_without_a_token_has_the_reason_of_the_workspace(
    variables: dict[str, str], settings: Settings
) -> None:
    """The text of the workspace is part of the error."""
    joined = workspace.connect(variables | {"DATABRICKS_CLIENT_SECRET": "wrong"})

    with pytest.raises(QueryError, match="check DATABRICKS_CLIENT_ID"):
        ask(joined, settings, "SELECT 1")
    joined.close()


def test_error_without_a_warehouse_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """The error is one line."""
    for name, value in {**variables, "DATABRICKS_WAREHOUSE_ID": ""}.items():
        monkeypatch.setenv(name, value)

    result = CliRunner().invoke(query, ["SELECT 1"])

    assert result.exit_code == 1
    assert "set DATABRICKS_WAREHOUSE_ID" in result.output


@pytest.mark.slow
def test_loader_process_ends_in_time_while_the_warehouse_hangs(
    double: Databricks,
    variables: dict[str, str],
    joined: workspace.DatabricksWorkspace,
    settings: Settings,
) -> None:
    """The running statement is abandoned; its events stay in the inbox."""
    content = body("a")
    put_replay(joined, settings.volume_path, [Record(content, NOON, "", "0badf00d", len(content))])
    double.faults.set(Fault("statement_slow", statement="MERGE", seconds=60))
    path = {"PATH": "/usr/bin", "CIO_LOG_LEVEL": "info"}
    process = subprocess.Popen(
        [sys.executable, "-m", "databricks_app.loading.loader"],
        env=variables | path,
        cwd=Path.cwd(),
    )
    try:
        until = time.monotonic() + 60
        while not double.faults.counts["statement.MERGE"] and time.monotonic() < until:
            time.sleep(0.05)
        began = time.monotonic()
        process.terminate()
        assert process.wait(20) == 0
        assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.wait()
    assert len(list(joined.entries(f"{settings.volume_path}/inbox"))) == 1
