"""`ciolake deploy` against the double of a workspace, with the unmodified SDK."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from databricks.sdk import WorkspaceClient

from databricks_app.cli.deploy import deploy
from databricks_app.errors import DeploymentError
from databricks_app.lake import sql_dialect
from databricks_app.operations.deployment import plan, source
from databricks_app.operations.deployment.target_workspace import TargetWorkspace
from databricks_app.setting_table import SETTINGS
from databricks_app.settings import from_environment
from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks, Fault
from tests.support.deploying import copy_files, empty_workspace

KEY = "test-signing-key"
WRITES = [
    ("catalog.create", 0),
    ("catalog.create", 0),
    ("statements.execute", 0),
    ("statements.execute", 9),
    ("secrets.create_scope", 0),
    ("secrets.put", 0),
    ("apps.create", 0),
    ("grants.update", 0),
    ("grants.update", 9),
    ("workspace.mkdirs", 0),
    ("workspace.import", 0),
    ("workspace.import", 9),
    ("apps.deploy", 0),
    ("apps.get_deployment", 0),
]


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a catalog and a warehouse, and nothing else."""
    with empty_workspace(tmp_path) as double:
        yield double


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of what is deployed, which nobody edits meanwhile."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("databricks_app", "core", "sql"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source.ROOT / name, folder / name, ignore=ignored)
    copy_files(folder)
    return folder


