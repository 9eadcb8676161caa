"""From the set-up to a number in a view: every step as a user does it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from benchmarks.harness.exactly_once import is_empty, raw_ids
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from core.app_api import AppClient
from databricks_app.lake.local.query import LocalQuery
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.exactly_once import assert_exactly_once

DAY = 86400.0
TEMPLATE = 401


def press_send_test(simulator: Simulator, webhook: int, is_over: Event) -> None:
    """Press it in Customer.io again and again, until the command has seen the event."""
    while not is_over.wait(0.2):
        simulator.test(webhook)


def set_up(simulator: Simulator, receiver: Receiver) -> str:
    """Run the command; give it the key that the vendor's page shows when there is a webhook."""
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "databricks_app", "webhooks", "setup", receiver.url),
            *("--base-url", simulator.url, "--pid", str(receiver.process.pid), "--key-stdin"),
            "--full-resolution",
        ],
        cwd=receiver.folder,
        env=os.environ | {"CIO_APP_API_KEY": simulator.workspace.keys.app},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with AppClient(simulator.workspace.keys.app, base_url=simulator.url) as app:
        webhooks = app.reporting_webhooks
        wait_until(lambda: bool(webhooks.list()["reporting_webhooks"]))
        (made,) = webhooks.list()["reporting_webhooks"]
        assert made["disabled"]
        assert command.stdin is not None
        command.stdin.write(simulator.signing_key(made["id"]) + "\n")
        command.stdin.close()
        pressing = Event()
        presser = Thread(target=press_send_test, args=(simulator, made["id"], pressing))
        presser.start()
        assert command.stdout is not None
        with command.stdout as output:
            said = output.read()
        command.wait(90)
        pressing.set()
        presser.join()
        assert command.returncode == 0, said
        assert not webhooks.get(made["id"])["disabled"]
    return said


@pytest.mark.slow
def test_a_message_sent_through_the_client_is_counted_in_a_view(
    make_simulator: Callable[..., Simulator],
    tmp_path: Path,
) -> None:
    """The command registers the webhook; events become rows, and the view counts them."""
    simulator = make_simulator(SimulatorOptions(seed=5, people=20, has_rate_limits=False))
    (tmp_path / ".env").write_text("CIO_WEBHOOK_SIGNING_KEYS=not-yet-a-key\n")
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        data = tmp_path / "data"
        wait_until(lambda: (data / "tables").is_dir())
        said = set_up(simulator, receiver)
        wait_until(lambda: is_empty(data), 60)
        tests = raw_ids(data)
        with AppClient(simulator.workspace.keys.app, base_url=simulator.url) as app:
            for _ in range(12):
                queued = app.send.email(
                    {
                        "transactional_message_id": TEMPLATE,
                        "to": "ada@example.com",
                        "identifiers": {"id": "10001"},
                    }
                )
                assert queued["delivery_id"]
        simulator.advance(7 * DAY)

        sent = simulator.attempts()
        assert {one.outcome for one in sent} == {200}
        ids = {one.event_id for one in sent}
        wait_until(lambda: is_empty(data), 60)
        query = LocalQuery(data)
        assert_exactly_once(data, [*ids, *tests])
        figures = query.run(
            "SELECT deliveries, sent_deliveries, delivered_deliveries, opened_deliveries"
            f" FROM campaign_performance WHERE kind = 'transactional' AND id = '{TEMPLATE}'"
        ).rows

    assert [row[0] for row in figures] == [12]
    assert figures[0][1] >= figures[0][2] >= figures[0][3] > 0
    assert simulator.signing_key(1) not in said + receiver.log
