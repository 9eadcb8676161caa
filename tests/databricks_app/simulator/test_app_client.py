"""The project's client of the App API works with the simulator; only its `base_url` differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from core.app_api import AppClient
from core.errors import AuthenticationError, BadRequestError, NotFoundError, RateLimitError
from core.http.retries import RetryPolicy
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.simulating import call

ONCE = RetryPolicy(1)


@pytest.fixture
def client(simulator: Simulator) -> Iterator[AppClient]:
    """A client of `simulator` that does not retry."""
    key = simulator.workspace.keys.app
    with AppClient(key, base_url=simulator.url, retries=ONCE) as running:
        yield running


def test_the_client_manages_webhooks(simulator: Simulator, client: AppClient) -> None:
    """It creates, lists, changes and deletes one."""
    created = client.reporting_webhooks.create(
        {"name": "lake", "endpoint": "https://lake.example.com/", "events": ["email_sent"]}
    )
    number = created["id"]
    assert client.reporting_webhooks.list()["reporting_webhooks"] == [created]
    client.reporting_webhooks.update(
        number, {"name": "l", "endpoint": "https://lake.example.com/", "events": ["sms_sent"]}
    )
    assert client.reporting_webhooks.get(number)["events"] == ["sms_sent"]

    client.reporting_webhooks.delete(number)

    with pytest.raises(NotFoundError):
        client.reporting_webhooks.get(number)
    assert simulator.workspace.feeds.all() == []


def test_the_client_reads_all_pages(simulator: Simulator, client: AppClient) -> None:
    """It reads ten people in pages of four."""
    people = list(client.segments.membership(1, limit=4))

    assert len(people) == 10
    assert client.segments.customer_count(1)["count"] == 10
    assert list(client.messages.list()) == []
    assert len(simulator.workspace.people) == 10


def test_the_client_raises_its_own_errors(simulator: Simulator, client: AppClient) -> None:
    """An invalid body, a wrong key and a rate limit each have their error."""
    with pytest.raises(BadRequestError, match=r"segment\.name is required"):
        client.segments.create({"segment": {"name": ""}})
    with (
        AppClient("wrong", base_url=simulator.url, retries=ONCE) as other,
        pytest.raises(AuthenticationError),
    ):
        other.segments.list()

    fault = {"operation": "listSegments", "status": 429, "retry_after": 1}
    call("POST", f"{simulator.url}/simulator/faults", json=fault)
    with pytest.raises(RateLimitError) as caught:
        client.segments.list()
    assert caught.value.retry_after_seconds == 1


def test_the_client_copes_with_the_rate_limit_of_the_simulator(
    make_simulator: Callable[..., Simulator],
) -> None:
    """More calls than the limit allows succeed: the client waits, and retries a 429."""
    simulator = make_simulator(SimulatorOptions(people=0))
    with AppClient(simulator.workspace.keys.private, base_url=simulator.url) as client:
        for _ in range(15):
            assert client.segments.list()["segments"]
