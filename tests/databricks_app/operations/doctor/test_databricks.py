"""`ciolake doctor` on a workspace, through the real connector and the real protocols."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.harness import events
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import ADMIN_TOKEN, KEY, request
from databricks_app.cli import ciolake
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.workspace import connect
from databricks_app.errors import TokenError
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.volume_reader import put_replay
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse.connect import open_lake
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.operations.costs.prices import AS_OF
from databricks_app.operations.doctor import loaded_at, workspaces
from databricks_app.operations.doctor.context import DoctorContext, WaitLimits, open_context
from databricks_app.operations.doctor.result import CheckResult
from databricks_app.operations.doctor.run import checks, run_checks
from databricks_app.settings import from_environment
from tests.doubles import CLIENT_ID, WAREHOUSE_ID, Databricks, Fault
from tests.support import earlier_release
from tests.support.lake_events import NOON, body, event
from tests.support.storing import StoringReceiver

VOLUME = "/Volumes/main/cio/events"
GRANTS = (
    f"GRANT USE CATALOG ON CATALOG `main` TO `{CLIENT_ID}`;",
    f"GRANT USE SCHEMA, SELECT, MODIFY ON SCHEMA `main`.`cio` TO `{CLIENT_ID}`;",
    f"GRANT READ VOLUME, WRITE VOLUME ON VOLUME `main`.`cio`.`events` TO `{CLIENT_ID}`;",
)
EMAIL = "webhook_email_events"
Look = Callable[..., CheckResult]
_GRANT = re.compile(r"GRANT (.+) ON (\w+) (\S+) TO `(.+)`;")


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume and no tables."""
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
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
        "CIO_WEBHOOK_SIGNING_KEYS": KEY,
        "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
    }


@pytest.fixture
def look(variables: dict[str, str]) -> Look:
    """What one check finds: `look("volume", DATABRICKS_HOST=...)`."""

    def look(name: str, **other: str) -> CheckResult:
        with closing(context_of(variables | other)) as context:
            (check,) = [one for one in checks(context) if one.name == name]
            return check.look(context)

    return look


def context_of(variables: dict[str, str]) -> DoctorContext:
    """A context in which nothing is waited for long."""
    context = open_context(variables, limits=WaitLimits(canary=20, lease=1.2))
    # A connection that is asking for it when the context is closed would be left to the collector.
    with suppress(TokenError):
        context.remote.tokens.get(10)
    return context


def make_tables(double: Databricks) -> None:
    """All tables and views of `sql/`."""
    for folder in ("tables", "views"):
        for one in sql_dialect.statements(folder):
            run(double, one.sql)


def run(double: Databricks, sql: str) -> None:
    """Run a statement in the schema, as an admin."""
    from tests.doubles.warehouse.queries import Session

    session = Session()
    session.catalog, session.schema = "main", "cio"
    double.workspace.engine.run(sql, session, [])


def grant(double: Databricks, statement: str) -> None:
    """Run a GRANT, which the double's parser does not know on every kind of thing."""
    found = _GRANT.fullmatch(statement)
    assert found, statement
    privileges, kind, name, principal = found.groups()
    held = double.workspace.catalog.get(kind.lower(), tuple(name.replace("`", "").split(".")))
    double.workspace.catalog.grant(held, principal, set(privileges.split(", ")), set())


@pytest.mark.slow
def test_all_is_well_with_a_running_receiver(
    double: Databricks, variables: dict[str, str], tmp_path: Path
) -> None:
    """From the signature through the volume and the warehouse to the row."""
    for statement in GRANTS:
        grant(double, statement)
    with serving(tmp_path, **variables, CIO_WEB_WORKERS="1") as receiver:
        env = variables | {"CIO_APP_API_KEY": ""}
        last = ("main", "cio", sql_dialect.views()[-1].name)
        receiver.post(request(events.event("A1")))  # the first load makes tables and views
        wait_until(lambda: double.workspace.catalog.find("table", last) is not None)
        assert receiver.post(request(body("first"))).status == 200
        result = CliRunner().invoke(ciolake, ["doctor", "--url", receiver.url, "--json"], env=env)

    said = {one["name"]: one for one in json.loads(result.stdout)}
    skipped = {"webhook", "certificate"}  # no App API key, no TLS
    assert {name for name, one in said.items() if one["state"] != "ok"} == skipped, said
    assert "double-secret" not in result.output
    assert result.exit_code == 0


