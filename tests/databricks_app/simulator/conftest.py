"""What the simulator's tests share: a simulator that stands still, a client, a receiver."""

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
    """A receiver that takes everything, until its `status` says otherwise."""
    with RecordingReceiver() as opened:
        yield opened


@pytest.fixture
def subscribe(receiver: RecordingReceiver) -> Callable[..., int]:
    """Let `receiver` get all events of a simulator: `subscribe(simulator, **fields)`; the id."""

    def create(simulator: Simulator, **fields: Any) -> int:  # noqa: F811  # the same
        events = list(specification.subscription_names())
        whole = {"name": "lake", "endpoint": receiver.url, "events": events} | fields
        with app_client(simulator) as client:
            answer = client.post("/v1/reporting_webhooks", json=whole)
        assert answer.status_code == 200, answer.text
        number = int(answer.json()["id"])
        receiver.key = SigningKey.from_text(simulator.signing_key(number))
        return number

    return create
