"""`ciolake webhooks` against a simulated workspace."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import signed
from core.webhooks import specification
from core.webhooks.signature import SigningKey
from databricks_app.cli import ciolake
from databricks_app.operations.webhooks.canary import canary
from databricks_app.simulator.faults import InjectedFault
from databricks_app.simulator.simulator import Simulator
from tests.doubles import Databricks
from tests.support.lake_events import NOON, body, lake_in, load, reading_of
from tests.support.loopback_receiver import KEY, LoopbackReceiver, unused_destination
from tests.support.simulating import app_client, call, make_simulator, simulator  # noqa: F401
from tests.support.storing import StoringReceiver, store

Run = Callable[..., Result]
KNOWN = list(specification.subscription_names())
FILE = """webhooks:
- name: lake
  endpoint: https://lake.example.com/
  events: all
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder with nothing configured."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("CIO_", "NO_COLOR"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def run(simulator: Simulator) -> Run:  # noqa: F811  # the fixture, by its name
    """Run a subcommand for the simulated workspace: `run("plan", ...)`."""
    return runner(simulator)


def runner(of: Simulator) -> Run:
    """What runs subcommands for that workspace."""

    def run(
        command: str, *arguments: str, text: str | None = None, colour: bool = False, **env: str
    ) -> Result:
        where = () if command == "rotate" else ("--base-url", of.url)
        variables = {"CIO_APP_API_KEY": of.workspace.keys.app} | env
        given = ["webhooks", command, *arguments, *where]
        return CliRunner().invoke(ciolake, given, input=text, env=variables, color=colour)

    return run


def test_plan_apply_drift_and_back(run: Run, tmp_path: Path) -> None:
    """A file is planned, applied, and found in force; a change by hand is drift."""
    (tmp_path / "webhooks.yaml").write_text(FILE)

    planned = run("plan")
    assert planned.exit_code == 0
    assert planned.output.splitlines() == [
        "+ create 'lake'",
        "    endpoint: https://lake.example.com/",
        f"    events: {len(KNOWN)} of {len(KNOWN)}",
        "    full_resolution: false",
        "    with_content: false",
        "    enabled: true",
        "1 to change.",
    ]
    assert run("drift").exit_code == 2
    assert run("drift", "--fiel", "x").exit_code == 1
    assert run("apply", text="n\n").exit_code == 1
    assert "'lake' was" not in run("list").output
    applied = run("apply", "--yes")
    assert (applied.exit_code, "done: create 'lake' (id 1)" in applied.output) == (0, True)
    assert run("drift").output == "No drift: 1 webhooks match webhooks.yaml.\n"
    assert run("apply").output.endswith("Nothing to change.\n")

    assert run("disable", "lake").output == "disabled: webhook 1 'lake'\n"

    drift = run("drift")
    assert drift.exit_code == 2
    assert "    enabled: false -> true" in drift.output.splitlines()


def subscribe(of: Simulator, *events: str) -> None:
    """Let the webhook 1 have these events too, which the vendor added later."""
    feed = of.workspace.feeds.get(1)
    assert feed is not None
    feed.webhook = replace(feed.webhook, events=(*feed.webhook.events, *events))


def test_all_keeps_an_event_that_the_vendor_added_later(
    run: Run,
    simulator: Simulator,  # noqa: F811  # the fixture, by its name
    tmp_path: Path,
) -> None:
    """`all` means all: no plan unsubscribes it, also where something else changes."""
    (tmp_path / "webhooks.yaml").write_text(FILE)
    run("apply", "-y")
    subscribe(simulator, "email_quarantined")

    assert run("drift").exit_code == 0
    (tmp_path / "webhooks.yaml").write_text(FILE + "  full_resolution: true\n")
    planned = run("plan").output
    assert run("apply", "-y").exit_code == 0

    assert "events:" not in planned
    assert "the event 'email_quarantined' is unknown to this version" in planned
    feed = simulator.workspace.feeds.get(1)
    assert feed is not None
    assert "email_quarantined" in feed.webhook.events


def test_channel_keeps_its_event_that_the_vendor_added_later(
    run: Run,
    simulator: Simulator,  # noqa: F811  # the fixture, by its name
    tmp_path: Path,
) -> None:
    """`email` means every event that begins with `email_`; another channel's is removed."""
    (tmp_path / "webhooks.yaml").write_text(FILE.replace("all", "email"))
    run("apply", "-y")
    subscribe(simulator, "email_quarantined", "sms_quarantined")

    lines = run("plan").output.splitlines()

    assert "    events: - sms_quarantined" in lines
    assert "    events: - email_quarantined" not in lines


