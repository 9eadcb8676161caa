"""The Pipelines API of the simulator, called by the project's own client and by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from core.errors import AuthenticationError, RateLimitError
from core.http.retries import RetryPolicy
from core.pipelines import PipelinesClient
from databricks_app.simulator.simulator import Simulator
from tests.support.simulating import RecordingReceiver, call

ONCE = RetryPolicy(1)


@pytest.fixture
def pipelines(simulator: Simulator) -> Iterator[PipelinesClient]:
    """The project's client of `simulator`, in strict mode."""
    key = simulator.workspace.keys.pipelines
    with PipelinesClient(key, base_url=simulator.url, retries=ONCE) as client:
        yield client


def by_hand(simulator: Simulator, path: str, body: Any, *, strict: bool = False) -> httpx2.Response:
    """Post what the client would refuse to send."""
    return call(
        "POST",
        f"{simulator.url}/v1/{path}",
        auth=(simulator.workspace.keys.pipelines, ""),
        headers={"X-Strict-Mode": "1"} if strict else {},
        content=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def attributes(app: httpx2.Client, person: str) -> dict[str, Any]:
    """Return what the App API shows of a person."""
    shown: dict[str, Any] = app.get(f"/v1/customers/{person}/attributes").json()["customer"]
    return shown


def events(receiver: RecordingReceiver) -> list[dict[str, Any]]:
    """Return the events that came."""
    return [json.loads(arrival.body) for arrival in receiver.arrivals]


def test_all_seven_calls_are_taken(pipelines: PipelinesClient, simulator: Simulator) -> None:
    """In strict mode, by people with and without an id; nothing is dropped."""
    pipelines.identify("u", {"plan": "gold"})
    pipelines.identify(anonymous_id="a")
    pipelines.track("u", event="Ordered", properties={"total": 5})
    pipelines.track(anonymous_id="a", event="Looked")
    pipelines.track(group_id="g", event="Grew")
    pipelines.page("u", name="Home")
    pipelines.screen("u", name="Start")
    pipelines.group("u", group_id="g", traits={"object_type_id": "1"})
    pipelines.alias("u", previous_id="a")
    pipelines.batch([{"type": "identify", "userId": "v", "traits": {}}])

    assert simulator.workspace.dropped == []


def test_identify_changes_what_the_app_api_shows(
    pipelines: PipelinesClient, app: httpx2.Client
) -> None:
    """Traits not named stay; an empty one goes."""
    pipelines.people.create("u", {"email": "u@example.com", "plan": "gold", "age": 30})
    pipelines.people.update("u", {"age": "", "email": "v@example.com"})

    shown = attributes(app, "u")
    assert shown["attributes"]["plan"] == "gold"
    assert "age" not in shown["attributes"]
    assert shown["identifiers"]["email"] == "v@example.com"
    assert app.get("/v1/customers", params={"email": "u@example.com"}).json()["results"] == []


def test_somebody_known_by_address_gets_the_id_that_comes_with_it(
    pipelines: PipelinesClient, app: httpx2.Client, simulator: Simulator
) -> None:
    """One person, not two."""
    before = len(simulator.workspace.people)
    pipelines.people.create("ada@example.com", {"plan": "gold"})

    pipelines.people.create("u", {"email": "ada@example.com"})

    assert attributes(app, "u")["attributes"]["plan"] == "gold"
    assert len(simulator.workspace.people) == before + 1


def test_events_of_people_are_their_activities(
    pipelines: PipelinesClient, app: httpx2.Client
) -> None:
    """Newest first, by type and name."""
    pipelines.track("u", event="Ordered", properties={"total": 5})
    pipelines.page("u", name="Home")

    every = app.get("/v1/customers/u/activities").json()["activities"]
    assert [one["type"] for one in every] == ["page", "event"]
    query = {"type": "event", "name": "Ordered"}
    (ordered,) = app.get("/v1/customers/u/activities", params=query).json()["activities"]
    assert ordered["data"] == {"name": "Ordered", "data": {"total": 5}}


def test_deleted_people_are_gone_and_suppressed_ones_stay_away(
    pipelines: PipelinesClient, app: httpx2.Client
) -> None:
    """A deleted person can come again, a suppressed one only after the opposite."""
    path = "/v1/customers/u/attributes"
    pipelines.people.create("u")
    pipelines.people.delete("u")
    assert app.get(path).status_code == 404

    pipelines.people.create("u")
    pipelines.people.suppress("u")
    pipelines.people.create("u")
    pipelines.relationships.create("u", "acme")
    assert app.get(path).status_code == 404

    pipelines.people.unsuppress("u")
    pipelines.people.create("u")
    assert app.get(path).status_code == 200
    pipelines.people.delete("nobody")


def test_devices_come_and_go(pipelines: PipelinesClient, app: httpx2.Client) -> None:
    """With their platform and attributes."""
    pipelines.devices.register("u", "token", type="ios", attributes={"os": "18"})
    (device,) = attributes(app, "u")["devices"]
    assert (device["id"], device["platform"]) == ("token", "ios")

    pipelines.devices.delete("u", "token")
    assert attributes(app, "u")["devices"] == []


def test_objects_and_relationships_come_and_go(
    pipelines: PipelinesClient, app: httpx2.Client, simulator: Simulator
) -> None:
    """An object that is deleted takes its relationships along."""

    def related() -> list[str]:
        rows = app.get("/v1/customers/u/relationships").json()["cio_relationships"]
        return [row["identifiers"]["object_id"] for row in rows]

    for name in ("acme", "example"):
        pipelines.relationships.create("u", name, {"size": 3})
    assert related() == ["acme", "example"]

    pipelines.relationships.delete("u", "acme")
    pipelines.relationships.delete("u", "unknown")
    assert related() == ["example"]
    pipelines.objects.delete("example")
    assert related() == []
    assert list(simulator.workspace.objects) == [(1, "acme")]


def test_alias_joins_two_people(pipelines: PipelinesClient, app: httpx2.Client) -> None:
    """What the remaining one has goes before."""
    pipelines.identify("old", {"plan": "silver", "age": 30})
    pipelines.identify("u", {"plan": "gold"})

    pipelines.alias("u", previous_id="old")

    shown = attributes(app, "u")["attributes"]
    assert (shown["plan"], shown["age"]) == ("gold", "30")
    assert app.get("/v1/customers/old/attributes").status_code == 404


def test_changed_subscriptions_are_reported(
    pipelines: PipelinesClient,
    simulator: Simulator,
    subscribe: Callable[..., int],
    receiver: RecordingReceiver,
) -> None:
    """Each change once, as a customer event; preferences with their content."""
    subscribe(simulator, with_content=True)
    pipelines.people.create("u", {"email": "u@example.com"})
    pipelines.people.unsubscribe("u")
    pipelines.people.unsubscribe("u")
    pipelines.people.resubscribe("u")
    preferences = {"topics": {"topic_1": False}}
    pipelines.identify("u", {"cio_subscription_preferences": preferences})

    simulator.advance(0)

    metrics = [event["metric"] for event in events(receiver)]
    assert metrics == ["unsubscribed", "subscribed", "cio_subscription_preferences_changed"]
    assert json.loads(events(receiver)[-1]["data"]["content"]) == preferences
    assert {event["data"]["identifiers"]["id"] for event in events(receiver)} == {"u"}


def test_a_reported_delivery_becomes_an_event_and_a_metric(
    pipelines: PipelinesClient,
    app: httpx2.Client,
    simulator: Simulator,
    subscribe: Callable[..., int],
    receiver: RecordingReceiver,
) -> None:
    """As the mobile SDKs do it; an unknown delivery is dropped."""
    subscribe(simulator, events=["push_clicked"])
    body = {"transactional_message_id": 403, "to": "all", "identifiers": {"id": "10001"}}
    number = app.post("/v1/send/push", json=body | {"queue_draft": True}).json()["delivery_id"]

    link = "https://www.example.com/app"
    delivery: Any = {"deliveryId": number, "metric": "clicked", "recipient": "token", "href": link}
    pipelines.reporting.delivery_event(delivery)
    pipelines.reporting.delivery_event(delivery | {"deliveryId": "none"})
    simulator.advance(0)

    (event,) = events(receiver)
    assert (event["data"]["delivery_id"], event["data"]["href"]) == (number, link)
    metrics = app.get(f"/v1/messages/{number}").json()["message"]["metrics"]
    assert "clicked" in metrics
    assert len(simulator.workspace.dropped) == 1


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("identify", {"traits": {}}),
        ("identify", {"userId": "u", "traits": []}),
        ("identify", b"{"),
        ("identify", {"userId": "u", "traits": {"a": "x" * 32_768}}),
        ("track", {"userId": "u"}),
        ("group", {"userId": "u"}),
        ("alias", {"userId": "u"}),
        ("batch", {"batch": {}}),
        ("batch", {"batch": [{"userId": "u"}]}),
        ("batch", {"batch": [7]}),
        ("batch", {"batch": [{"type": "identify", "userId": "u", "traits": {"a": "x" * 32_768}}]}),
        ("batch", b" " * (500 * 1024) + b'{"batch": []}'),
    ],
)
def test_unusable_data_is_refused_in_strict_mode_and_else_dropped(
    simulator: Simulator, path: str, body: Any, strict: bool
) -> None:
    """400 with `meta.errors`, or 200 and the data is gone; too large is unusable too."""
    people = len(simulator.workspace.people)

    answer = by_hand(simulator, path, body, strict=strict)

    if strict:
        assert answer.status_code == 400
        assert answer.json()["meta"]["errors"]
        assert simulator.workspace.dropped == []
    else:
        assert (answer.status_code, answer.json()) == (200, {})
        assert len(simulator.workspace.dropped) == 1
    assert len(simulator.workspace.people) == people


