"""The Pipelines API of the simulator, called by the project's client and by plain HTTP."""

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


def post(simulator: Simulator, path: str, body: Any, *, strict: bool = False) -> httpx2.Response:
    """Post a body that the client would refuse to send."""
    return call(
        "POST",
        f"{simulator.url}/v1/{path}",
        auth=(simulator.workspace.keys.pipelines, ""),
        headers={"X-Strict-Mode": "1"} if strict else {},
        content=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def attributes(app: httpx2.Client, person: str) -> dict[str, Any]:
    """Return what the App API shows of a person."""
    customer: dict[str, Any] = app.get(f"/v1/customers/{person}/attributes").json()["customer"]
    return customer


def events(receiver: RecordingReceiver) -> list[dict[str, Any]]:
    """Return the events that the receiver got."""
    return [json.loads(arrival.body) for arrival in receiver.arrivals]


def test_all_seven_calls_are_accepted(pipelines: PipelinesClient, simulator: Simulator) -> None:
    """In strict mode, for people with and without an id, no item is dropped."""
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
    """Traits that are not given keep their values; an empty trait is removed."""
    pipelines.people.create("u", {"email": "u@example.com", "plan": "gold", "age": 30})
    pipelines.people.update("u", {"age": "", "email": "v@example.com"})

    shown = attributes(app, "u")
    assert shown["attributes"]["plan"] == "gold"
    assert "age" not in shown["attributes"]
    assert shown["identifiers"]["email"] == "v@example.com"
    assert app.get("/v1/customers", params={"email": "u@example.com"}).json()["results"] == []


def test_a_person_known_by_address_gets_the_id_that_is_sent_with_it(
    pipelines: PipelinesClient, app: httpx2.Client, simulator: Simulator
) -> None:
    """An id and a known address are joined to one person."""
    before = len(simulator.workspace.people)
    pipelines.people.create("ada@example.com", {"plan": "gold"})

    pipelines.people.create("u", {"email": "ada@example.com"})

    assert attributes(app, "u")["attributes"]["plan"] == "gold"
    assert len(simulator.workspace.people) == before + 1


def test_events_of_people_are_their_activities(
    pipelines: PipelinesClient, app: httpx2.Client
) -> None:
    """They are listed newest first, and can be filtered by type and name."""
    pipelines.track("u", event="Ordered", properties={"total": 5})
    pipelines.page("u", name="Home")

    activities = app.get("/v1/customers/u/activities").json()["activities"]
    assert [one["type"] for one in activities] == ["page", "event"]
    query = {"type": "event", "name": "Ordered"}
    (ordered,) = app.get("/v1/customers/u/activities", params=query).json()["activities"]
    assert ordered["data"] == {"name": "Ordered", "data": {"total": 5}}


def test_deleted_people_can_be_added_again_and_suppressed_people_cannot(
    pipelines: PipelinesClient, app: httpx2.Client
) -> None:
    """A suppressed person must be unsuppressed first."""
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


def test_devices_are_registered_and_deleted(pipelines: PipelinesClient, app: httpx2.Client) -> None:
    """The App API shows a device with its platform."""
    pipelines.devices.register("u", "token", type="ios", attributes={"os": "18"})
    (device,) = attributes(app, "u")["devices"]
    assert (device["id"], device["platform"]) == ("token", "ios")

    pipelines.devices.delete("u", "token")
    assert attributes(app, "u")["devices"] == []


def test_objects_and_relationships_are_created_and_deleted(
    pipelines: PipelinesClient, app: httpx2.Client, simulator: Simulator
) -> None:
    """Deleting an object deletes its relationships too."""

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
    """The remaining person keeps its own attributes and gets the missing ones."""
    pipelines.identify("old", {"plan": "silver", "age": 30})
    pipelines.identify("u", {"plan": "gold"})

    pipelines.alias("u", previous_id="old")

    joined = attributes(app, "u")["attributes"]
    assert (joined["plan"], joined["age"]) == ("gold", "30")
    assert app.get("/v1/customers/old/attributes").status_code == 404


def test_changed_subscriptions_are_reported(
    pipelines: PipelinesClient,
    simulator: Simulator,
    subscribe: Callable[..., int],
    receiver: RecordingReceiver,
) -> None:
    """Each change is reported once, as a customer event; preferences have their content."""
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
    """A report of an unknown delivery is dropped."""
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


INVALID: dict[str, tuple[str, Any]] = {
    "no id": ("identify", {"traits": {}}),
    "traits are not an object": ("identify", {"userId": "u", "traits": []}),
    "not JSON": ("identify", b"{"),
    "call too large": ("identify", {"userId": "u", "traits": {"a": "x" * 32_768}}),
    "track without event": ("track", {"userId": "u"}),
    "group without groupId": ("group", {"userId": "u"}),
    "alias without previousId": ("alias", {"userId": "u"}),
    "batch is not a list": ("batch", {"batch": {}}),
    "item without type": ("batch", {"batch": [{"userId": "u"}]}),
    "item is not an object": ("batch", {"batch": [7]}),
    "item too large": (
        "batch",
        {"batch": [{"type": "identify", "userId": "u", "traits": {"a": "x" * 32_768}}]},
    ),
    "batch too large": ("batch", b" " * (500 * 1024) + b'{"batch": []}'),
}


def test_strict_mode_refuses_invalid_data(simulator: Simulator) -> None:
    """Each invalid call is answered 400 with `meta.errors`, and changes nothing."""
    people = len(simulator.workspace.people)

    answers = {name: post(simulator, *call, strict=True) for name, call in INVALID.items()}

    assert {name for name, answer in answers.items() if answer.status_code != 400} == set()
    assert {
        name for name, answer in answers.items() if not answer.json()["meta"]["errors"]
    } == set()
    assert simulator.workspace.dropped == []
    assert len(simulator.workspace.people) == people


def test_invalid_data_is_dropped_without_strict_mode(simulator: Simulator) -> None:
    """Each invalid call is answered 200; its item is dropped with a reason."""
    people, failures = len(simulator.workspace.people), {}

    for name, invalid in INVALID.items():
        simulator.workspace.dropped.clear()
        answer = post(simulator, *invalid)
        result = (answer.status_code, answer.json(), len(simulator.workspace.dropped))
        if result != (200, {}, 1):
            failures[name] = result

    assert failures == {}
    assert len(simulator.workspace.people) == people


def test_a_batch_applies_its_valid_items_if_others_are_dropped(simulator: Simulator) -> None:
    """Without strict mode an invalid item does not affect the others."""
    valid = {"type": "identify", "userId": "u", "traits": {}}

    post(simulator, "batch", {"batch": [{"type": "pigeon"}, valid]})

    assert simulator.workspace.people.find("u") is not None
    (dropped,) = simulator.workspace.dropped
    assert dropped.startswith("item 0: type")


def test_half_a_surrogate_pair_is_accepted_and_reported(
    simulator: Simulator, subscribe: Callable[..., int], receiver: RecordingReceiver
) -> None:
    """It has no bytes in UTF-8, so the event contains it as an escape."""
    subscribe(simulator)
    body = b'{"userId": "u\\ud800", "traits": {"unsubscribed": true}}'

    assert post(simulator, "identify", body, strict=True).status_code == 200
    simulator.advance(0)

    assert b'"customer_id":"u\\ud800"' in receiver.arrivals[0].body
    assert receiver.arrivals[0].refusal is None


def test_keys_of_2026_are_accepted_and_wrong_keys_are_refused(simulator: Simulator) -> None:
    """Private and public keys are sent as Bearer, a write key as Basic without a password."""
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
    malformed = call("POST", url, json=body, headers={"Authorization": "Basic \x21"})

    assert bearers == [200, 200, 401, 401]
    assert basics == [200, 401, 401]
    assert malformed.json() == {"meta": {"errors": ["unauthorized"]}}


def test_the_client_raises_its_own_errors(simulator: Simulator, pipelines: PipelinesClient) -> None:
    """An injected 429 with Retry-After and a wrong key become errors of the client."""
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
