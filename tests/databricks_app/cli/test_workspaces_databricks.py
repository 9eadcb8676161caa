"""`ciolake workspaces` on a Databricks schema, through the real protocols of a double."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from databricks_app.cli import ciolake
from databricks_app.databricks import workspace
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.lake.warehouse.connect import open_lake
from databricks_app.lake.warehouse.store import WarehouseLake
from databricks_app.settings import from_environment
from tests.doubles import Databricks
from tests.support.lake_events import NOON, RAW, event

KEY = "0a1b2c3d"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume."""
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        yield double


@pytest.fixture
def variables(double: Databricks) -> dict[str, str]:
    """The environment of a receiver that names a key."""
    return double.environment() | {
        "CIO_STORE": "databricks",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": "cio",
        "CIO_VOLUME": "events",
        "CIO_WORKSPACES": f"shop:{KEY}",
    }


@pytest.fixture
def lake(variables: dict[str, str]) -> Iterator[WarehouseLake]:
    """The lake of an instance that loads, with an event of two days each."""
    joined = workspace.connect(variables)
    settings = from_environment(variables)
    lake = open_lake(joined, settings, CallTimeout(call_seconds=20, grace_seconds=0.5))
    lake.start()
    readings = [event("a", "email/sent"), event("b", "sms/sent", days_ago=40)]
    lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=NOON)
    yield lake
    lake.close()
    joined.close()


def run(variables: dict[str, str], *words: str) -> Result:
    """Run a subcommand."""
    return CliRunner().invoke(ciolake, ["workspaces", *words], env=variables)


def names(double: Databricks, table: str) -> set[str]:
    """The workspaces of a table's rows."""
    sql = f"SELECT DISTINCT workspace FROM main.cio.{table}"
    return {str(row["workspace"]) for row in double.workspace.engine.query(sql)}


def test_rename_is_refused_while_an_instance_loads_and_done_afterwards(
    double: Databricks, variables: dict[str, str], lake: WarehouseLake
) -> None:
    """It takes the lease, changes all tables and gives the lease back."""
    refused = run(variables, "rename", "default", "shop", "--yes")
    assert names(double, RAW) == {"default"}
    lake.close()
    done = run(variables, "rename", "default", "shop", "--yes")

    assert (refused.exit_code, "Stop it" in refused.output) == (1, True)
    assert done.exit_code == 0, done.output
    assert f"{RAW}: 2 rows" in done.output
    for table in (RAW, "webhook_email_events", "webhook_sms_events"):
        assert names(double, table) == {"shop"}
    lake.start()


def test_list_shows_what_the_schema_holds(variables: dict[str, str], lake: WarehouseLake) -> None:
    """While an instance loads, too."""
    result = run(variables, "list", "--format", "jsonl")

    (found,) = [json.loads(line) for line in result.stdout.splitlines() if KEY in line]
    assert lake.lease.epoch
    assert (found["workspace"], found["listed_as"], found["events"]) == ("default", "shop", 2)
    assert "ciolake workspaces rename default shop" in result.stderr


def test_keys_are_listed_with_their_use(
    variables: dict[str, str],
    lake: WarehouseLake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the warehouse; `--no-use` asks none."""
    monkeypatch.chdir(tmp_path)
    shown = ["webhooks", "keys", "--format", "jsonl"]

    result = CliRunner().invoke(ciolake, shown, env=variables)
    without = CliRunner().invoke(ciolake, [*shown, "--no-use"], env=variables)

    (found,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert lake.lease.epoch
    assert (found["fingerprint"], found["key"], found["events"]) == (KEY, "retired", 2)
    assert found["first_use"].startswith("2026-11-22")
    assert json.loads(without.stdout)["events"] is None