def test_a_batch_keeps_its_good_items_where_others_are_dropped(simulator: Simulator) -> None:
    """Without strict mode one bad item costs itself only."""
    good = {"type": "identify", "userId": "u", "traits": {}}

    by_hand(simulator, "batch", {"batch": [{"type": "pigeon"}, good]})

    assert simulator.workspace.people.find("u") is not None
    assert simulator.workspace.dropped == ["item 0: type is required"]


def test_half_a_surrogate_pair_is_taken_and_reported(
    simulator: Simulator, subscribe: Callable[..., int], receiver: RecordingReceiver
) -> None:
    """It has no bytes in UTF-8, so the event carries it as an escape."""
    subscribe(simulator)
    body = b'{"userId": "u\\ud800", "traits": {"unsubscribed": true}}'

    assert by_hand(simulator, "identify", body, strict=True).status_code == 200
    simulator.advance(0)

    assert b'"customer_id":"u\\ud800"' in receiver.arrivals[0].body
    assert receiver.arrivals[0].refusal is None


def test_keys_of_2026_are_taken_and_wrong_ones_refused(simulator: Simulator) -> None:
    """Private and public keys as Bearer, a write key as Basic without a password."""
    keys, url = simulator.workspace.keys, f"{simulator.url}/v1/identify"
    body = {"userId": "u"}

    bearers = [
        call("POST", url, json=body, headers={"Authorization": f"Bearer {key}"}).status_code
        for key in (keys.private, keys.public, keys.app, keys.pipelines)
    ]
    basics = [
        call("POST", url, json=body, auth=auth).status_code
        for auth in ((keys.pipelines, ""), (keys.pipelines, "x"), ("wrong", ""))
    ]
    odd = call("POST", url, json=body, headers={"Authorization": "Basic \x21"})

    assert bearers == [200, 200, 401, 401]
    assert basics == [200, 401, 401]
    assert odd.json() == {"meta": {"errors": ["unauthorized"]}}


def test_the_client_reads_errors_that_were_asked_for(
    simulator: Simulator, pipelines: PipelinesClient
) -> None:
    """A 429 with Retry-After, and a wrong key, as the client's own errors."""
    fault = {"operation": "track", "status": 429, "retry_after": 1}
    call("POST", f"{simulator.url}/simulator/faults", json=fault)

    with pytest.raises(RateLimitError) as caught:
        pipelines.track("u", event="Ordered")
    with (
        PipelinesClient("wrong", base_url=simulator.url, retries=ONCE) as other,
        pytest.raises(AuthenticationError),
    ):
        other.track("u", event="Ordered")

    assert caught.value.retry_after_seconds == 1
    pipelines.track("u", event="Ordered")