@pytest.fixture
def run(
    double: Databricks, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run the command as the deployer: `run(*options)`."""
    for name in ("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def run(*options: str, env: dict[str, str | None] | None = None, text: str = "") -> Result:
        fixed = ["--catalog", "main", "--warehouse", WAREHOUSE_ID, "--source", str(sources)]
        variables = {"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN}
        return CliRunner().invoke(
            deploy,
            [*fixed, *options],
            env=variables | {"CIO_WEBHOOK_SIGNING_KEYS": KEY} | (env or {}),
            input=text,
        )

    return run


def written(double: Databricks) -> set[str]:
    """Operations that changed something since the counters were reset."""
    verbs = ("create", "update", "put", "delete", "deploy", "import", "mkdirs", "start", "execute")
    return {one for one in double.faults.counts if one.rpartition(".")[2] in verbs}


def test_deploy_makes_everything_and_then_nothing(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """After one run all is there; a second one changes nothing."""
    first = run("--no-proof", "--relay", "relay-id")
    double.faults.reset_counts()
    again = run("--no-proof", "--relay", "relay-id")

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert written(double) == set()
    assert "changed" not in again.output
    catalog = double.workspace.catalog
    for table in sql_dialect.tables():
        assert catalog.find("table", ("main", "customerio", table.name))
    assert double.workspace.scopes["ciolake"].secrets["signing-keys"][0] == KEY.encode()
    assert KEY not in first.output
    app = double.workspace.apps.held["ciolake"]
    assert [one["name"] for one in app.given["resources"]] == [
        "warehouse",
        "signing-keys",
        "volume",
    ]
    entry = double.workspace.permissions["apps/ciolake"][0]
    assert (entry["service_principal_name"], entry["permission_level"]) == ("relay-id", "CAN_USE")


def test_the_app_is_granted_exactly_what_it_needs(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """It reads and writes its tables and volume, and makes or changes none."""
    run("--no-proof")

    app = double.workspace.apps.held["ciolake"].given["service_principal_client_id"]
    catalog = double.workspace.catalog
    table = ("main", "customerio", "webhook_raw_events")
    view = ("main", "customerio", "webhook_unrouted_events")
    held = {
        "catalog": catalog.get("catalog", ("main",)).grants[app],
        "schema": catalog.get("schema", ("main", "customerio")).grants[app],
        "volume": catalog.get("volume", ("main", "customerio", "ciolake")).grants[app],
        "table": catalog.get("table", table).grants[app],
        "view": catalog.get("view", view).grants[app],
    }
    assert held == {
        "catalog": {"USE_CATALOG"},
        "schema": {"USE_SCHEMA"},
        "volume": {"READ_VOLUME", "WRITE_VOLUME"},
        "table": {"SELECT", "MODIFY"},
        "view": {"SELECT"},
    }


def test_a_dry_run_writes_nothing(double: Databricks, run: Callable[..., Result]) -> None:
    """It says what would be done in an empty workspace, and does none of it."""
    result = run("--dry-run")

    assert result.exit_code == 0, result.output
    assert written(double) == set()
    assert "create table webhook_raw_events" in result.output
    assert "create app ciolake" in result.output
    assert result.output.endswith("Nothing was changed.\n")


@pytest.mark.slow
def test_another_run_continues_after_any_failure(
    double: Databricks, sources: Path, run: Callable[..., Result]
) -> None:
    """Each call that matters fails in turn; the next run goes on from there."""
    for operation, skip in WRITES:
        double.faults.set(Fault("error", operation=operation, skip=skip))
        result = run("--no-proof")
        assert result.exit_code == 1, f"{operation} {skip}: {result.output}"
        assert "run this again" in result.output
        double.faults.clear()

    result = run("--no-proof")

    assert result.exit_code == 0, result.output
    tree = double.workspace.tree_dir / "Users/admin@example.com/ciolake/ciolake/source"
    uploaded = {p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file()}
    assert uploaded == set(source_files(sources))


def source_files(root: Path) -> dict[str, bytes]:
    """What is to be uploaded for the default target."""
    target = plan.Target("ciolake", "main", "customerio", "ciolake", WAREHOUSE_ID, "ciolake")
    return source.read(target, root)


def test_a_missing_permission_is_told_in_words(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """The text says which right the deployer lacks."""
    double.faults.set(Fault("denied", operation="catalog.create", times=None))

    result = run("--no-proof")

    assert result.exit_code == 1
    assert "CREATE SCHEMA on the catalog main" in result.output


def test_a_failed_deployment_shows_the_platforms_message(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """What the platform says is what the operator reads; the next run deploys again."""
    double.workspace.apps.deployment_fails = "requirements could not be installed"
    failed = run("--no-proof")
    double.workspace.apps.deployment_fails = ""
    again = run("--no-proof")

    assert failed.exit_code == 1
    assert "requirements could not be installed" in failed.output
    assert again.exit_code == 0, again.output


def test_new_keys_are_deployed_without_an_upload(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """An app reads its keys when it is deployed."""
    run("--no-proof")
    app = double.workspace.apps.held["ciolake"]
    double.faults.reset_counts()

    result = run("--no-proof", "--rotate-keys", env={"CIO_WEBHOOK_SIGNING_KEYS": "new, old"})

    assert result.exit_code == 0, result.output
    assert double.workspace.scopes["ciolake"].secrets["signing-keys"][0] == b"new,old"
    assert double.faults.counts["workspace.import"] == 1  # the note of the deployment
    assert len(app.deployments) == 2


def test_destroy_asks_and_keeps_the_tables(double: Databricks, run: Callable[..., Result]) -> None:
    """A wrong name removes nothing; the right one removes app, source and keys."""
    run("--no-proof")

    refused = run("--destroy", text="other\n")
    assert refused.exit_code == 1
    assert "ciolake" in double.workspace.apps.held
    kept = run("--destroy", text="ciolake\n")
    assert kept.exit_code == 0, kept.output
    assert not double.workspace.apps.held
    assert not double.workspace.scopes
    assert double.workspace.catalog.find("table", ("main", "customerio", "webhook_raw_events"))

    result = run("--destroy", "--tables", "--yes")

    assert result.exit_code == 0, result.output
    assert double.workspace.catalog.inside("table", ("main", "customerio")) == []


def test_files_that_are_no_longer_part_of_it_are_removed(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """A module of an older version stays nowhere; what did not change is not sent again."""
    run("--no-proof")
    folder = double.workspace.tree_dir / "Users/admin@example.com/ciolake/ciolake"
    note = json.loads((folder / "uploaded.json").read_text())
    (folder / "uploaded.json").write_text(
        json.dumps(note | {"core/old.py": "0", "core/gone.py": "0", "app.yaml": "0"})
    )
    (folder / "source/core/old.py").write_text("")
    double.faults.reset_counts()

    result = run("--no-proof")

    assert "upload 1 of" in result.output
    assert "and remove 2 files" in result.output
    assert not (folder / "source/core/old.py").exists()
    assert json.loads((folder / "uploaded.json").read_text()) == note
    assert double.faults.counts["workspace.import"] == 3  # the file, and the note twice


@pytest.mark.slow
def test_a_lost_answer_is_mended_by_another_run(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """What was made, although nobody heard of it, is taken as it is."""
    for operation in ("catalog.create", "secrets.create_scope", "apps.create", "apps.deploy"):
        double.faults.set(Fault("reset_after", operation=operation))
        run("--no-proof")
        double.faults.clear()

    result = run("--no-proof")

    assert result.exit_code == 0, result.output
    assert len(double.workspace.apps.held) == 1


def test_an_app_that_is_being_deleted_is_not_waited_for(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """It will not come back; another run makes it anew."""
    run("--no-proof")
    apps = double.workspace.apps
    apps.held["ciolake"].compute = apps.changing("DELETING", "DELETING")

    result = run("--no-proof")

    assert result.exit_code == 1
    assert "is being deleted" in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--warehouse", "none"], "no SQL warehouse"), (["--catalog", "none"], "no catalog none")],
)
def test_what_must_be_there_is_looked_for_first(
    double: Databricks, run: Callable[..., Result], options: list[str], words: str
) -> None:
    """A wrong name is told before anything is made."""
    result = run(*options)

    assert result.exit_code == 1
    assert words in result.output
    assert written(double) == set()


def test_a_refused_login_is_told_in_words(run: Callable[..., Result]) -> None:
    """The text says which variables log in, and holds no token."""
    result = run(env={"DATABRICKS_TOKEN": "wrong-token"})

    assert result.exit_code == 1
    assert "refuses the login" in result.output
    assert "wrong-token" not in result.output


@pytest.mark.parametrize(
    ("keys", "words"), [(None, "--keys-fd"), ('"quoted key"', "CIO_WEBHOOK_SIGNING_KEYS")]
)
def test_keys_that_are_missing_or_wrong_are_an_error_before_anything_is_made(
    double: Databricks, run: Callable[..., Result], keys: str | None, words: str
) -> None:
    """Nothing is made up where nobody can be asked."""
    result = run("--no-proof", env={"CIO_WEBHOOK_SIGNING_KEYS": keys})

    assert result.exit_code == 1
    assert words in result.output
    assert written(double) == set()


@pytest.mark.parametrize("options", [["--app", "No_Name"], ["--schema", "a b"], ["--tables"]])
def test_wrong_usage_is_told_before_anything_is_asked(
    double: Databricks, run: Callable[..., Result], options: list[str]
) -> None:
    """Names that the platform or the receiver would refuse go no further."""
    result = run(*options)

    assert result.exit_code == 2
    assert not double.faults.counts


def test_a_statement_that_is_denied_is_told_in_words(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """The warehouse answers 200 and fails the statement; the right is named all the same."""
    text = "[INSUFFICIENT_PERMISSIONS] User does not have permission CREATE TABLE"
    double.faults.set(Fault("statement_fails", statement="CREATE TABLE", text=text, times=None))

    result = run("--no-proof")

    assert result.exit_code == 1
    assert "CREATE TABLE on main.customerio" in result.output


def test_keys_come_from_a_file_descriptor(double: Databricks, run: Callable[..., Result]) -> None:
    """So they stand neither on the command line nor in the environment."""
    reading, writing = os.pipe()
    os.write(writing, b"piped\n")
    os.close(writing)

    run("--no-proof", "--keys-fd", str(reading), env={"CIO_WEBHOOK_SIGNING_KEYS": None})

    assert double.workspace.scopes["ciolake"].secrets["signing-keys"][0] == b"piped"


@pytest.mark.slow
def test_a_stopped_app_is_started_and_waited_for(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """What an admin stopped runs again; what it takes is waited for."""
    run("--no-proof")
    app = double.workspace.apps.held["ciolake"]
    app.compute = double.workspace.apps.changing("STOPPING", "STOPPED")
    double.workspace.apps.compute_seconds = 0.3

    result = run("--no-proof")

    assert result.exit_code == 0, result.output
    assert "waiting for the app's compute" in result.output
    assert app.compute.shown()["state"] == "ACTIVE"


def test_an_app_that_accepts_no_event_fails_the_deployment(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """The last answer is told, and where to look."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    double.workspace.apps.urls["ciolake"] = f"http://127.0.0.1:{port}"

    result = run("--timeout", "0.1")

    assert result.exit_code == 1
    assert "its last answer: ConnectError" in result.output
    assert "log in with OAuth" in result.output


@pytest.mark.slow
def test_the_uploaded_tree_runs_and_the_proof_passes(
    double: Databricks, run: Callable[..., Result], tmp_path: Path
) -> None:
    """Started as the platform would, from the upload alone; the event reaches the table."""
    assert run("--no-proof").exit_code == 0
    uploaded = double.workspace.tree_dir / "Users/admin@example.com/ciolake/ciolake/source"
    folder = shutil.copytree(uploaded, tmp_path / "app")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    double.workspace.apps.urls["ciolake"] = f"http://127.0.0.1:{port}"

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *app_command(folder)[1:]],
            cwd=folder,
            env=app_environment(double, folder, port),
            stdout=log,
            stderr=log,
        )
        try:
            first = run("--timeout", "60")
            again = run("--timeout", "60")
        finally:
            process.terminate()
            status = process.wait(20)

    assert first.exit_code == 0, first.output + (tmp_path / "log").read_text()
    assert "proof             ok" in again.output
    assert status == 0
    # Byte code beside the sources: web server and loader ran from the upload itself.
    assert {"app", "loader", "worker"} <= {
        path.name.partition(".")[0] for path in (folder / "databricks_app").rglob("*.pyc")
    }


