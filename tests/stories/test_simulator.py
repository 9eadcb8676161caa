"""A call to the App API becomes rows of tables, through a real receiver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.exactly_once import is_empty
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from core.webhooks import specification
from databricks_app.lake.local.query import LocalQuery
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.simulating import app_client, make_simulator  # noqa: F401  # a fixture

DAY = 86400.0


def test_messages_become_rows_after_a_safe_set_up(
    make_simulator: Callable[..., Simulator],  # noqa: F811  # the fixture, by its name
    tmp_path: Path,
) -> None:
    """The webhook is created disabled, the receiver gets its key, and then it is enabled."""
    simulator = make_simulator(SimulatorOptions(seed=3, people=20, has_rate_limits=False))
    webhook = {
        "name": "lake",
        "endpoint": "http://127.0.0.1:1/not-yet",
        "events": list(specification.subscription_names()),
        "full_resolution": True,
        "with_content": True,
    }
    with app_client(simulator) as app:
        number = app.post("/v1/reporting_webhooks", json=webhook | {"disabled": True}).json()["id"]
        path = f"/v1/reporting_webhooks/{number}"
        key = simulator.signing_key(number)
        with serving(tmp_path, CIO_WEBHOOK_SIGNING_KEYS=key, CIO_WEB_WORKERS="1") as receiver:
            app.put(path, json=webhook | {"endpoint": receiver.url})
            assert simulator.test(number) == 200
            app.put(path, json=webhook | {"endpoint": receiver.url, "disabled": False})
            for template, channel in ((401, "email"), (403, "push"), (404, "sms"), (405, "in_app")):
                for _ in range(10):
                    body = {
                        "transactional_message_id": template,
                        "to": "all" if channel == "push" else "ada@example.com",
                        "identifiers": {"id": "10001"},
                    }
                    assert app.post(f"/v1/send/{channel}", json=body).status_code == 200
            simulator.advance(7 * DAY)

            sent = {one.event_id for one in simulator.attempts()}
            assert {one.outcome for one in simulator.attempts()} == {200}
            query = LocalQuery(tmp_path / "data")
            wait_until(lambda: rows(query, "raw") == len(sent) + 1, 60)  # and the test's event
            wait_until(lambda: is_empty(tmp_path / "data"), 60)  # raw rows come before typed ones
            typed = sum(rows(query, kind) for kind in ("email", "push", "sms", "in_app"))
            changes = rows(query, "customer")

    assert len(sent) > 80
    assert typed + changes == len(sent) + 1


def rows(query: LocalQuery, kind: str) -> int:
    """Count the rows of a table."""
    return int(str(query.run(f"SELECT count(*) FROM webhook_{kind}_events").rows[0][0]))
