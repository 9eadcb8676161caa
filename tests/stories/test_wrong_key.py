"""An admin pastes a wrong signing key: that never costs an hour.

The sender obeys the vendor's rules on a virtual clock: an hour after 401, soon after 503.
https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from core.webhooks.signature import TEST_HEADER, SigningKey, sign
from databricks_app.app import create_app
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.verified_keys import VerifiedKeys
from databricks_app.operations.alerting.process import sample
from databricks_app.operations.alerting.rules import AlertChange, AlertRules
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.shared_marks import SharedMarks
from databricks_app.runtime.status import RUN_DIR
from databricks_app.settings import Settings
from databricks_app.simulator.schedule import Ending, RetryRules, RetryState, next_state
from tests.support.still_time import FixedClock

HOUR = 3600.0
RIGHT, PASTED = SigningKey.from_text("test_signing_key"), SigningKey.from_text("a wrong paste")
BODY = b'{"event_id":"e1"}'


@dataclass
class Vendor:
    """One event of Customer.io, tried by its rules until it is acknowledged."""

    now: FixedClock
    rules: RetryRules = field(default_factory=RetryRules)

    def __post_init__(self) -> None:
        self.state: RetryState | Ending = RetryState(self.now.at)
        self.statuses: list[int] = []
        self.waits: list[float] = []

    def deliver(self, client: FlaskClient, until: float) -> None:
        """Try when a try is due, until a time or an acknowledgement."""
        while isinstance(self.state, RetryState) and self.state.next_at <= until:
            self.now.at = self.state.next_at
            status = post(client, RIGHT, self.now)
            self.statuses.append(status)
            self.state = next_state(self.state, status, self.now.at, self.rules)
            if isinstance(self.state, RetryState):
                self.waits.append(self.state.next_at - self.now.at)
        self.now.at = max(self.now.at, until)


def post(client: FlaskClient, key: SigningKey, now: FixedClock, **headers: str) -> int:
    """Post the event, signed now."""
    at = int(now())
    signed = {"X-CIO-Timestamp": str(at), "X-CIO-Signature": sign(key, at, BODY)}
    return client.post(WEBHOOK_PATH, data=BODY, headers=signed | headers).status_code


@pytest.fixture
def receiver(
    settings: Settings,
    inbox: LocalInbox,
    now: FixedClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., FlaskClient]:
    """A web process of one `ciolake serve`; a reload makes another one in the same run folder."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv(RUN_DIR, str(tmp_path / "run"))

    def make(key: SigningKey, metrics: Metrics | None = None, **changed: object) -> FlaskClient:
        made = replace(settings, signing_keys=(key,), **changed)  # type: ignore[arg-type]
        return create_app(made, inbox=inbox, now=now, metrics=metrics).test_client()

    return make


def test_a_wrong_key_at_set_up_costs_no_hour(
    receiver: Callable[..., FlaskClient], now: FixedClock
) -> None:
    """Set-up's own event passes, Customer.io's waits minutes, and goes on after the correction."""
    wrong = receiver(PASTED)
    assert post(wrong, PASTED, now, **{TEST_HEADER: "1"}) == 200

    vendor = Vendor(now)
    vendor.deliver(wrong, now.at + 300)
    corrected_at = now.at
    vendor.deliver(receiver(RIGHT), now.at + HOUR)

    assert vendor.state is Ending.ACKNOWLEDGED
    assert set(vendor.statuses) == {200, 503}
    assert max(vendor.waits) < HOUR / 10
    assert sum(vendor.waits) < corrected_at - 1_700_000_000 + HOUR / 10


@pytest.mark.parametrize("status", [None, 401])
def test_the_first_refusal_of_a_wrong_key_is_an_alert_until_the_key_is_right(
    receiver: Callable[..., FlaskClient], now: FixedClock, tmp_path: Path, status: int | None
) -> None:
    """With one try an hour (always 401) too: one alert, no flapping, `/readyz` says the same."""
    metrics, rules = Metrics(), AlertRules()
    client = receiver(PASTED, metrics, unverified_status=status)
    verified = VerifiedKeys([PASTED], {}, SharedMarks(tmp_path / "run"))
    vendor, changes = Vendor(now), list[AlertChange]()
    started_at = now.at

    def look(client: FlaskClient, keys: VerifiedKeys, until: float) -> None:
        while now.at < until:
            vendor.deliver(client, now.at + 600)
            changes.extend(
                rules.observe(sample(metrics.totals(), Pending(0, 0, None), now.at, keys))
            )

    look(client, verified, started_at + 30 * HOUR)
    assert [(one.alert, one.state) for one in changes] == [("wrong_signatures", "firing")]
    assert changes[0].at == started_at + 600
    page = client.get("/readyz", headers={"Authorization": "Bearer right_token"}).json or {}
    assert "CIO_WEBHOOK_SIGNING_KEYS is wrong" in str(page["problems"])

    right = VerifiedKeys([RIGHT], {}, SharedMarks(tmp_path / "run"))
    look(receiver(RIGHT, metrics), right, now.at + 4 * HOUR)
    assert [one.state for one in changes] == ["firing", "resolved"]


def test_a_wrong_key_in_a_busy_receiver_costs_no_hour(
    receiver: Callable[..., FlaskClient], now: FixedClock
) -> None:
    """What the replaced key has verified says nothing about the new one."""
    assert post(receiver(RIGHT), RIGHT, now) == 200

    vendor = Vendor(now)
    vendor.deliver(receiver(PASTED), now.at + 300)
    vendor.deliver(receiver(RIGHT), now.at + HOUR)

    assert vendor.state is Ending.ACKNOWLEDGED
    assert set(vendor.statuses) == {200, 503}
    assert max(vendor.waits) < HOUR / 10
