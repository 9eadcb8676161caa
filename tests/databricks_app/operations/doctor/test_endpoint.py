"""The checks of `ciolake doctor` that go over HTTP, against what may stand at the endpoint."""

from __future__ import annotations

import hmac
import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import ADMIN_TOKEN, KEY, request, signed
from core.webhooks import specification
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import LakeError
from databricks_app.operations.doctor import endpoint, run
from databricks_app.operations.doctor.context import DoctorContext, WaitLimits, open_context
from databricks_app.operations.doctor.result import CheckResult, ok
from databricks_app.operations.doctor.run import Check, checks, run_checks
from databricks_app.operations.workspaces.app_api import AppApiOptions
from databricks_app.simulator.simulator import Simulator
from tests.support.loopback_receiver import unused_destination
from tests.support.relay_platform import Platform, page
from tests.support.relay_process import relaying
from tests.support.simulating import app_client, make_simulator, simulator  # noqa: F401

Said = tuple[int, bytes, str | None]


class Web:
    """Answers by path what it is told to, with a body and perhaps a Location.

    Attributes:
        says: By path; 404 otherwise.
        bearers: The Authorization headers that came.
    """

    def __init__(self) -> None:
        """Begin to answer on a free loopback port."""
        self.says: dict[str, Said] = {
            "/healthz": (200, b"alive\n", None),
            WEBHOOK_PATH: (401, b"", None),
        }
        self.bearers: list[str | None] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, location = web.says.get(self.path, (404, b"", None))
                web.bearers.append(self.headers["Authorization"])
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if location is not None:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    """What answers as a relay would."""
    web = Web()
    yield web
    web.close()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A running `ciolake serve`."""
    with serving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


def context_of(data: Path, url: str | None = None, **variables: str) -> DoctorContext:
    """The context of a data folder; nothing is waited for long."""
    given = {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_DATA_DIR": str(data), "PORT": "0"}
    given["CIO_ADMIN_TOKEN"] = ADMIN_TOKEN
    return open_context(given | variables, url, limits=WaitLimits(canary=0.3))


def found(context: DoctorContext, name: str) -> CheckResult:
    """What one check finds."""
    (check,) = [one for one in checks(context) if one.name == name]
    with closing(context):
        return check.look(context)


def test_a_receiver_with_another_key_refuses_the_canary(receiver: Receiver) -> None:
    """It verifies, so only the canary fails, and says which way to look."""
    context = context_of(receiver.folder / "data", receiver.url, CIO_WEBHOOK_SIGNING_KEYS="other")

    with closing(context):
        results = {one.name: one for one in run_checks(context)}

    assert results["verifies"].state == "ok"
    assert results["canary"].state == "failure"
    assert "401 instead of 200" in results["canary"].says
    assert "does not have this signing key" in results["canary"].says + results["canary"].fix


def test_a_canary_that_is_no_row_in_time_fails(receiver: Receiver, tmp_path: Path) -> None:
    """As where the doctor looks into another folder than the receiver writes to."""
    result = found(context_of(tmp_path, receiver.url), "canary")

    assert result.state == "failure"
    assert "not in the tables" in result.says
    assert "CIO_FLUSH_INTERVAL_SECONDS" in result.fix


def test_503_means_setup_or_a_receiver_without_a_key(tmp_path: Path) -> None:
    """503 to a wrong signature is a setting, or a receiver that cannot store."""
    (tmp_path / "a").mkdir()
    with serving(tmp_path / "a", CIO_WEBHOOK_SIGNING_KEYS="", CIO_WEB_WORKERS="1") as receiver:
        keyless = found(context_of(tmp_path, receiver.url), "verifies")
        set_up = found(context_of(tmp_path, receiver.url, CIO_UNVERIFIED_STATUS="503"), "verifies")
        ready = found(context_of(tmp_path, receiver.url), "ready")

    assert keyless.state == "failure"
    assert "no signing key" in keyless.says
    assert set_up.state == "warning"
    assert "CIO_UNVERIFIED_STATUS=auto" in set_up.fix
    assert ready.state == "failure"
    assert "status refusing" in ready.says
    assert "CIO_WEBHOOK_SIGNING_KEYS" in ready.says


@pytest.mark.parametrize(
    ("status", "text", "location", "words"),
    [
        (302, b"", "https://login.example.com/", "redirect (302)"),
        (200, b"<!doctype html><form>", None, "web page (200)"),
        (200, b"hello", None, "another program"),
        (404, b"", None, "404 instead of 200"),
    ],
)
def test_another_server_at_the_endpoint_is_a_failure(
    web: Web, tmp_path: Path, status: int, text: bytes, location: str | None, words: str
) -> None:
    """A redirect, a login page, another program; what follows is skipped."""
    web.says["/healthz"] = (status, text, location)

    context = context_of(tmp_path, web.url)
    with closing(context):
        results = {one.name: one for one in run_checks(context)}

    assert results["endpoint"].state == "failure"
    assert words in results["endpoint"].says
    assert results["endpoint"].fix
    assert results["verifies"].says == "not checked, because the check endpoint failed"
    assert results["canary"].says == "not checked, because the check verifies was skipped"


@pytest.mark.slow
def test_a_relay_is_checked_like_a_receiver(receiver: Receiver, tmp_path: Path) -> None:
    """It is alive, verifies and forwards, and has no /readyz; what is wrong behind it is told."""
    with (
        Platform(app=receiver.address) as platform,
        relaying(tmp_path / "relay", platform) as relay,
    ):
        context = context_of(receiver.folder / "data", relay.url)
        with closing(replace(context, limits=WaitLimits(canary=20))) as context:
            good = {one.name: one.state for one in run_checks(context)}
        platform.always = page(200)
        broken = found(context, "canary")

    assert (good["endpoint"], good["verifies"], good["canary"]) == ("ok", "ok", "ok")
    assert good["ready"] == "skipped"
    assert broken.state == "failure"
    assert "503 instead of 200" in broken.says


def test_an_unknown_endpoint_is_skipped(tmp_path: Path) -> None:
    """Port 0 names no port; the option does."""
    result = found(context_of(tmp_path), "endpoint")

    assert result.state == "skipped"
    assert "--url" in result.fix


def test_a_login_in_front_of_the_receiver_is_a_failure(web: Web, tmp_path: Path) -> None:
    """A Databricks App answers 401 with a body; the relay is what helps."""
    web.says[WEBHOOK_PATH] = (401, b"{}", None)

    result = found(context_of(tmp_path, web.url), "verifies")

    assert result.state == "failure"
    assert "refuses the request (401)" in result.says
    assert "relay" in result.fix


def test_an_endpoint_that_accepts_everything_is_a_failure(web: Web, tmp_path: Path) -> None:
    """200 to a wrong signature: whoever answers does not verify."""
    web.says[WEBHOOK_PATH] = (200, b"", None)

    assert (
        "accepts an event with a wrong signature"
        in found(context_of(tmp_path, web.url), "verifies").says
    )


def test_an_endpoint_that_disappears_fails_each_check(tmp_path: Path) -> None:
    """With the way to mend it."""
    url = unused_destination().url

    said = [found(context_of(tmp_path, url), name) for name in ("endpoint", "verifies", "ready")]

    assert {one.state for one in said} == {"failure"}
    assert all("ciolake serve" in one.fix for one in said)
    assert found(context_of(tmp_path, url), "canary").state == "failure"


@pytest.mark.parametrize(
    ("body", "state", "words"),
    [
        ({"status": "ok"}, "ok", "status ok"),
        ({"status": "degraded"}, "warning", "status degraded"),
        (
            {"status": "degraded", "problems": ["7 rightly signed requests came outside"]},
            "warning",
            "degraded: 7 rightly signed requests",
        ),
        ({"status": "refusing", "problems": ["the inbox is full"]}, "failure", "inbox is full"),
        ({}, "skipped", "a relay has none"),
    ],
)
def test_status_and_problems_of_readyz_are_reported(
    web: Web, tmp_path: Path, body: dict[str, object], state: str, words: str
) -> None:
    """Its problems in its own words, stale timestamps among them; a relay has no such page."""
    web.says["/readyz"] = (200, json.dumps(body).encode(), None)

    result = found(context_of(tmp_path, web.url, CIO_ADMIN_TOKEN="of-the-admin"), "ready")

    assert result.state == state
    assert words in result.says
    assert web.bearers == ["Bearer of-the-admin"]


@pytest.mark.slow
def test_requests_outside_the_window_are_counted_by_the_receiver(tmp_path: Path) -> None:
    """None, then one that was refused; where they are accepted that is as it was set."""
    body = event("late")
    old = signed(body, timestamp=int(time.time()) - 4000)
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        none = found(context_of(tmp_path, receiver.url), "timestamps")
        answer = receiver.post(request(body, old))
        wait_until(lambda: b"timestamp_age_seconds_count 1" in receiver.page("/metrics").body)
        refused = found(context_of(tmp_path, receiver.url), "timestamps")
        context = context_of(tmp_path, receiver.url, CIO_STALE_TIMESTAMPS="accept")
        accepted = found(context, "timestamps")

    assert answer.status == 401
    assert (none.state, refused.state, accepted.state) == ("ok", "warning", "ok")
    assert refused.says.startswith("1 requests with a valid signature were refused")
    assert "half of them came up to 7,200 s after" in refused.says
    assert "NTP" in refused.fix
    assert "were accepted" in accepted.says


def test_the_most_frequent_fault_of_signatures_is_named_with_its_fix(tmp_path: Path) -> None:
    """None, then two of one fault and one of another; a stranger's request is no warning."""
    body = event("faulty")
    only = hmac.new(KEY.encode(), body, "sha256").hexdigest()
    base64 = b64encode(bytes.fromhex(only)).decode()
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        none = found(context_of(tmp_path, receiver.url), "signatures")
        for signature in (only, base64, base64):
            receiver.post(request(body, {"X-CIO-Signature": signature}))
        wait_until(lambda: b'faults_total{reason="base64' in receiver.page("/metrics").body)
        wait_until(lambda: b'"base64_signature"' in receiver.page("/readyz").body)
        several = found(context_of(tmp_path, receiver.url), "signatures")
        receiver.post(request(body))
        wait_until(lambda: b'"base64_signature"' not in receiver.page("/readyz").body)
        proven = found(context_of(tmp_path, receiver.url), "signatures")

    assert (none.state, several.state, proven.state) == ("ok", "warning", "warning")
    assert "3 requests were refused" in several.says
    assert "base64_signature (2)" in several.says
    assert "another program signs" in several.fix
    assert "body_only (1)" in proven.says
    assert "must sign `v0:`" in proven.fix