def app_entries(folder: Path) -> list[tuple[str, str, str]]:
    """Name, `value` or `valueFrom`, and its text, of each variable of app.yaml."""
    text = (folder / "app.yaml").read_text()
    return re.findall(r'- name: (\w+)\n +(value|valueFrom): "([^"]*)"', text)


def app_command(folder: Path) -> list[str]:
    """The command of app.yaml."""
    found = re.search(r"^command: (\[.*\])$", (folder / "app.yaml").read_text(), re.MULTILINE)
    assert found is not None
    return [str(one) for one in json.loads(found[1])]


def app_environment(double: Databricks, folder: Path, port: int) -> dict[str, str]:
    """What the platform gives an app: its identity, its port, and app.yaml with its resources."""
    app = double.workspace.apps.held["ciolake"].given
    client = app["service_principal_client_id"]
    resources = {
        "warehouse": app["resources"][0]["sql_warehouse"]["id"],
        "signing-keys": double.workspace.scopes["ciolake"].secrets["signing-keys"][0].decode(),
    }
    return {
        "PATH": os.environ["PATH"],
        "DATABRICKS_APP_NAME": "ciolake",
        "DATABRICKS_APP_PORT": str(port),
        "DATABRICKS_HOST": double.url,
        "DATABRICKS_CLIENT_ID": client,
        "DATABRICKS_CLIENT_SECRET": double.workspace.tokens.clients[client],
    } | {
        name: resources[text] if kind == "valueFrom" else text
        for name, kind, text in app_entries(folder)
    }