@pytest.mark.parametrize("others", [1, 0], ids=["all", "some"])
def test_get_prints_what_plan_takes_with_an_event_added_later(
    run: Run,
    simulator: Simulator,  # noqa: F811  # the fixture, by its name
    tmp_path: Path,
    others: int,
) -> None:
    """As `all`, or in a list of names that `plan` takes because the workspace has them."""
    (tmp_path / "webhooks.yaml").write_text(FILE if others else FILE.replace("all", "[sms]"))
    run("apply", "-y")
    subscribe(simulator, "email_quarantined")

    said = run("get", "1").output
    (tmp_path / "webhooks.yaml").write_text(said)

    assert ("events: all" in said) == bool(others)
    assert run("drift").exit_code == 0


def test_unknown_event_needs_the_option_and_is_a_warning_then(run: Run, tmp_path: Path) -> None:
    """Without it, a misspelt name is an error with its line."""
    (tmp_path / "webhooks.yaml").write_text(FILE.replace("all", "[email_quarantined, emial_sent]"))

    refused = run("plan")
    allowed = run("plan", "--allow-unknown")

    assert refused.exit_code == 1
    assert "line 4: 'email_quarantined' is no event" in refused.output
    assert allowed.exit_code == 0
    assert "! 'lake': the event 'emial_sent' is unknown to this version. Did you mean" in (
        allowed.output
    )


def test_no_output_shows_the_query_of_an_endpoint(run: Run, tmp_path: Path) -> None:
    """It may be a secret. That it changes is shown."""
    secret = FILE.replace(".com/", ".com/?token=s3cret")
    (tmp_path / "webhooks.yaml").write_text(secret)
    said = run("plan").output + run("apply", "-y").output
    (tmp_path / "webhooks.yaml").write_text(secret.replace("s3cret", "s3cret-2"))
    changed = run("plan").output
    (tmp_path / "webhooks.yaml").write_text(
        secret + secret.split("\n", 1)[1].replace("lake", "b", 1)
    )
    twice = run("plan").output
    said += changed + twice + run("list").output + run("apply", "-y").output

    assert "s3cret" not in said
    assert "https://lake.example.com/?... (the query changes)" in changed
    assert "is already used above" in twice


def test_plan_shows_each_event_and_webhooks_not_in_the_file(run: Run, tmp_path: Path) -> None:
    """In colour only where a terminal takes it and NO_COLOR does not forbid it."""
    (tmp_path / "webhooks.yaml").write_text(FILE.replace("all", "[email_sent, sms]"))
    run("apply", "-y")
    (tmp_path / "two.yaml").write_text(
        FILE.replace("all", "[email_sent, email_opened]").replace("lake\n", "lake 2\n  id: 1\n")
        + "- name: gone\n  absent: true\n"
    )
    (tmp_path / "other.yaml").write_text(FILE.replace("lake", "other", 1))

    lines = run("plan", "-f", "two.yaml").output.splitlines()
    other = run("plan", "-f", "other.yaml").output

    assert lines[:3] == [
        "~ update 'lake 2' (id 1)",
        "    name: lake -> lake 2",
        "    events: + email_opened",
    ]
    assert "    events: - sms_sent" in lines
    assert "not in the file: 'lake' (id 1)" in other
    assert "! 'other' and webhook 1" in other
    assert "\x1b[33m" in run("plan", "-f", "two.yaml", colour=True).output
    assert "\x1b" not in run("plan", "-f", "two.yaml", colour=True, NO_COLOR="1").output


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_a_file_that_cannot_be_used_is_named(run: Run, tmp_path: Path, command: str) -> None:
    """Exit code 1, with every problem by line."""
    assert "webhooks.yaml cannot be read" in run(command).output
    (tmp_path / "binary.yaml").write_bytes(b"\xff")
    assert "not UTF-8" in run(command, "-f", "binary.yaml").output
    (tmp_path / "webhooks.yaml").write_text(FILE.replace("all", "emial").replace("https", "http"))

    result = run(command)

    assert result.exit_code == 1
    assert "line 3: endpoint must" in result.output
    assert "line 4: 'emial' is no event; did you mean 'email'?" in result.output


def test_apply_tells_if_the_workspace_holds_something_else(
    run: Run,
    tmp_path: Path,
    simulator: Simulator,  # noqa: F811
) -> None:
    """The error of a write that fails says what was done."""
    (tmp_path / "webhooks.yaml").write_text(FILE)
    simulator.workspace.faults.add(InjectedFault("createWebhook", 400))

    result = run("apply", "-y")

    assert result.exit_code == 1
    assert "create 'lake' was not done: createWebhook: status 400" in result.output
    assert "Done before: nothing." in result.output


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_without_permission_is_an_error_that_says_what_it_needs(
    run: Run,
    simulator: Simulator,  # noqa: F811
    status: int,
) -> None:
    """Which variable, which kind of key; not the key."""
    simulator.workspace.faults.add(InjectedFault("listWebhooks", status))

    result = run("list")

    assert result.exit_code == 1
    assert "permission for reporting webhooks" in result.output.replace("\n", " ")
    assert simulator.workspace.keys.app not in result.output
    assert "CIO_APP_API_KEY is set neither" in run("list", CIO_APP_API_KEY="").output


