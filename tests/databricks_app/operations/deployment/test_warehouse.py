"""`ciolake deploy --warehouse new`: auto-stop, tag, price, and who may stop it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from databricks.sdk import WorkspaceClient

from databricks_app.cli.deploy import deploy
from databricks_app.operations.costs import prices
from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks, Fault
from tests.support.deploying import empty_workspace, few_sources
from tests.support.paths import ROOT

NAME = "ciolake-loader"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a catalog and a warehouse of others."""
    with empty_workspace(tmp_path) as double:
        yield double


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sources that are quickly uploaded."""
    return few_sources(tmp_path / "sources")


@pytest.fixture
def run(double: Databricks, folder: Path) -> Callable[..., Result]:
    """Run the command: `run("new", *options)`."""

    def run(warehouse: str, *options: str) -> Result:
        fixed = ["--catalog", "main", "--warehouse", warehouse, "--source", str(folder)]
        env = {"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN}
        env |= {"CIO_WEBHOOK_SIGNING_KEYS": "test-signing-key"}
        return CliRunner().invoke(deploy, [*fixed, "--no-proof", *options], env=env)

    return run


def made(double: Databricks) -> dict[str, Any]:
    """The settings of the warehouse that was made."""
    (one,) = [
        one for one in double.workspace.warehouses.held.values() if one.settings["name"] == NAME
    ]
    return {"id": one.id, **one.settings}


def app_yaml(double: Databricks) -> str:
    """The uploaded app.yaml."""
    client = WorkspaceClient(host=double.url, token=TOKEN)
    home = f"/Workspace/Users/{client.current_user.me().user_name}"
    with client.workspace.download(f"{home}/ciolake/ciolake/source/app.yaml") as file:
        return file.read().decode()


@pytest.mark.parametrize(
    ("least", "clamps", "kept", "words"),
    [
        (1, False, 1, "auto-stop 1 min"),
        (5, False, 5, "auto-stop 5 min"),
        (10, False, 10, "auto-stop 10 min. USD a month: about 1,049"),
        (5, True, 5, "auto-stop 5 min, although 1 min were accepted"),
    ],
)
def test_the_least_auto_stop_that_the_platform_takes_is_set_and_read_back(
    double: Databricks, run: Callable[..., Result], least: int, clamps: bool, kept: int, words: str
) -> None:
    """One warehouse, serverless and small, with our tag; what it really has is printed."""
    double.workspace.warehouses.least_auto_stop = least
    double.workspace.warehouses.clamps = clamps

    result = run("new")

    assert result.exit_code == 0, result.output
    found = made(double)
    assert (found["auto_stop_mins"], found["cluster_size"]) == (kept, prices.LEAST_SIZE)
    assert found["enable_serverless_compute"] is True
    assert found["tags"] == {"custom_tags": [{"key": "ciolake", "value": "loader"}]}
    assert words in result.output


def test_another_run_uses_the_same_warehouse(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """It is found by its name and tag, and nothing changes."""
    run("new")
    double.faults.reset_counts()

    again = run("new")

    assert again.exit_code == 0, again.output
    assert "changed" not in again.output
    assert "warehouses.create" not in double.faults.counts
    resource = double.workspace.apps.held["ciolake"].given["resources"][0]["sql_warehouse"]
    assert resource == {"id": made(double)["id"], "permission": "CAN_USE"}


def test_a_dry_run_makes_no_warehouse(double: Databricks, run: Callable[..., Result]) -> None:
    """It says that it would, and what that costs."""
    result = run("new", "--dry-run")

    assert result.exit_code == 0, result.output
    assert f"create the serverless warehouse {NAME}" in result.output
    assert len(double.workspace.warehouses.held) == 1


def test_a_warehouse_of_that_name_that_is_not_ours_is_left_alone(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """Without our tag somebody else may use it."""
    double.workspace.warehouses.make({"name": NAME, "cluster_size": "Large"})

    result = run("new")

    assert result.exit_code == 1
    assert "without the tag ciolake=loader" in result.output
    assert "catalog.create" not in double.faults.counts


def test_a_loader_that_stops_the_warehouse_may_manage_it(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """Only then, and a later run without the option keeps the choice."""
    results = [run("new", "--stop-warehouse"), run("new")]

    assert [one.exit_code for one in results] == [0, 0], results[0].output
    resource = double.workspace.apps.held["ciolake"].given["resources"][0]["sql_warehouse"]
    assert resource["permission"] == "CAN_MANAGE"
    assert '- name: CIO_WAREHOUSE_STOP\n    value: "on"' in app_yaml(double)
    assert "the loader stops it" in results[1].output


def test_a_warehouse_of_others_is_never_stopped(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """The option is refused before anything is made."""
    result = run(WAREHOUSE_ID, "--stop-warehouse")

    assert result.exit_code == 1
    assert "was not made for the loader" in result.output
    assert "catalog.create" not in double.faults.counts


def test_the_price_comes_before_anything_is_made(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """With freshness, auto-stop and the date of the prices; also if a later step fails."""
    double.faults.set(Fault("denied", "catalog.create"))

    result = run(WAREHOUSE_ID, "--freshness", "3600")

    assert result.exit_code == 1
    assert "about 163 at 1 event in 3 min, 218 at 20/s, 844 at 200/s" in result.output
    assert "2X-Small, freshness 3600 s, auto-stop 5 min" in result.output
    assert prices.AS_OF in result.output


def test_freshness_is_written_and_kept(
    double: Databricks, run: Callable[..., Result], folder: Path
) -> None:
    """A later run without the option keeps it; a value in the checkout's app.yaml wins."""
    results = [run(WAREHOUSE_ID, "--freshness", "3600"), run(WAREHOUSE_ID, "--yes")]
    kept = app_yaml(double)
    local = folder / "app.yaml"
    local.write_text(local.read_text().replace('"900"', '"120"'))
    results.append(run(WAREHOUSE_ID))

    assert [one.exit_code for one in results] == [0, 0, 0], results[-1].output
    assert '- name: CIO_FRESHNESS_SECONDS\n    value: "3600"' in kept
    assert '- name: CIO_FRESHNESS_SECONDS\n    value: "120"' in app_yaml(double)