def test_app_yaml_agrees_with_settings_and_resources() -> None:
    """It names settings that exist, resources that the app is given, and no secret."""
    entries = app_entries(source.ROOT)
    known = {setting.name for setting in SETTINGS}
    given = {plan.WAREHOUSE_RESOURCE, plan.KEYS_RESOURCE, plan.VOLUME_RESOURCE}

    assert {name for name, _, _ in entries} <= known
    assert {text for _, kind, text in entries if kind == "valueFrom"} <= given
    assert all(kind == "valueFrom" for name, kind, _ in entries if "KEY" in name or "TOKEN" in name)
    assert app_command(source.ROOT) == ["python", "-m", "databricks_app", "serve"]
    settings = from_environment({name: text for name, kind, text in entries if kind == "value"})
    assert settings.volume_path == "/Volumes/main/customerio/ciolake"
    bundle = (source.ROOT / "databricks.yml").read_text()
    assert given == set(re.findall(r"^        - name: (\S+)$", bundle, re.MULTILINE))


def test_only_what_the_app_needs_is_uploaded(sources: Path) -> None:
    """No tests, data, environment file or byte code."""
    (sources / ".env").write_text("secret")
    (sources / "core/.env").write_text("secret")
    (sources / "core/x.pyc").write_bytes(b"")

    files = source_files(sources)

    assert {"app.yaml", "requirements.txt", "pyproject.toml"} <= files.keys()
    assert {path.partition("/")[0] for path in files if "/" in path} == {
        "core",
        "databricks_app",
        "sql",
    }
    assert not [path for path in files if path.endswith(".pyc") or "/." in path]