def test_a_wrong_secret_skips_what_needs_a_token(variables: dict[str, str]) -> None:
    """The advice names the variables and shows none of them."""
    with closing(context_of(variables | {"DATABRICKS_CLIENT_SECRET": "wrong-one"})) as context:
        results = {one.name: one for one in run_checks(context)}

    assert results["token"].state == "failure"
    assert "DATABRICKS_CLIENT_SECRET" in results["token"].fix
    assert "check token failed" in results["volume"].says
    assert "check warehouse was skipped" in results["tables"].says
    assert "wrong-one" not in str(results)


@pytest.mark.parametrize(
    ("offset", "state"), [(0, "ok"), (-40, "warning"), (400, "failure"), (-400, "failure")]
)
def test_a_wrong_clock_is_reported(variables: dict[str, str], offset: int, state: str) -> None:
    """Against the workspace's, measured by the window of timestamps."""
    context = replace(context_of(variables), now=lambda: time.time() + offset)
    with closing(context):
        (check,) = [one for one in checks(context) if one.name == "clock"]
        result = check.look(context)

    assert result.state == state
    assert "300 s" in result.says
    assert ("NTP" in result.fix) == (state != "ok")


def test_a_missing_or_denied_volume_is_a_failure(double: Databricks, look: Look) -> None:
    """With the statement or the right that mends it; nothing is left in a good one."""
    good = look("volume")
    missing = look("volume", CIO_VOLUME="other")
    double.faults.set(Fault("denied", "files.put", times=2))
    denied = look("volume")

    assert good.state == "ok"
    assert not [
        one
        for one in double.workspace.catalog.volume_dir(("main", "cio", "events")).rglob("*")
        if one.is_file()
    ]
    assert (missing.state, denied.state) == ("failure", "failure")
    assert "CREATE VOLUME main.cio.other" in missing.says
    assert "WRITE VOLUME" in denied.says


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        (None, "ok", "was RUNNING and answered in"),
        (Fault("statement_fails", statement="SELECT 1", text="[X] no"), "failure", "was RUNNING"),
        (Fault("denied", "warehouses.get"), "failure", "HTTP 403"),
        (Fault("reset_before", "warehouses.get"), "failure", "did not describe warehouse"),
    ],
)
def test_a_warehouse_is_asked(
    double: Databricks, look: Look, fault: Fault | None, state: str, words: str
) -> None:
    """Its state, whether we may use it, and how long it took."""
    if fault:
        double.faults.set(fault)

    result = look("warehouse")

    assert (result.state, words in result.says) == (state, True), result


def test_a_missing_warehouse_is_a_failure(look: Look) -> None:
    """Not named, or not known."""
    assert (
        look("warehouse", DATABRICKS_WAREHOUSE_ID="").fix == "set DATABRICKS_WAREHOUSE_ID to its id"
    )
    assert "there is no warehouse other" in look("warehouse", DATABRICKS_WAREHOUSE_ID="other").says