def test_one_webhook_is_listed_printed_enabled_and_disabled(run: Run, tmp_path: Path) -> None:
    """By name or id; what `get` prints is a file that plans nothing."""
    (tmp_path / "webhooks.yaml").write_text(FILE + "  enabled: false\n")
    run("apply", "-y")
    said = run("get", "1").output
    (tmp_path / "webhooks.yaml").write_text(said)

    assert yaml.safe_load(said)["webhooks"][0]["events"] == "all"
    assert run("plan").output == "= keep 'lake' (id 1)\nNothing to change.\n"
    assert '"events": 72' in run("list", "--format", "json").output
    assert run("enable", "lake").output == "enabled: webhook 1 'lake'\n"
    assert run("enable", "1").output == "already enabled: webhook 1 'lake'\n"
    assert "The webhooks are: 1 'lake'" in run("get", "sea").output
    assert run("disable", "lake").output == "disabled: webhook 1 'lake'\n"


def test_an_ambiguous_name_is_an_error(run: Run, tmp_path: Path) -> None:
    """Their ids are named."""
    for name in ("a", "b"):
        other = FILE.replace("lake\n", f"{name}\n").replace("lake.", f"{name}.")
        (tmp_path / "webhooks.yaml").write_text(other)
        run("apply", "-y")
    (tmp_path / "webhooks.yaml").write_text(FILE.replace("lake\n", "a\n  id: 2\n"))
    run("apply", "-y")

    assert "several webhooks are called 'a': use an id (1, 2)" in run("enable", "a").output


def test_events_are_listed_with_meaning_and_what_is_missing(run: Run, tmp_path: Path) -> None:
    """Without a webhook no key is needed."""
    (tmp_path / "webhooks.yaml").write_text(FILE.replace("all", "email"))
    run("apply", "-y")

    every = run("events", "--format", "jsonl", CIO_APP_API_KEY="")
    missing = run("events", "--webhook", "lake", "--missing", "--format", "csv")

    assert len(every.output.splitlines()) == len(KNOWN)
    assert f"'lake' does not get 58 of {len(KNOWN)} events." in missing.stderr
    assert "sms_sent,sms,it was handed to the provider,no" in missing.stdout
    assert "email_sent" not in missing.stdout
    assert run("events", "--missing").exit_code == 2


def test_ips_are_the_workspaces(run: Run) -> None:
    """As the API says now."""
    assert run("ips").output == "127.0.0.1\n"
    assert json.loads(run("ips", "--format", "json").output) == ["127.0.0.1/32"]