@pytest.mark.parametrize(
    ("metrics", "readyz", "state"),
    [
        ("", "{}", "skipped"),
        ("<html>", '{"signature_faults": []}', "skipped"),
        ("ciolake_inbox_pending_events 0\n", '{"status": "ok"}', "skipped"),
        ("ciolake_inbox_pending_events 0\n", "[]", "skipped"),
        ("ciolake_inbox_pending_events 0\n", '{"signature_faults": []}', "ok"),
        ("ciolake_inbox_pending_events 0\n", '{"signature_faults": ["unknown"]}', "warning"),
    ],
)
def test_pages_that_do_not_show_faults_are_skipped(
    web: Web, tmp_path: Path, metrics: str, readyz: str, state: str
) -> None:
    """A relay, an earlier version, another program."""
    web.says["/metrics"] = (200, metrics.encode(), None)
    web.says["/readyz"] = (200, readyz.encode(), None)

    assert found(context_of(tmp_path, web.url), "signatures").state == state


@pytest.mark.parametrize("text", ["", "<html>", "ciolake_stale_timestamp_age_seconds_count 1\n"])
def test_an_endpoint_that_does_not_count_them_is_skipped(
    web: Web, tmp_path: Path, text: str
) -> None:
    """A relay, or something else."""
    web.says["/metrics"] = (200, text.encode(), None)

    assert found(context_of(tmp_path, web.url), "timestamps").state == "skipped"


