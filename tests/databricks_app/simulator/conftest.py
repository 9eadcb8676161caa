"""Shared fixtures: a simulator whose clock stands still, a client of it, and a receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.webhooks import specification
from core.webhooks.signature import SigningKey
from databricks_app.simulator.simulator import Simulator
from tests.support.simulating import RecordingReceiver, app, app_client, make_simulator, simulator  # noqa: F401


@pytest.fixture
def receiver() -> Iterator[RecordingReceiver]:
    """A receiver that answers 200 until a test sets its `status`."""
    with RecordingReceiver() as running:
        yield running


@pytest.fixture
def subscribe(receiver: RecordingReceiver) -> Callable[..., int]:
    """Create a webhook that posts all events to `receiver`; returns its id.

    `subscribe(simulator, **fields)`: the fields replace those of the webhook.
    """

    def create(simulator: Simulator, **fields: Any) -> int:  # noqa: F811  # an argument, not a fixture
        events = list(specification.subscription_names())
        webhook = {"name": "lake", "endpoint": receiver.url, "events": events} | fields
        with app_client(simulator) as client:
            answer = client.post("/v1/reporting_webhooks", json=webhook)
        assert answer.status_code == 200, answer.text
        webhook_id = int(answer.json()["id"])
        receiver.key = SigningKey.from_text(simulator.signing_key(webhook_id))
        return webhook_id

    return create
