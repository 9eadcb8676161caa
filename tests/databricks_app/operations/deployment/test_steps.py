"""The steps of `ciolake deploy` one by one: terminal, profile, proof, and what goes wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread, Timer

import pytest
import requests
from click.testing import CliRunner, Result
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import AlreadyExists, InternalError, PermissionDenied
from databricks.sdk.errors.platform import Unauthenticated

from databricks_app.cli.deploy import deploy
from databricks_app.errors import DeploymentError
from databricks_app.operations.deployment import (
    plan,
    proof,
    release,
    remove,
    runner,
    source,
    steps,
)
from databricks_app.operations.deployment.runner import Note, PlannedChange, Step
from databricks_app.operations.deployment.target_workspace import TargetWorkspace
from databricks_app.settings import from_environment
from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks, Fault
from tests.support.deploying import empty_workspace, few_sources
from tests.support.storing import StoringReceiver

KEY = "test-signing-key"
TARGET = plan.Target("ciolake", "main", "customerio", "ciolake", WAREHOUSE_ID, "ciolake")
FILES = {"app.yaml": b"", "core/x.py": b""}
SETTINGS = from_environment({"CIO_STORE": "databricks", **TARGET.variables})
# Runs a command in a controlling terminal of its own; its pipes are keyboard and screen.
TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a catalog and a warehouse, and nothing else."""
    with empty_workspace(tmp_path) as double:
        yield double


@pytest.fixture
def workspace(double: Databricks) -> TargetWorkspace:
    """The workspace; waits are short."""
    client = WorkspaceClient(host=double.url, token=TOKEN)
    return TargetWorkspace(client, TARGET, seconds=0.5, poll_seconds=0.02)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Options of the command, with sources that are quickly uploaded."""
    folder = few_sources(tmp_path / "sources")
    return ["--catalog", "main", "--warehouse", WAREHOUSE_ID, "--source", str(folder)]


def silent(*_: object) -> None:
    """Hear nothing."""


def stored(double: Databricks) -> bytes:
    """The signing keys that the double holds."""
    return double.workspace.scopes["ciolake"].secrets["signing-keys"][0]


def test_keys_that_are_typed_are_stored_and_not_shown(
    double: Databricks, options: list[str], tmp_path: Path
) -> None:
    """A real terminal, a real process: the screen shows the question and nothing of the answer."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DATABRICKS_HOST": double.url,
        "DATABRICKS_TOKEN": TOKEN,
    }
    command = [sys.executable, "-m", "databricks_app", "deploy", *options, "--no-proof", "--yes"]
    with subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *command],
        cwd=source.ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        screen = b""
        while b"Signing keys of Customer.io" not in screen:
            read = os.read(process.stdout.fileno(), 4096)
            assert read, screen.decode()
            screen += read
        process.stdin.write(f"{KEY}\n".encode())
        process.stdin.flush()
        while read := os.read(process.stdout.fileno(), 4096):
            screen += read
        status = process.wait(30)

    assert status == 0, screen.decode()
    assert stored(double) == KEY.encode()
    assert KEY.encode() not in screen


def invoke(options: list[str], **env: str | None) -> Result:
    """Run the command with these variables alone."""
    cleared = dict.fromkeys(one for one in os.environ if one.startswith(("DATABRICKS_", "CIO_")))
    return CliRunner().invoke(deploy, options, env=cleared | env)


def test_a_profile_logs_in(double: Databricks, options: list[str], tmp_path: Path) -> None:
    """Of `~/.databrickscfg`, with no variable set."""
    (tmp_path / ".databrickscfg").write_text(
        f"[DEFAULT]\nhost = http://127.0.0.1:1\n[staging]\nhost = {double.url}\ntoken = {TOKEN}\n"
    )

    result = invoke([*options, "--dry-run", "--profile", "staging"], HOME=str(tmp_path))
    wrong = invoke([*options, "--dry-run", "--profile", "none"], HOME=str(tmp_path))

    assert result.exit_code == 0, result.output
    assert "create app ciolake" in result.output
    assert wrong.exit_code == 1
    assert "there is no profile none" in wrong.output