def test_metrics_that_need_a_token_are_skipped(web: Web, tmp_path: Path) -> None:
    """With what would show them; the token is sent where there is one."""
    web.says["/metrics"] = (403, b"Only from this machine itself", None)

    result = found(context_of(tmp_path, web.url, CIO_ADMIN_TOKEN="of-the-admin"), "timestamps")
    away = found(context_of(tmp_path, unused_destination().url), "timestamps")

    assert (result.state, away.state) == ("skipped", "skipped")
    assert "403" in result.says
    assert "CIO_ADMIN_TOKEN" in result.fix
    assert "does not answer" in away.says
    assert web.bearers == ["Bearer of-the-admin"]


def test_the_admin_token_is_never_sent_without_tls(web: Web, tmp_path: Path) -> None:
    """Only over TLS, or to this machine itself."""
    context = context_of(tmp_path, web.url.replace("127.0.0.1", "127.0.0.2"), CIO_ADMIN_TOKEN="t")

    result = found(context, "ready")

    assert result.state == "failure"
    assert web.bearers == []


def test_the_address_of_the_relay_is_a_setting(tmp_path: Path) -> None:
    """So that it need not be given each time; with a workspace the receiver is not here."""
    relay = context_of(tmp_path, CIO_RELAY_URL="https://relay.example.com")
    remote = context_of(
        tmp_path,
        CIO_STORE="databricks",
        CIO_CATALOG="main",
        DATABRICKS_HOST="x.example.com",
        DATABRICKS_TOKEN="t",
        PORT="8000",
    )
    remote.close()

    assert relay.destination is not None
    assert relay.destination.url == f"https://relay.example.com:443{WEBHOOK_PATH}"
    assert relay.is_public
    assert remote.destination is None