def test_a_freshness_in_app_yaml_that_is_no_number_is_refused(
    run: Callable[..., Result], folder: Path
) -> None:
    """Before anything is made, and with the name of the setting."""
    local = folder / "app.yaml"
    local.write_text(local.read_text().replace('"900"', '"soon"'))

    result = run(WAREHOUSE_ID, "--dry-run")

    assert result.exit_code == 1
    assert "CIO_FRESHNESS_SECONDS" in result.output


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"enable_serverless_compute": False}, "not serverless"),
        ({"cluster_size": "4X-Large"}, "no price for a warehouse of the size 4X-Large"),
        ({"auto_stop_mins": 0}, "it never stops"),
    ],
)
def test_what_has_no_known_price_is_said(
    double: Databricks, run: Callable[..., Result], settings: dict[str, Any], words: str
) -> None:
    """A figure that would be wrong is not printed."""
    double.workspace.warehouses.get(WAREHOUSE_ID).settings |= settings

    assert words in run(WAREHOUSE_ID, "--dry-run").output


def test_destroy_removes_the_warehouse_that_was_made(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """After the tables, whose removal needs it."""
    run("new")

    result = run("new", "--destroy", "--tables", "--yes")

    assert result.exit_code == 0, result.output
    assert list(double.workspace.warehouses.held) == [WAREHOUSE_ID]


def test_a_terminal_is_asked_for_freshness_and_stop(double: Databricks, folder: Path) -> None:
    """The defaults are what is set; the price is that of the answer."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "databricks_app", "deploy", "--catalog", "main", "--dry-run"]
    command += ["--warehouse", "new", "--source", str(folder), "--no-proof"]
    env = os.environ | {"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN}
    os.write(ours, b"3600\ny\n")
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdin=theirs, capture_output=True, text=True, check=False
    )
    for one in (ours, theirs):
        with suppress(OSError):
            os.close(one)

    assert done.returncode == 0, done.stderr
    assert "in seconds? Less costs more [900]" in done.stdout
    assert "freshness 3600 s, the loader stops it" in done.stdout