def test_blank_keys_are_refused(double: Databricks, options: list[str]) -> None:
    """Commas alone are no key, and no app is made."""
    variables = {"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN}

    result = invoke([*options, "--no-proof"], **variables, CIO_WEBHOOK_SIGNING_KEYS=" , ")

    assert result.exit_code == 1
    assert "the signing keys are blank" in result.output
    assert not double.workspace.apps.held


@pytest.fixture
def deployed(workspace: TargetWorkspace) -> TargetWorkspace:
    """The workspace with everything of a deployment but a running app."""
    app, _, upload, deployment = release.steps(workspace, FILES)
    first = [
        *steps.storage(workspace),
        steps.keys(workspace, lambda: KEY),
        app,
        steps.rights(workspace),
    ]
    runner.run([*first, upload, deployment], silent)
    return workspace


def store(workspace: TargetWorkspace, double: Databricks, event_id: str) -> None:
    """Put a row of this id into the raw table."""
    plain = {
        "BOOLEAN": "false",
        "DATE": "DATE '2026-11-01'",
        "STRING": f"'{event_id}'",
        "TIMESTAMP": "TIMESTAMP '2026-11-01 00:00:00'",
    }
    held = double.workspace.catalog.get("table", ("main", "customerio", "webhook_raw_events"))
    needed = [one for one in held.columns if not one.nullable or one.name == "event_id"]
    names = ", ".join(one.name for one in needed)
    values = ", ".join(plain.get(one.type, "0") for one in needed)
    workspace.sql(f"INSERT INTO webhook_raw_events ({names}) VALUES ({values})")


@contextmanager
def answering(
    workspace: TargetWorkspace, double: Databricks, *statuses: int
) -> Iterator[list[bytes]]:
    """An app that answers with these, the last ever after; what it answers 200 is in the table."""
    bodies: list[bytes] = []
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = left.pop(0) if len(left) > 1 else left[0]
            if status == 200:
                bodies.append(body)
                store(workspace, double, json.loads(body)["event_id"])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    double.workspace.apps.urls["ciolake"] = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_proof_sends_one_event_until_it_is_taken_and_then_no_more(
    deployed: TargetWorkspace, double: Databricks
) -> None:
    """An app that starts answers 503 for a while; a deployment is proven once."""
    deployed.seconds = 20
    with answering(deployed, double, 503, 200) as bodies:
        first = runner.run([proof.step(deployed, SETTINGS)], silent)
        again = runner.run([proof.step(deployed, SETTINGS)], silent)

    assert (first, again) == (True, False)
    assert [json.loads(body)["object_type"] for body in bodies] == ["ciolake"]


VOLUME = "main.customerio.ciolake"
ASKED = "FROM webhook_raw_events WHERE event_id"


def asked(double: Databricks) -> list[str]:
    """Questions for a row of the proof."""
    return [one for one in double.workspace.engine.received if ASKED in one]


def test_a_deploy_ends_with_the_event_in_the_inbox(double: Databricks, options: list[str]) -> None:
    """The row comes up to 15 minutes later: it says when, and asks no warehouse for it."""
    variables = {"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN}
    with StoringReceiver(double, VOLUME) as app:
        double.workspace.apps.urls["ciolake"] = app.url
        began = time.monotonic()
        first = invoke([*options, "--timeout", "5"], **variables, CIO_WEBHOOK_SIGNING_KEYS=KEY)
        took = time.monotonic() - began
        heard = len(double.workspace.engine.received)
        again = invoke([*options, "--timeout", "5"], **variables)

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert re.search(r"in the inbox of .*; its row is expected by \d\d:\d\d UTC", first.output)
    assert took < 30
    assert asked(double) == []
    assert len(double.workspace.engine.received) == heard  # another run wakes no warehouse at all
    assert "proof             ok" in again.output
    assert len(app.bodies) == 1


def test_a_deploy_that_waits_asks_once_the_object_is_gone(
    deployed: TargetWorkspace, double: Databricks
) -> None:
    """Before and after, and never in between."""
    said: list[str] = []
    deployed.on_progress = said.append

    def load(receiver: StoringReceiver) -> None:
        store(deployed, double, json.loads(receiver.bodies[-1])["event_id"])
        Timer(0.3, receiver.objects[-1].unlink).start()

    with StoringReceiver(double, VOLUME, load) as app:
        double.workspace.apps.urls["ciolake"] = app.url
        first = runner.run([proof.step(deployed, SETTINGS, waits=True)], silent)
        again = runner.run([proof.step(deployed, SETTINGS, waits=True)], silent)

    assert (first, again) == (True, False)
    assert len(asked(double)) == 3
    assert double.faults.counts["directories.list"] > 5
    assert re.fullmatch(r"waiting for the row, expected by \d\d:\d\d UTC", said[-1])


def test_an_event_that_is_stored_elsewhere_fails_the_proof(
    deployed: TargetWorkspace, double: Databricks
) -> None:
    """The answer 200 alone proves nothing: the app may use another volume."""
    with StoringReceiver(double, VOLUME, lambda app: app.objects[-1].unlink()) as app:
        double.workspace.apps.urls["ciolake"] = app.url
        with pytest.raises(DeploymentError, match=r"neither in the inbox .* nor in"):
            runner.run([proof.step(deployed, SETTINGS)], silent)


def test_the_uploaded_app_yaml_lets_the_warehouse_sleep(tmp_path: Path) -> None:
    """Its interval is said, not only the default of this version."""
    files = source.read(TARGET, few_sources(tmp_path / "few"))

    assert b'- name: CIO_FRESHNESS_SECONDS\n    value: "900"' in files["app.yaml"]
    assert source.settings(files).freshness_seconds == 900


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"env: [", r"app\.yaml cannot be read"),
        (b"command: [x]", r"app\.yaml cannot be read"),
        (b'env: [{name: CIO_FRESHNESS_SECONDS, value: "0"}]', "CIO_FRESHNESS_SECONDS"),
    ],
)
def test_an_app_yaml_that_the_receiver_would_refuse_is_refused(text: bytes, words: str) -> None:
    """Before anything is changed."""
    with pytest.raises(DeploymentError, match=words):
        source.settings({"app.yaml": text})