def test_a_check_that_hangs_or_raises_does_not_stop_the_others(tmp_path: Path) -> None:
    """Each ends with a failure of its own, whose text holds nothing of what it met."""
    ending = threading.Event()

    def hang(_case: DoctorContext) -> CheckResult:
        ending.wait()
        return ok("")

    def breaks(_case: DoctorContext) -> CheckResult:
        raise RuntimeError("ada@example.com")

    def refuses(_case: DoctorContext) -> CheckResult:
        raise LakeError("The table is damaged.")

    context = context_of(tmp_path)
    late = run.run_check(Check("late", hang, seconds=0.1), context)
    ending.set()
    broken = run.run_check(Check("broken", breaks), context)
    refused = run.run_check(Check("refused", refuses), context)

    assert {late.state, broken.state, refused.state} == {"failure"}
    assert late.says == "the check late: abandoned after 0.1 s."
    assert "RuntimeError" in broken.says
    assert "ada" not in broken.says
    assert refused.says == "The table is damaged."


def test_a_canary_without_a_key_is_skipped(web: Web, tmp_path: Path) -> None:
    """Nothing can be signed."""
    result = endpoint.arrives(open_context({"CIO_DATA_DIR": str(tmp_path)}, web.url))

    assert result.state == "skipped"


def subscribed(simulator: Simulator, url: str, **fields: object) -> None:  # noqa: F811
    """Let Customer.io post to a URL."""
    body = {
        "name": "lake",
        "endpoint": url,
        "events": list(specification.subscription_names()),
    } | fields
    with app_client(simulator) as client:
        assert client.post("/v1/reporting_webhooks", json=body).status_code == 200


def webhook(simulator: Simulator, data: Path, url: str | None, key: str = "") -> CheckResult:  # noqa: F811
    """What is found of Customer.io's webhooks."""
    context = context_of(data, url, CIO_APP_API_KEY=key or simulator.workspace.keys.app)
    return found(replace(context, app_api=AppApiOptions(base_url=simulator.url)), "webhook")


def test_customer_io_posts_to_the_endpoint(simulator: Simulator, tmp_path: Path) -> None:  # noqa: F811
    """Or to another address, or there is no webhook; each with what to do."""
    url = f"https://lake.example.com{WEBHOOK_PATH}"
    none = webhook(simulator, tmp_path, url)
    subscribed(simulator, f"{url}?token=secret", disabled=True)
    disabled = webhook(simulator, tmp_path, url)
    subscribed(simulator, f"{url}/?token=secret")
    same = webhook(simulator, tmp_path, url)
    other = webhook(simulator, tmp_path, "https://else.example.com")
    unnamed = webhook(simulator, tmp_path, None)

    assert (none.state, disabled.state, other.state) == ("failure", "failure", "failure")
    assert "no reporting webhook" in none.says
    assert "enable" in disabled.fix
    assert same.says == "Customer.io posts to https://lake.example.com"
    assert other.says == (
        "Customer.io posts to https://lake.example.com, not to https://else.example.com"
    )
    assert (same.state, unnamed.state) == ("ok", "ok")
    assert "--url" in unnamed.says


def test_a_wrong_api_key_is_told_and_not_shown(simulator: Simulator, tmp_path: Path) -> None:  # noqa: F811
    """By the kind of the error; without a key nobody is asked."""
    wrong = webhook(simulator, tmp_path, None, "0123456789abcdef0123456789abcdef")
    unasked = found(context_of(tmp_path), "webhook")

    assert wrong.state == "failure"
    assert "AuthenticationError" in wrong.says
    assert "0123456789" not in wrong.says
    assert "CIO_APP_API_KEY" in wrong.fix
    assert unasked.state == "skipped"


def test_each_workspace_with_a_key_is_asked(simulator: Simulator, tmp_path: Path) -> None:  # noqa: F811
    """The worst of them is the outcome, and each says what it is about."""
    subscribed(simulator, f"https://lake.example.com{WEBHOOK_PATH}")
    key = simulator.workspace.keys.app
    variables = {
        "CIO_WORKSPACES": "blog:11111111,shop:22222222,wiki:33333333",
        "CIO_APP_API_KEYS": f"shop:{key},blog:0123456789abcdef0123456789abcdef",
        "CIO_APP_API_KEY": "",
    }
    options = AppApiOptions(base_url=simulator.url)

    every = found(replace(context_of(tmp_path, **variables), app_api=options), "webhook")
    one = found(
        replace(context_of(tmp_path, **variables), app_api=replace(options, workspace="shop")),
        "webhook",
    )

    assert every.state == "failure"
    assert "blog: a call of Customer.io's App API failed (AuthenticationError)" in every.says
    assert "shop: Customer.io posts to https://lake.example.com" in every.says
    assert "wiki: the App API was not called: " in every.says
    assert key not in every.says + every.fix
    assert one.state == "ok"
