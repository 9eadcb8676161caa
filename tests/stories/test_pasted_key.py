"""An admin pastes a wrong signing key: it is reported at once, and one command corrects it.

A simulated Customer.io with a virtual clock delivers to a real `ciolake serve`. The sender's rules:
https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import ADMIN_TOKEN
from core.webhooks import specification
from core.webhooks.signature import SigningKey
from databricks_app.cli import ciolake
from databricks_app.simulator.simulator import Simulator
from tests.support.simulating import RecordingReceiver, app_client

HOUR = 3600.0
WRONG = "the-key-of-another-webhook"
WEBHOOK = {"name": "lake", "events": list(specification.subscription_names())}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The admin works in the folder of the receiver, with nothing else configured."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CIO_")]:
        monkeypatch.delenv(name)


def webhook(of: Simulator, endpoint: str, *, is_disabled: bool) -> str:
    """Create the only webhook of the workspace; return its signing key."""
    body = WEBHOOK | {"endpoint": endpoint, "disabled": is_disabled}
    with app_client(of) as app:
        number = app.post("/v1/reporting_webhooks", json=body).json()["id"]
    return of.signing_key(number)


def send_message(of: Simulator) -> None:
    """Cause events."""
    body = {
        "transactional_message_id": 401,
        "to": "ada@example.com",
        "identifiers": {"id": "10001"},
    }
    with app_client(of) as app:
        assert app.post("/v1/send/email", json=body).status_code == 200


@contextmanager
def pressing_send_test(of: Simulator) -> Iterator[None]:
    """Press Send Test again and again during the block."""
    is_over = threading.Event()

    def press() -> None:
        while not is_over.wait(0.1):
            of.test(1)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def set_up(of: Simulator, receiver: Receiver, key: str, *options: str) -> Result:
    """Run `ciolake webhooks setup`, with Send Test pressed meanwhile."""
    words = ["webhooks", "setup", receiver.url, "--key-stdin", "--base-url", of.url]
    pid = ["--pid", str(receiver.process.pid)]
    with pressing_send_test(of):
        return CliRunner().invoke(
            ciolake,
            [*words, *pid, *options],
            input=f"{key}\n",
            env={"CIO_APP_API_KEY": of.workspace.keys.app},
        )


def problems(receiver: Receiver) -> str:
    """What `/readyz` says is wrong."""
    return str(json.loads(receiver.page("/readyz").body)["problems"])


def stored_keys() -> str:
    """The keys in `.env`."""
    lines = Path(".env").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("CIO_WEBHOOK_SIGNING_KEYS=")]
    return line.partition("=")[2]


def test_a_wrong_key_is_reported_within_two_tries_and_fixed_with_one_command(
    make_simulator: Callable[..., Simulator], tmp_path: Path
) -> None:
    """In log, `/readyz` and alert; then Customer.io goes on, and has waited no hour."""
    of = make_simulator()
    (tmp_path / ".env").write_text(
        f"CIO_ADMIN_TOKEN={ADMIN_TOKEN}\nCIO_WEBHOOK_SIGNING_KEYS={WRONG}\n"
    )
    with (
        RecordingReceiver() as alerts,
        serving(
            tmp_path,
            CIO_WEB_WORKERS="1",
            CIO_ALERT_URL=alerts.url,
            CIO_ALERT_LOOK_SECONDS="0.1",
        ) as receiver,
    ):
        key = webhook(of, receiver.url, is_disabled=False)
        send_message(of)
        of.advance(15)

        assert [one.outcome for one in of.attempts()] == [503, 503]
        refused = receiver.logged("request_refused")
        assert ["wrong_signature" in str(one) for one in refused] == [True]
        wait_until(lambda: "CIO_WEBHOOK_SIGNING_KEYS is wrong" in problems(receiver))
        wait_until(lambda: any(b"firing" in one.body for one in alerts.arrivals))
        assert b"wrong_signatures" in alerts.arrivals[0].body

        assert "ciolake webhooks setup" in problems(receiver)
        fixed = set_up(of, receiver, key, "--yes")
        of.advance(HOUR / 10)

        assert fixed.exit_code == 0, fixed.output
        assert stored_keys() == f"{key},{WRONG}"
        assert {one.outcome for one in of.attempts()} == {200, 503}
        waits = [one.next_at - one.at for one in of.attempts() if one.next_at is not None]
        assert max(waits) < HOUR / 10
        assert of.attempts()[-1].ending == "acknowledged"
        wait_until(lambda: "is wrong" not in problems(receiver))
        wait_until(lambda: any(b"resolved" in one.body for one in alerts.arrivals))


@pytest.mark.slow
def test_a_key_that_is_wrong_at_set_up_enables_nothing_and_goes_again(
    make_simulator: Callable[..., Simulator], tmp_path: Path
) -> None:
    """Our own test event passes, Send Test is refused; again with the right key it works."""
    of = make_simulator()
    (tmp_path / ".env").write_text(f"CIO_ADMIN_TOKEN={ADMIN_TOKEN}\nCIO_WEBHOOK_SIGNING_KEYS=\n")
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        key = webhook(of, receiver.url, is_disabled=True)

        failed = set_up(of, receiver, WRONG, "--test-wait", "3")
        feed = of.workspace.feeds.all()[0]
        after_failure = (failed.exit_code, stored_keys(), feed.webhook.disabled)
        done = set_up(of, receiver, key)
        send_message(of)
        of.advance(60)

        fingerprint = SigningKey.from_text(WRONG).fingerprint
        assert after_failure == (1, "", True), failed.output
        assert f"took the key {fingerprint} out again" in failed.output
        assert "the key is mistaken" in failed.output
        assert done.exit_code == 0, done.output
        assert stored_keys() == key
        assert {one.outcome for one in of.attempts()} == {200}
        assert WRONG not in failed.output + receiver.log