def test_an_app_that_refuses_the_proof_fails_it(
    deployed: TargetWorkspace, double: Databricks
) -> None:
    """With the last answer, and what it may mean."""
    with (
        answering(deployed, double, 401),
        pytest.raises(DeploymentError, match=r"last answer: HTTP 401\).*log in with OAuth"),
    ):
        runner.run([proof.step(deployed, SETTINGS)], silent)


def test_the_proof_needs_a_deployed_app(workspace: TargetWorkspace) -> None:
    """Without one it says what is missing, and asks nobody."""
    with pytest.raises(DeploymentError, match="no address or no active deployment"):
        runner.run([proof.step(workspace, SETTINGS)], silent)


def test_a_secret_that_holds_no_key_is_told(deployed: TargetWorkspace, double: Databricks) -> None:
    """Somebody put something else there."""
    double.workspace.scopes["ciolake"].secrets["signing-keys"] = (b"", 1)

    with pytest.raises(DeploymentError, match="--rotate-keys"):
        runner.run([proof.step(deployed, SETTINGS)], silent)


def failing(error: Exception) -> Callable[[], object]:
    """A change that fails."""

    def fail() -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionDenied("no"), "a right is missing. This step needs: MANAGE on it"),
        (Unauthenticated("no"), "refuses the login"),
        (InternalError("broken"), "broken. Earlier steps are done; run this again"),
        (AlreadyExists("there"), "there. Earlier steps are done"),
        (requests.ConnectionError("host and port"), r"does not answer \(ConnectionError\)"),
        (TimeoutError("long"), r"does not answer \(TimeoutError\)"),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_do(error: Exception, words: str) -> None:
    """Each kind of failure in its own words, with the step's title."""
    step = Step("making", "MANAGE on it", lambda: [PlannedChange("make it", failing(error))])

    with pytest.raises(DeploymentError, match=f"^making: .*{words}"):
        runner.run([step], silent)


def test_what_was_made_meanwhile_is_good_as_well() -> None:
    """The answer to the first try may have been lost."""
    made = PlannedChange("make it", failing(AlreadyExists("there")), is_creation=True)

    assert runner.run([Step("making", "", lambda: [made])], silent)


def test_a_note_is_told_and_changes_nothing() -> None:
    """A step with notes alone has nothing to do."""
    told: list[tuple[str, str, list[str]]] = []

    def report(title: str, state: str, words: object) -> None:
        told.append((title, state, list(words)))  # type: ignore[call-overload]  # a sequence

    is_changed = runner.run([Step("looking", "", lambda: [Note("unseen")])], report)

    assert not is_changed
    assert told == [("looking", "ok", ["unseen"])]


def test_compute_that_fails_ends_the_wait(deployed: TargetWorkspace, double: Databricks) -> None:
    """With the platform's reason."""
    apps = double.workspace.apps
    change = apps.changing("STARTING", "ERROR")
    change.message = "no capacity"
    apps.held["ciolake"].compute = change
    double.faults.set(Fault("error", operation="apps.start", times=None))
    app = release.steps(deployed, FILES)[0]
    wait = app.look()[-1]

    assert isinstance(wait, PlannedChange)
    with pytest.raises(DeploymentError, match="compute failed: no capacity"):
        wait.do()


def test_a_deployment_under_way_is_waited_for_first(
    deployed: TargetWorkspace, double: Databricks
) -> None:
    """The platform takes one at a time; a run may have been broken off."""
    held = double.workspace.apps.held["ciolake"]
    double.workspace.apps.deploy_seconds = 0.1
    deployed.client.apps.deploy("ciolake", release.AppDeployment(source_code_path="/none"))
    changed = {"app.yaml": b"new"}

    runner.run([release.steps(deployed, changed)[3]], silent)

    assert [one.change.after for one in held.deployments] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]


def test_a_note_that_cannot_be_read_is_no_note(
    deployed: TargetWorkspace, double: Databricks
) -> None:
    """Then all is uploaded again."""
    note = double.workspace.tree_dir / "Users/admin@example.com/ciolake/ciolake/uploaded.json"
    note.write_text("{")

    (change,) = release.steps(deployed, FILES)[2].look()

    assert change.words == "upload 2 of 2 files"


def test_what_is_gone_is_not_removed_again(workspace: TargetWorkspace) -> None:
    """Also the tables and the volume."""
    assert not runner.run(remove.steps(workspace, with_tables=True), silent)