@pytest.mark.parametrize(
    ("settings", "chosen", "says", "fix"),
    [
        ({}, {"CIO_FRESHNESS_SECONDS": "2"}, "CIO_FRESHNESS_SECONDS=2", "_SECONDS=900"),
        ({"auto_stop_mins": 10}, {}, "auto-stop is 10 min", "saves about 924 to 1,368 USD"),
        ({"auto_stop_mins": 0}, {}, "no auto-stop", "saves about 1,654 to 1,918 USD"),
        ({"cluster_size": "Small"}, {}, "size is Small", "make it 2X-Small"),
        ({"cluster_size": "4X-Large"}, {}, "size is 4X-Large", "make it 2X-Small"),
        ({"enable_serverless_compute": False}, {}, "not serverless", "use a serverless"),
        ({}, {"CIO_FLUSH_INTERVAL_SECONDS": "900"}, "has no effect", "remove CIO_FLUSH"),
    ],
)
def test_an_expensive_setting_is_named_with_the_cheaper_one(
    double: Databricks,
    look: Look,
    settings: dict[str, object],
    chosen: dict[str, str],
    says: str,
    fix: str,
) -> None:
    """A warning, with what it saves; no statement is run for it."""
    double.workspace.warehouses.get(WAREHOUSE_ID).settings |= settings

    result = look("cost", **chosen)

    assert result.state == "warning"
    assert says in result.says
    assert fix in result.fix
    assert "statements.execute" not in double.faults.counts


def test_a_cheap_warehouse_is_ok_with_its_price(double: Databricks, look: Look) -> None:
    """The estimate has the date of its prices; a stopped warehouse stays stopped."""
    warehouse = double.workspace.warehouses.get(WAREHOUSE_ID)
    warehouse.is_stopped = True

    result = look("cost")

    assert (result.state, warehouse.state) == ("ok", "STOPPED")
    assert AS_OF in result.says


def test_a_long_auto_stop_does_not_matter_if_the_loader_stops_the_warehouse(
    double: Databricks, look: Look
) -> None:
    """With our tag only; without it the loader does not stop it."""
    warehouse = double.workspace.warehouses.get(WAREHOUSE_ID)
    warehouse.settings["auto_stop_mins"] = 10
    without = look("cost", CIO_WAREHOUSE_STOP="on")
    warehouse.settings["tags"] = {"custom_tags": [{"key": "ciolake", "value": "loader"}]}

    assert (without.state, look("cost", CIO_WAREHOUSE_STOP="on").state) == ("warning", "ok")


def test_a_stopped_warehouse_is_started_and_that_is_said(double: Databricks, look: Look) -> None:
    """Its start is billed."""
    double.workspace.warehouses.get(WAREHOUSE_ID).is_stopped = True

    assert "was STOPPED, so this check has started it" in look("warehouse").says


def test_missing_grants_are_named_as_statements(double: Databricks, look: Look) -> None:
    """Running them is all that is needed."""
    missing = look("grants")
    for statement in missing.fix.splitlines():
        grant(double, statement)
    after = look("grants")

    assert missing.state == "warning"
    assert missing.fix.splitlines() == list(GRANTS)
    assert after.state == "ok"


def test_inherited_grants_and_grants_on_each_table_count(double: Databricks, look: Look) -> None:
    """A catalog's hold for all in it; SELECT and MODIFY may stand on every table instead."""
    make_tables(double)
    grant(double, f"GRANT USE CATALOG, USE SCHEMA, READ VOLUME ON CATALOG main TO `{CLIENT_ID}`;")
    for one in sql_dialect.tables():
        grant(double, f"GRANT SELECT, MODIFY ON TABLE main.cio.{one.name} TO `{CLIENT_ID}`;")

    result = look("grants")

    assert result.fix == f"GRANT WRITE VOLUME ON VOLUME `main`.`cio`.`events` TO `{CLIENT_ID}`;"


def test_whose_grants_must_be_known_and_seen(double: Databricks, look: Look) -> None:
    """A personal token says nothing of the app; not to see them is no failure."""
    double.faults.set(
        Fault("statement_fails", statement="SHOW GRANTS", text="[INSUFFICIENT_PERMISSIONS] no")
    )
    unseen = look("grants")
    result = look("grants", DATABRICKS_CLIENT_ID="", DATABRICKS_TOKEN="dapi-double")

    assert (result.state, unseen.state) == ("skipped", "skipped")
    assert "DATABRICKS_CLIENT_ID" in result.fix
    assert "as an admin" in unseen.fix