def test_setup_takes_the_safe_order_and_goes_on_after_a_failure(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Disabled until the endpoint has taken a signed event; the key stays only after that."""
    (tmp_path / ".env").write_text("CIO_WEBHOOK_SIGNING_KEYS=dev_0123\n")
    key = KEY.secret.decode()
    with LoopbackReceiver(status=lambda number: 404 if number == 1 else 200) as receiver:
        url = f"{receiver.url}/api/webhooks/customerio"
        subscribed = ("--no-test", "--events", "email", "--events", "sms_sent")
        failed = run("setup", url, *subscribed, text=f"{key}\n")
        held = [feed.webhook.disabled for feed in simulator.workspace.feeds.all()]
        taken_out = (tmp_path / ".env").read_text()
        done = run("setup", url, *subscribed, text=f"{key}\n")
        again = run("setup", url, *subscribed, text="y\n")

    assert (failed.exit_code, held) == (1, [True])
    assert "this path does not exist" in failed.output
    assert taken_out == "CIO_WEBHOOK_SIGNING_KEYS=\n"
    assert (tmp_path / ".env").read_text() == f"CIO_WEBHOOK_SIGNING_KEYS={key}\n"
    assert done.exit_code == 0, done.output
    assert "enabled webhook 1" in done.output
    assert "it was not checked whether the event has arrived" in done.output
    assert "webhook 1 is already enabled" in again.output
    assert not simulator.workspace.feeds.all()[0].webhook.disabled
    assert len(simulator.workspace.feeds.all()) == 1
    assert key not in failed.output + done.output + again.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"status": lambda _: 302, "location": "https://login.example.com/"}, "redirect (302)"),
        ({"text": b"<!doctype html><title>Sign in</title>"}, "web page (401)"),
        ({"status": lambda _: 204}, "204 instead of 200"),
    ],
)
def test_setup_refuses_an_endpoint_that_would_lose_events(
    run: Run,
    simulator: Simulator,  # noqa: F811
    options: dict[str, object],
    words: str,
) -> None:
    """The webhook stays disabled."""
    with LoopbackReceiver(**options) as receiver:  # type: ignore[arg-type]
        result = run(
            "setup", receiver.url, "--no-test", "--key-stdin", text=f"{KEY.secret.decode()}\n"
        )

    assert result.exit_code == 1
    assert words in result.output
    assert all(feed.webhook.disabled for feed in simulator.workspace.feeds.all())


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://hooks.example.com/",),
        ("https://hooks.example.com/", "--events", "fax"),
        ("https://hooks.example.com/", "--secret", "only-scope"),
    ],
)
def test_setup_refuses_wrong_usage_before_it_does_anything(
    run: Run,
    simulator: Simulator,  # noqa: F811
    arguments: tuple[str, ...],
) -> None:
    """Exit code 2; nothing was created."""
    assert run("setup", *arguments).exit_code == 2
    assert simulator.workspace.feeds.all() == []


def test_setup_keeps_keys_that_are_another_webhooks(
    run: Run,
    tmp_path: Path,
) -> None:
    """They stay active behind the new one; what is no key changes nothing."""
    key = KEY.secret.decode()
    (tmp_path / ".env").write_text("CIO_WEBHOOK_SIGNING_KEYS=of-another-one\n")
    with LoopbackReceiver() as receiver:
        unusable = run("setup", receiver.url, "--no-test", "--key-stdin", text="a b\n")
        done = run("setup", receiver.url, "--no-test", text=f"n\n{key}\n")
        stranger = run(
            "setup", receiver.url, "--no-test", "--pid", "4194304", "--new-key", text=f"{key}\n"
        )

    assert "this is not a signing key" in unusable.output
    assert done.exit_code == 0, done.output
    assert (tmp_path / ".env").read_text() == f"CIO_WEBHOOK_SIGNING_KEYS={key},of-another-one\n"
    assert "SIGHUP cannot be sent to the process 4194304" in stranger.output


def test_setup_does_not_enable_a_webhook_whose_event_does_not_arrive(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Acknowledged is not enough where the tables are at hand."""
    (tmp_path / "data/tables").mkdir(parents=True)
    with LoopbackReceiver() as receiver:
        text = f"{KEY.secret.decode()}\n"
        result = run("setup", receiver.url, "--no-test", "--key-stdin", "--wait", "0", text=text)

    assert result.exit_code == 1
    assert "acknowledged, but after 0 s it is not in the tables in data" in result.output
    assert simulator.workspace.feeds.all()[0].webhook.disabled


ENDPOINT = "/api/webhooks/customerio"


def prepared(of: Simulator, receiver: LoopbackReceiver, *, name: str = "lake") -> str:
    """Make a disabled webhook for a receiver; return its key, which the receiver gets."""
    body = {"name": name, "endpoint": receiver.url + ENDPOINT, "events": ["email_sent"]}
    with app_client(of) as app:
        number = app.post("/v1/reporting_webhooks", json=body | {"disabled": True}).json()["id"]
    key = of.signing_key(number)
    receiver.key = SigningKey.from_text(key)
    receiver.on_look = lambda looks: of.test(number) if looks == 3 else None
    return key


def test_setup_enables_after_customer_io_has_sent_an_event_under_the_key(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Send Test is pressed while it waits; the key stays, and the webhook keeps its name."""
    with LoopbackReceiver() as receiver:
        key = prepared(simulator, receiver)
        url, text = receiver.url + ENDPOINT, f"{key}\n"
        result = run("setup", url, "--events", "email_sent", "--key-stdin", text=text)

    assert result.exit_code == 0, result.output
    assert "press Send Test" in result.output
    assert (tmp_path / ".env").read_text() == f"CIO_WEBHOOK_SIGNING_KEYS={key}\n"
    webhook = simulator.workspace.feeds.all()[0].webhook
    assert (webhook.name, webhook.disabled) == ("lake", False)


def test_setup_takes_a_mistaken_key_out_again(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Our own event passes, that of Customer.io is refused: it says so, and enables nothing."""
    (tmp_path / ".env").write_text("CIO_WEBHOOK_SIGNING_KEYS=of-another-one\n")
    with LoopbackReceiver() as receiver:
        prepared(simulator, receiver)
        receiver.key = KEY
        url, text = receiver.url + ENDPOINT, f"{KEY.secret.decode()}\n"
        options = ("--events", "email_sent", "--key-stdin", "--test-wait", "0")
        result = run("setup", url, *options, text=text)

    assert result.exit_code == 1
    assert "refused a request with a wrong signature" in result.output
    assert f"took the key {KEY.fingerprint} out again" in result.output
    assert (tmp_path / ".env").read_text() == "CIO_WEBHOOK_SIGNING_KEYS=of-another-one\n"
    assert simulator.workspace.feeds.all()[0].webhook.disabled


def test_setup_leaves_a_key_that_was_stored_before(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """It may be another webhook's: it says how to remove it."""
    (tmp_path / ".env").write_text(f"CIO_WEBHOOK_SIGNING_KEYS={KEY.secret.decode()}\n")
    with LoopbackReceiver() as receiver:
        prepared(simulator, receiver)
        receiver.key = KEY
        options = ("--events", "email_sent", "--test-wait", "0")
        result = run("setup", receiver.url + ENDPOINT, *options, text="y\n")

    assert result.exit_code == 1
    assert f"ciolake webhooks keys --drop {KEY.fingerprint}" in result.output
    assert KEY.secret.decode() in (tmp_path / ".env").read_text()
    assert simulator.workspace.feeds.all()[0].webhook.disabled


def test_setup_asks_for_no_key_where_it_could_not_see_the_event(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """/metrics cannot be read: it fails before it changes anything."""
    with LoopbackReceiver() as receiver:
        url = receiver.url + ENDPOINT
        missing = ("--metrics-url", f"{receiver.url}/elsewhere")
        result = run("setup", url, "--key-stdin", *missing, text=f"{KEY.secret.decode()}\n")

    assert result.exit_code == 1
    assert "--metrics-url" in result.output
    assert not (tmp_path / ".env").exists()
    assert simulator.workspace.feeds.all() == []


def test_setup_leaves_the_webhook_of_another_installation_alone(
    run: Run,
    simulator: Simulator,  # noqa: F811
) -> None:
    """The name says nothing; with its id the change is shown and asked, `--yes` is for scripts."""
    text = f"{KEY.secret.decode()}\n"
    body = {"name": "ciolake", "endpoint": "https://prod.example.com/?token=s3cret"}
    with app_client(simulator) as app:
        app.post("/v1/reporting_webhooks", json=body | {"events": ["email_sent"]})
    webhook = simulator.workspace.feeds.all()[0].webhook
    with LoopbackReceiver() as receiver:
        given = (receiver.url, "--no-test", "--events", "email_sent")
        by_name = run("setup", *given, "--key-stdin", text=text)
        unasked = run("setup", *given, "--id", "1", "--key-stdin", text=text)
        declined = run("setup", *given, "--id", "1", text="n\n")
        held = simulator.workspace.feeds.all()[0].webhook
        agreed = run("setup", *given, "--id", "1", "--yes", "--key-stdin", text=text)

    assert [one.exit_code for one in (by_name, unasked, declined, agreed)] == [1, 1, 1, 0]
    assert held == webhook
    assert "use --id 1" in by_name.output
    assert "add --yes" in unasked.output
    assert f"endpoint: https://prod.example.com/?... -> {receiver.url}" in declined.output
    assert "s3cret" not in by_name.output + declined.output + agreed.output
    assert len(simulator.workspace.feeds.all()) == 1
    assert simulator.workspace.feeds.all()[0].webhook.endpoint == receiver.url


def test_setup_fails_at_once_with_nothing_listening(
    run: Run,
    simulator: Simulator,  # noqa: F811
) -> None:
    """Before it asks for a key or creates a webhook; a query of the endpoint is not shown."""
    url = f"{unused_destination().url}?token=s3cret"

    result = run("setup", url, "--no-test", "--key-stdin", text=f"{KEY.secret.decode()}\n")

    assert result.exit_code == 1
    assert "no server listens there" in result.output
    assert "s3cret" not in result.output
    assert simulator.workspace.feeds.all() == []


def test_setup_keeps_an_event_that_the_vendor_added_later(
    run: Run,
    simulator: Simulator,  # noqa: F811
) -> None:
    """`all` includes it, and it can be named, once a webhook of the workspace has it."""
    with LoopbackReceiver() as receiver:
        key = prepared(simulator, receiver)
        subscribe(simulator, "email_quarantined")
        url, text = receiver.url + ENDPOINT, f"{key}\n"
        every = run("setup", url, "--no-test", "--yes", "--key-stdin", text=text)
        events = simulator.workspace.feeds.all()[0].webhook.events
        one = ("--events", "email_quarantined")
        named = run("setup", url, "--no-test", "--yes", *one, "--key-stdin", text=text)

    assert (every.exit_code, named.exit_code) == (0, 0), named.output
    assert events == (*KNOWN, "email_quarantined")
    assert simulator.workspace.feeds.all()[0].webhook.events == ("email_quarantined",)


def test_setup_sees_the_event_in_the_inbox_of_a_volume(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The row comes with the next load: it says when, and asks no warehouse for it."""
    text = f"{KEY.secret.decode()}\n"
    databricks = {"CIO_STORE": "databricks", "CIO_CATALOG": "main", "CIO_SCHEMA": "cio"}
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        env = double.environment() | databricks | {"CIO_VOLUME": "events"}
        with StoringReceiver(double, "main.cio.events") as receiver:
            late = {**env, "CIO_FRESHNESS_SECONDS": "0.05"}
            stalled = run(
                "setup",
                receiver.url,
                "--no-test",
                "--key-stdin",
                "--wait",
                "0.1",
                text=text,
                **late,
            )
            held = [feed.webhook.disabled for feed in simulator.workspace.feeds.all()]
            done = run("setup", receiver.url, "--no-test", "--key-stdin", text=text, **env)
        received = double.workspace.engine.received

    assert (stalled.exit_code, held) == (1, [True])
    assert "after 0.1 s it is still in the inbox of /Volumes/main/cio/events" in stalled.output
    assert done.exit_code == 0, done.output
    assert re.search(r"in the inbox of .*; its row is expected by \d\d:\d\d UTC", done.output)
    assert not simulator.workspace.feeds.all()[0].webhook.disabled
    assert received == []


def test_setup_sees_the_event_of_customer_io_in_the_inbox_of_a_volume(
    run: Run,
    simulator: Simulator,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Under the key, beside our own test event, which proves nothing; no warehouse is asked."""
    text = f"{KEY.secret.decode()}\n"
    store_env = {"CIO_STORE": "databricks", "CIO_CATALOG": "main", "CIO_SCHEMA": "cio"}
    with Databricks(tmp_path / "double", volume="main.cio.events") as double:
        env = double.environment() | store_env | {"CIO_VOLUME": "events"}

        def press(_: StoringReceiver) -> None:
            store(double, "main.cio.events", b'{"event_id":"v"}', key=KEY.fingerprint)

        with StoringReceiver(double, "main.cio.events", press) as receiver:
            done = run("setup", receiver.url, "--key-stdin", text=text, **env)
        received = double.workspace.engine.received

    assert done.exit_code == 0, done.output
    assert f"an event that the key {KEY.fingerprint} has verified" in done.output
    assert not simulator.workspace.feeds.all()[0].webhook.disabled
    assert received == []


class _Counting(BaseHTTPRequestHandler):
    """Takes every event; each look at its metrics finds one more under the new key."""

    looks = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer("")

    def do_GET(self) -> None:
        type(self).looks += 1
        new = SigningKey.from_text("second-key").fingerprint
        name = "ciolake_accepted_events_total"
        self._answer(f'# TYPE {name} counter\n{name}{{key="{new}"}} {self.looks}\n')

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_rotate_lets_the_old_key_go(run: Run, tmp_path: Path) -> None:
    """Once the counts show the new one in use and the old one silent; no key is printed."""
    (tmp_path / ".env").write_text("PORT=1\nCIO_WEBHOOK_SIGNING_KEYS=first-key\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    options = ("--silent-minutes", "0", "--look-seconds", "0.1", "--key-stdin")
    try:
        result = run("rotate", url, *options, text="second-key\n")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert result.exit_code == 0, result.output
    assert (tmp_path / ".env").read_text() == "PORT=1\nCIO_WEBHOOK_SIGNING_KEYS=second-key\n"
    assert "first-key" not in result.output
    assert "second-key" not in result.output


@pytest.mark.slow
def test_setup_and_rotate_with_a_real_receiver(
    make_simulator: Callable[..., Simulator],  # noqa: F811
    tmp_path: Path,
) -> None:
    """Set up, seen in the table, and its key replaced while events arrive: none is refused."""
    of = make_simulator()
    run = runner(of)
    token = "CIO_ADMIN_TOKEN=of-the-admin\n"
    (tmp_path / ".env").write_text(f"{token}CIO_WEBHOOK_SIGNING_KEYS=before-all\n")
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        process = ("--pid", str(receiver.process.pid))
        wait_until(lambda: (tmp_path / "data/tables").is_dir())
        setup = run("setup", receiver.url, *process, "--no-test", "--key-stdin", text="first-key\n")
        assert setup.exit_code == 0, setup.output
        assert "it was a row of webhook_raw_events in data" in setup.output
        (tmp_path / ".env").write_text(f"{token}CIO_WEBHOOK_SIGNING_KEYS=first-key\n")

        ending = threading.Event()
        traffic = threading.Thread(target=_post_until, args=(ending, receiver.url, "second-key"))
        traffic.start()
        try:
            rotated = run(
                *("rotate", receiver.url, *process, "--silent-minutes", "0.01"),
                *("--look-seconds", "0.1", "--key-stdin"),
                text="second-key\n",
            )
        finally:
            ending.set()
            traffic.join()
    old, new = (SigningKey.from_text(text).fingerprint for text in ("first-key", "second-key"))
    assert rotated.exit_code == 0, rotated.output
    assert rotated.output.splitlines()[-1] == f"Done: {new} is now the only stored key."
    assert f"removed the key {old}" in rotated.output
    assert (tmp_path / ".env").read_text() == f"{token}CIO_WEBHOOK_SIGNING_KEYS=second-key\n"
    assert "first-key" not in rotated.output + setup.output
    assert "second-key" not in rotated.output


def _post_until(ending: threading.Event, url: str, key: str) -> None:
    number = 0
    while not ending.wait(0.05):
        number += 1
        body = event(f"e{number}-{time.monotonic_ns()}")
        call("POST", url, content=body, headers=signed(body, key=key))


@pytest.mark.parametrize(
    ("kept", "text", "words"),
    [
        ("", "", "there is no signing key to replace"),
        ("key-0001,key-0002,key-0003", "", "3 signing keys"),
        ("key-0001", "key-0001\n", "this is the current key"),
        ("key-0001", "no\n", "this is not a signing key"),
    ],
)
def test_rotate_that_cannot_begin_changes_nothing(
    run: Run, tmp_path: Path, kept: str, text: str, words: str
) -> None:
    """Exit code 1, and both files and receiver as before."""
    (tmp_path / ".env").write_text(f"CIO_WEBHOOK_SIGNING_KEYS={kept}\n")

    result = run("rotate", "http://127.0.0.1:9/", "--key-stdin", text=text)

    assert result.exit_code == 1
    assert words in result.output
    assert (tmp_path / ".env").read_text() == f"CIO_WEBHOOK_SIGNING_KEYS={kept}\n"


def test_rotate_goes_on_with_two_keys_and_keeps_both_if_it_fails(run: Run, tmp_path: Path) -> None:
    """It asks for no key again; without counts nothing is let go."""
    kept = f"CIO_WEBHOOK_SIGNING_KEYS={KEY.secret.decode()},old-key-1\n"
    (tmp_path / ".env").write_text(kept)
    with LoopbackReceiver() as receiver:
        result = run("rotate", receiver.url, text="y\n")
        by_program = run("rotate", receiver.url, "--key-stdin", text=f"{KEY.secret.decode()}\n")
        declined = run("rotate", receiver.url, text="n\n")
        wrong = run("rotate", receiver.url, "--key-stdin", text="another-key\n")
        assert run("rotate", "http://hooks.example.com/").exit_code == 2
        unsafe = run("rotate", receiver.url, "--metrics-url", "http://hooks.example.com/metrics")

    assert result.exit_code == 1
    assert f"continuing: {KEY.fingerprint} replaces" in result.output
    assert "does not count events by key" in result.output
    assert "continuing" in by_program.output
    assert "continuing" not in declined.output + wrong.output
    assert "the first is not the key on standard input" in wrong.output
    assert (unsafe.exit_code, "--metrics-url must begin" in unsafe.output) == (2, True)
    assert (tmp_path / ".env").read_text() == kept


def test_apply_reports_changes_that_were_accepted_but_not_kept(tmp_path: Path) -> None:
    """An accepted write is read back: an API that drops an event name says nothing of it."""
    (tmp_path / "webhooks.yaml").write_text(FILE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Dropping)
    server.held = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        result = CliRunner().invoke(
            ciolake,
            ["webhooks", "apply", "-y", "--base-url", url],
            env={"CIO_APP_API_KEY": "key"},
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert result.exit_code == 1
    assert "still different from the file: 'lake'" in result.output


class _Dropping(BaseHTTPRequestHandler):
    """An App API that takes a webhook and keeps its first event only."""

    def do_GET(self) -> None:
        self._answer({"reporting_webhooks": self.server.held})  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kept = body | {"id": 1, "events": body["events"][:1]}
        self.server.held.append(kept)  # type: ignore[attr-defined]
        self._answer(kept)

    def _answer(self, said: object) -> None:
        content = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_commands_take_the_workspace_that_is_named(run: Run, simulator: Simulator) -> None:  # noqa: F811
    """Of several, each with a key of its own; without a choice the names are listed."""
    several = {
        "CIO_APP_API_KEY": "",
        "CIO_WORKSPACES": "shop:11111111,blog:22222222",
        "CIO_APP_API_KEYS": f"shop:{simulator.workspace.keys.app}",
    }

    chosen = run("list", "--workspace", "shop", **several)
    unclear = run("list", **several)
    keyless = run("list", "--workspace", "blog", **several)

    assert chosen.exit_code == 0
    assert (unclear.exit_code, "blog, shop" in unclear.output) == (1, True)
    assert (keyless.exit_code, "CIO_APP_API_KEYS=" in keyless.output) == (1, True)


def test_keys_are_listed_with_their_workspace(tmp_path: Path, monkeypatch: Any) -> None:
    """By fingerprint; those that are listed and kept no more are retired."""
    monkeypatch.chdir(tmp_path)
    kept, made = (SigningKey.from_text(one).fingerprint for one in ("shop-key-1", "dev_00ff"))
    (tmp_path / ".env").write_text(
        f"CIO_WEBHOOK_SIGNING_KEYS=shop-key-1,dev_00ff\nCIO_WORKSPACES=shop:{kept},shop:00000000\n"
    )

    result = CliRunner().invoke(ciolake, ["webhooks", "keys", "--format", "jsonl"])

    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["fingerprint"], one["key"], one["workspace"]) for one in rows] == [
        (kept, "active", "shop"),
        (made, "development", "default"),
        ("00000000", "retired", "shop"),
    ]
    assert "shop-key-1" not in result.output


def test_keys_are_listed_with_their_first_and_last_use(tmp_path: Path, monkeypatch: Any) -> None:
    """From the raw table; our own test events are no use, unlisted keys are retired."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"CIO_WEBHOOK_SIGNING_KEYS={KEY.secret.decode()}\n")
    with closing(lake_in(tmp_path / "data")) as lake:
        lake.start()
        late = NOON + timedelta(hours=1)
        load(
            lake,
            reading_of(body("e1")),
            reading_of(body("e2"), late),
            reading_of(canary("1", 0.0).body, late + timedelta(hours=1)),
        )

    result = CliRunner().invoke(ciolake, ["webhooks", "keys", "--format", "jsonl"])

    active, used = [json.loads(line) for line in result.stdout.splitlines()]
    assert (active["fingerprint"], active["events"]) == (KEY.fingerprint, None)
    assert (used["fingerprint"], used["key"], used["events"]) == ("0a1b2c3d", "retired", 2)
    assert "12:00:00" in used["first_use"]
    assert "13:00:00" in used["last_use"]


def test_keys_drop_removes_one_key_and_asks(tmp_path: Path, monkeypatch: Any) -> None:
    """The others stay; the last one of a workspace only with `--last`; no key is shown."""
    monkeypatch.chdir(tmp_path)
    first, second, blog = (
        SigningKey.from_text(text).fingerprint
        for text in ("shop-key-1", "shop-key-2", "blog-key-1")
    )
    (tmp_path / ".env").write_text(
        f"CIO_WORKSPACES=shop:{first},shop:{second},blog:{blog}\n"
        "CIO_WEBHOOK_SIGNING_KEYS=shop-key-1,shop-key-2,blog-key-1\n"
    )

    def drop(*words: str, text: str = "") -> Result:
        return CliRunner().invoke(ciolake, ["webhooks", "keys", "--drop", *words], input=text)

    def stored() -> str:
        return (tmp_path / ".env").read_text().splitlines()[-1].partition("=")[2]

    unknown = drop("00000000")
    declined = drop(first, text="n\n")
    assert stored() == "shop-key-1,shop-key-2,blog-key-1"
    dropped = drop(first, text="y\n")
    assert stored() == "shop-key-2,blog-key-1"
    last = drop(blog, "--yes")
    assert stored() == "shop-key-2,blog-key-1"
    forced = drop(blog, "--yes", "--last")

    assert stored() == "shop-key-2"
    assert [one.exit_code for one in (unknown, declined, dropped, last, forced)] == [1, 1, 0, 1, 0]
    assert "last active key of the workspace blog" in last.output
    assert "ciolake reload" in dropped.output
    assert "-key-" not in unknown.output + dropped.output + last.output + forced.output


def test_rotate_of_a_workspace_lists_the_new_key_and_keeps_the_others(
    run: Run, tmp_path: Path
) -> None:
    """The other workspace's key stays, and the retired one stays listed."""
    old, new, other = (
        SigningKey.from_text(text).fingerprint
        for text in ("shop-key-1", KEY.secret.decode(), "blog-key-1")
    )
    (tmp_path / ".env").write_text(
        f"CIO_WORKSPACES=shop:{old},blog:{other}\nCIO_WEBHOOK_SIGNING_KEYS=blog-key-1,shop-key-1\n"
    )
    options = ("--key-stdin", "--silent-minutes", "0", "--look-seconds", "0.1")
    with LoopbackReceiver() as receiver:
        unclear = run("rotate", receiver.url, *options, text=f"{KEY.secret.decode()}\n")
        begun = run(
            *("rotate", receiver.url, *options, "--workspace", "shop"),
            text=f"{KEY.secret.decode()}\n",
        )

    text = (tmp_path / ".env").read_text()
    assert "blog, shop" in unclear.output
    assert f"added shop:{new} to CIO_WORKSPACES" in begun.output
    assert f"CIO_WORKSPACES=shop:{old},blog:{other},shop:{new}\n" in text
    # This receiver has no counts, so that the old key stays as well.
    assert f"CIO_WEBHOOK_SIGNING_KEYS={KEY.secret.decode()},shop-key-1,blog-key-1\n" in text
