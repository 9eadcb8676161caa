"""The simulator answers every request, also a hostile one, without an exception."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.webhooks import specification
from core.webhooks.sender import destination
from databricks_app.simulator.clock import SimulatedClock
from databricks_app.simulator.dispatch import ROUTES, Dispatcher
from databricks_app.simulator.driver import Driver
from databricks_app.simulator.feeds import Webhook
from databricks_app.simulator.messages import ApiRequest
from databricks_app.simulator.routing import Route
from databricks_app.simulator.workspace import SimulatedWorkspace, SimulatorOptions

NAMES = [
    *("transactional_message_id", "to", "identifiers", "id", "email", "cio_id", "body", "subject"),
    *("from", "send_at", "attachments", "cc", "send_to_unsubscribed", "name", "endpoint", "events"),
    *("disabled", "filter", "and", "or", "not", "segment", "attribute", "field", "operator"),
    *("value", "ids", "emails", "per_user_data", "recipients", "data", "data_file_url", "batch"),
    *("type", "userId", "anonymousId", "groupId", "previousId", "event", "traits", "properties"),
    *("context", "device", "token", "deliveryId", "metric", "objectId", "objectTypeId"),
    *("object_type_id", "unsubscribed", "phone", "cio_subscription_preferences", "href"),
]
WORDS = [
    *("u", "10001", "ada@example.com", "401", "eq", "exists", "identify", "track", "opened"),
    *("User Deleted", "Device Created or Updated", "Report Delivery Event", "Object Deleted"),
    *("email_sent", "https://example.com/", "http://[", "", "\ud800", "\x00", "²", "true"),
]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(WORDS)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
TARGETS = ("", "1", "301", "10001", "x", "%00", "²", "9" * 30)
QUERIES = ("", "limit=²", "start=c9&limit=0", "id_type=email", "version=1&steps=3", "end_ts=-1")


@pytest.fixture(scope="module")
def dispatcher() -> Dispatcher:
    """The simulator without its sockets, with a webhook that gets all events."""
    workspace = SimulatedWorkspace(
        SimulatorOptions(people=3, has_rate_limits=False), SimulatedClock(1_790_000_000.0, speed=0)
    )
    names = specification.subscription_names()
    url = "http://127.0.0.1:1/"
    workspace.feeds.add(Webhook(99, "all", url, destination(url), names, with_content=True))
    return Dispatcher(workspace, Driver(workspace))


def authorization(route: Route, dispatcher: Dispatcher) -> str:
    """Return the Authorization header that a route accepts."""
    keys = dispatcher.workspace.keys
    if route.surface == "pipelines":
        return f"Basic {base64.b64encode(f'{keys.pipelines}:'.encode()).decode()}"
    return f"Bearer {keys.app}"


@given(
    route=st.sampled_from([route for route in ROUTES if route.operation != "triggerBroadcast"]),
    body=BODIES,
    value=st.sampled_from(TARGETS),
    query=st.sampled_from(QUERIES),
    strict=st.booleans(),
)
@settings(max_examples=200)
def test_any_body_and_path_is_answered(
    dispatcher: Dispatcher, route: Route, body: dict[str, Any], value: str, query: str, strict: bool
) -> None:
    """There is no exception, and the answer can be written as JSON."""
    path = "/".join(value if "{" in part else part for part in route.path.split("/"))
    headers = {"authorization": authorization(route, dispatcher)}
    if strict:
        headers["x-strict-mode"] = "1"
    content = json.dumps(body).encode()

    reply = dispatcher(ApiRequest.from_target(route.method, f"{path}?{query}", headers, content))

    assert reply.status in {200, 204, 400, 403, 404, 405, 413, 422, 501}
    json.dumps(reply.body)
    scheduler = dispatcher.workspace.scheduler
    while len(scheduler):
        at, call = scheduler.pop()
        call(at)


@given(body=BODIES.filter(lambda body: "data_file_url" not in body))
def test_any_trigger_is_answered(dispatcher: Dispatcher, body: dict[str, Any]) -> None:
    """A trigger is queued, or refused as invalid or as one too many."""
    headers = {"authorization": f"Bearer {dispatcher.workspace.keys.app}"}
    target = "/v1/campaigns/301/triggers"

    reply = dispatcher(ApiRequest.from_target("POST", target, headers, json.dumps(body).encode()))

    assert reply.status in {200, 422, 429}


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_bytes_and_headers_are_answered(dispatcher: Dispatcher, body: bytes, text: str) -> None:
    """Any text as a key is answered 401, any body with the right key 200."""
    headers = {"authorization": text}

    assert dispatcher(ApiRequest.from_target("POST", "/v1/batch", headers, body)).status == 401
    headers = {"authorization": f"Bearer {dispatcher.workspace.keys.private}"}
    assert dispatcher(ApiRequest.from_target("POST", "/v1/batch", headers, body)).status == 200