def test_tables_are_compared_with_sql(double: Databricks, look: Look) -> None:
    """None, all, and after somebody has changed them; the statements mend it."""
    none = look("tables"), look("properties")
    make_tables(double)
    whole = look("tables"), look("properties")
    run(double, "DROP VIEW journey_performance")
    view = look("tables")
    run(double, f"DROP TABLE {EMAIL}")
    run(double, f"CREATE TABLE {EMAIL} (event_id BIGINT, event_date DATE) USING DELTA")
    run(double, "DROP TABLE webhook_sms_events")
    broken = look("tables")

    assert [one.state for one in none] == ["warning", "skipped"]
    assert [one.state for one in whole] == ["ok", "ok"]
    assert view.state == "warning"
    assert view.fix.endswith("sql/views/06_journey_performance.sql")
    assert broken.state == "failure"
    assert "missing tables: webhook_sms_events" in broken.says
    assert f"{EMAIL}: event_id is BIGINT, not STRING" in broken.says
    add = next(line for line in broken.fix.splitlines() if line.startswith("ALTER TABLE"))
    run(double, add)
    assert "lacks" not in look("tables").says


@pytest.mark.slow
def test_views_of_an_earlier_release_are_named_with_what_replaces_them(
    double: Databricks, look: Look
) -> None:
    """They still answer, so it is a warning; the command and the files are those that help."""
    make_tables(double)
    for statement in earlier_release.catalog():
        if statement.startswith("CREATE OR REPLACE VIEW"):
            run(double, statement)
    old = look("tables")
    make_tables(double)
    new = look("tables")

    assert (old.state, new.state) == ("warning", "ok")
    assert "webhook_unrouted_events lacks workspace, body_sha256" in old.says
    assert "journey_performance lacks workspace" in old.says
    assert "`ciolake deploy --replace-views`" in old.fix
    assert "sql/views/06_journey_performance.sql" in old.fix


def test_a_table_that_is_not_serializable_is_a_failure(double: Databricks, look: Look) -> None:
    """It is a failure, because an event could stand twice; the statement mends it."""
    make_tables(double)
    held = double.workspace.catalog.get("table", ("main", "cio", EMAIL))
    held.properties["delta.isolationLevel"] = "WriteSerializable"
    isolation = look("properties")
    run(double, isolation.fix)
    held.properties["delta.enableDeletionVectors"] = "false"
    other = look("properties")

    assert isolation.state == "failure"
    assert isolation.fix == (
        f"ALTER TABLE `{EMAIL}` SET TBLPROPERTIES ('delta.isolationLevel' = 'Serializable');"
    )
    assert other.state == "warning"
    assert other.says == f"{EMAIL} lacks delta.enableDeletionVectors"


def test_the_lease_shows_whether_a_loader_runs(
    variables: dict[str, str], double: Databricks, look: Look
) -> None:
    """Never taken, silent, alive, given back, and not to be read."""
    never = look("loader")
    with closing(context_of(variables)) as context:
        lease = Lease(context.remote, f"{VOLUME}/lease", statement_seconds=301, renew_seconds=0)
        lease.take()
        silent = look("loader")
        counting = Lease(context.remote, f"{VOLUME}/lease", owner=lease.owner, renew_seconds=0.02)
        counting.take()
        alive = look("loader")
        counting.release()
        released = look("loader")
        double.faults.set(Fault("denied", "files.*", times=None))
        denied = look("loader")

    assert [one.state for one in (never, silent, alive, released, denied)] == [
        "warning",
        "failure",
        "ok",
        "warning",
        "failure",
    ]
    assert "takes over after 346 s" in silent.fix
    assert "READ VOLUME" in denied.says