def test_the_bundle_uploads_the_same_files() -> None:
    """The Databricks CLI leaves out what we leave out, but for the commands that need it."""
    given = yaml.safe_load((source.ROOT / "databricks.yml").read_text())["sync"]["include"]
    uploaded = {
        path.relative_to(source.ROOT).as_posix()
        for pattern in given
        for path in source.ROOT.glob(f"{pattern}/*" if pattern.endswith("**") else pattern)
        if path.suffix == ".py" and path.is_file()
    }
    ours = {path for path in source_files(source.ROOT) if path.endswith(".py")}

    assert {path.rpartition("/")[0] for path in uploaded - ours} == {"databricks_app/cli"}
    assert ours <= uploaded


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"x" * 10_000_001, "10 MB"), (b"# Databricks notebook source\n", "notebook")],
)
def test_files_that_the_platform_refuses_are_refused_first(content: bytes, word: str) -> None:
    """Before anything is uploaded, with the file's name."""
    said = plan.refusal("a.py", content)

    assert said is not None
    assert "a.py" in said
    assert word in said


def test_a_table_without_a_column_gets_it() -> None:
    """Missing columns are added in one statement; nothing is made twice."""
    raw = sql_dialect.table("webhook_raw_events")
    there = {raw.name: frozenset(raw.column_names) - {"body_bytes"}}

    changes = plan.table_changes([raw], there)

    assert [words for words, _ in changes] == ["add to webhook_raw_events: body_bytes"]
    assert changes[0][1].startswith("ALTER TABLE `webhook_raw_events` ADD COLUMNS (`body_bytes`")


def test_outside_a_checkout_nothing_is_uploaded(tmp_path: Path) -> None:
    """An installed package has no app.yaml beside it."""
    target = plan.Target("a", "main", "s", "v", "w", "a")

    with pytest.raises(DeploymentError, match=r"app\.yaml"):
        source.read(target, tmp_path)


def test_an_app_yaml_without_the_names_is_refused(sources: Path) -> None:
    """The app would look for its tables elsewhere."""
    path = sources / "app.yaml"
    path.write_text(path.read_text().replace("CIO_CATALOG", "CIO_OTHER"))

    with pytest.raises(DeploymentError, match="CIO_CATALOG"):
        source_files(sources)


def test_a_refused_file_stops_the_deployment_first(
    double: Databricks, sources: Path, run: Callable[..., Result]
) -> None:
    """Nothing is made where the source could not be brought there."""
    (sources / "core/book.py").write_text("# Databricks notebook source\n")

    result = run()

    assert result.exit_code == 1
    assert "core/book.py begins like a notebook" in result.output
    assert written(double) == set()


def test_another_scope_changes_the_apps_resources(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """What the app was given is brought up to date; what others gave it stays."""
    run("--no-proof")
    given = double.workspace.apps.held["ciolake"].given
    other = {"name": "other", "job": {"id": "1", "permission": "CAN_VIEW"}}
    given["resources"].append(other)

    result = run("--no-proof", "--scope", "elsewhere")

    assert "give the app signing-keys" in result.output
    assert given["resources"][1]["secret"]["scope"] == "elsewhere"
    assert given["resources"][3] == other


def test_a_statement_is_waited_for(double: Databricks) -> None:
    """A warehouse that starts takes longer than one call."""
    double.faults.set(Fault("statement_slow", statement="SELECT 1", seconds=0.3))
    client = WorkspaceClient(host=double.url, token=TOKEN)
    target = plan.Target("a", "main", "default", "v", WAREHOUSE_ID, "a")
    workspace = TargetWorkspace(client, target, poll_seconds=0.05, wait="0s")

    assert workspace.sql("SELECT 1") == [["1"]]
    assert double.faults.counts["statements.get"] > 1