def test_the_quarantine_in_the_volume_is_counted(
    double: Databricks, variables: dict[str, str], look: Look
) -> None:
    """Nothing, two stretches, and a volume that cannot be read."""
    nothing = look("quarantine")
    with closing(context_of(variables)) as context:
        for number in range(2):
            context.remote.put(f"{VOLUME}/quarantine/x.frames.{number}-9", b"abc", overwrite=True)
    kept = look("quarantine")
    double.faults.set(Fault("denied", "directories.list", times=2))
    unseen = look("quarantine")

    assert [one.state for one in (nothing, kept, unseen)] == ["ok", "warning", "skipped"]
    assert kept.says == f"2 damaged parts of the inbox (6 bytes) are in {VOLUME}/quarantine"
    assert "ciolake verify" in kept.fix
    assert "READ VOLUME" in unseen.says


def test_the_inbox_of_the_volume_is_counted(variables: dict[str, str], look: Look) -> None:
    """Objects of all instances."""
    record = Record(b"{}", datetime.now(UTC), "1", "00000000", 2)
    empty = look("inbox")
    with closing(context_of(variables)) as context:
        put_replay(context.remote, VOLUME, [record, record])
        (check,) = [one for one in checks(context) if one.name == "inbox"]
        waiting, stalled = (
            check.look(replace(context, now=lambda after=after: time.time() + after))
            for after in (14 * 60, 40 * 60)
        )

    assert [one.state for one in (empty, waiting, stalled)] == ["ok", "ok", "warning"]
    assert waiting.says.startswith("2 events")


def test_a_canary_is_found_in_the_inbox_without_a_statement(
    double: Databricks, variables: dict[str, str]
) -> None:
    """With the default interval its row comes long after the doctor; it says when."""
    with StoringReceiver(double, "main.cio.events") as receiver:
        result = canary_of(variables | {"CIO_RELAY_URL": receiver.url})

    assert result.state == "ok", result
    assert re.search(r"in the inbox of .*; its row is expected by \d\d:\d\d UTC", result.says)
    assert double.workspace.engine.received == []


def test_a_canary_that_is_not_loaded_in_time_is_a_failure(
    double: Databricks, variables: dict[str, str]
) -> None:
    """With a short interval its row is waited for, and its object stays."""
    short = variables | {"CIO_FRESHNESS_SECONDS": "0.5"}
    with StoringReceiver(double, "main.cio.events") as receiver:
        result = canary_of(short | {"CIO_RELAY_URL": receiver.url}, seconds=1)

    assert result.state == "failure"
    assert "still in the inbox of" in result.says


def test_a_canary_in_another_store_is_a_failure(
    double: Databricks, variables: dict[str, str]
) -> None:
    """Neither in this inbox nor in this table: the receiver has other settings."""
    make_tables(double)
    with StoringReceiver(
        double, "main.cio.events", lambda receiver: receiver.objects[-1].unlink()
    ) as receiver:
        result = canary_of(variables | {"CIO_RELAY_URL": receiver.url})

    assert result.state == "failure"
    assert "neither in the inbox" in result.says
    assert "CIO_VOLUME" in result.fix


def canary_of(variables: dict[str, str], seconds: float = 60.0) -> CheckResult:
    """What the check finds that posts an event."""
    with closing(context_of(variables)) as context:
        limited = replace(context, limits=WaitLimits(canary=seconds))
        (check,) = [one for one in checks(limited) if one.name == "canary"]
        return check.look(limited)


def test_rows_that_need_a_rename_and_future_rows_are_warnings(
    double: Databricks, variables: dict[str, str]
) -> None:
    """By statements to the warehouse that the doctor has just woken."""
    named = variables | {"CIO_WORKSPACES": "shop:0a1b2c3d"}
    joined = connect(named)
    lake = open_lake(joined, from_environment(named), CallTimeout())
    lake.start()
    lake.load([event("a")], batch_id="one", loaded_at=NOON)
    lake.close()
    joined.close()

    with closing(context_of(named)) as context:
        names = workspaces.workspaces(context)
        early = replace(context, now=lambda: NOON.timestamp() - 3600)
        ahead = loaded_at.loaded_at(early)

    assert "ciolake workspaces rename default shop" in names.fix
    assert (ahead.state, "3600 s ahead" in ahead.says) == ("warning", True)
    assert double.faults.counts["statement.SELECT"] >= 2
