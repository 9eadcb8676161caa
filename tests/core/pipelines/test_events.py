"""The 72 semantic events as they arrive at a real server, and what is refused before they are sent.

`pipelines_events_facts.json` holds the vendor's names, types and required properties.
"""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Required, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SizeError, ValidationError
from core.pipelines import PipelinesClient, PipelinesQueue
from core.pipelines.events.ecommerce import SettledOrder
from core.pipelines.events.event import Event
from core.pipelines.events.reporting import Delivery, PageContent
from core.pipelines.events.shape import checked, shape_of
from core.pipelines.items import Fields, Time
from core.pipelines.surface import Surface
from tests.support.paths import FIXTURES
from tests.support.still_time import StillTime
from tests.support.vendor_server import VendorServer

FACTS = json.loads((FIXTURES / "pipelines_events.json").read_text())
Row = dict[str, Any]
ROWS: dict[str, Row] = {
    row["event"]: row | {"family": family}
    for family, rows in FACTS["families"].items()
    for row in rows
}
# Where the vendor's schema lets through what cannot work: an id that is the whole message.
STRICTER = {"Object Deleted": {"objectId"}, "Report Delivery Event": {"deliveryId", "metric"}}

FACES = [
    "ab_test",
    "devices",
    "ecommerce",
    "email",
    "live_chat",
    "mobile",
    "objects",
    "people",
    "relationships",
    "reporting",
    "video",
]
# Attribute of the client, and the words of the event's name that the method leaves out.
FAMILIES = {
    "ecommerce": ("ecommerce", ""),
    "email": ("email", "Email "),
    "live_chat": ("live_chat", "Live Chat "),
    "mobile_app": ("mobile", "Application "),
    "video": ("video", "Video "),
    "ab_test": ("ab_test", ""),
}
# What the vendor acts upon has functions of its own: how to reach them with the facts' properties.
OWN: dict[str, tuple[str, Callable[[Any, Row], str]]] = {
    "User Deleted": ("people.delete", lambda call, _: call("u")),
    "User Suppressed": ("people.suppress", lambda call, _: call("u")),
    "User Unsuppressed": ("people.unsuppress", lambda call, _: call("u")),
    "Device Created or Updated": ("devices.register", lambda call, _: call("u", "t", type="ios")),
    "Device Deleted": ("devices.delete", lambda call, _: call("u", "t", type="ios")),
    "Object Deleted": (
        "objects.delete",
        lambda call, p: call(p["objectId"], object_type_id=p["objectTypeId"]),
    ),
    "Relationship Deleted": (
        "relationships.delete",
        lambda call, p: call("u", p["objectId"], object_type_id=p["objectTypeId"]),
    ),
    "Report Delivery Event": ("reporting.delivery_event", lambda call, p: call(p, user_id="u")),
    "Report Content Event": ("reporting.content_event", lambda call, p: call("u", p)),
}
SHAPES = {"Report Delivery Event": Delivery, "Report Content Event": PageContent}
# Methods of the faces that send no semantic event but an identify or a group call.
OTHER_METHODS = {
    "people.create",
    "people.update",
    "people.unsubscribe",
    "people.resubscribe",
    "objects.create",
    "objects.update",
    "relationships.create",
}

Connect = Callable[..., PipelinesClient]


def method_of(event: str) -> str:
    """Say which method sends an event: `video.ad_started`."""
    if event in OWN:
        return OWN[event][0]
    face, prefix = FAMILIES[ROWS[event]["family"]]
    return f"{face}.{event.removeprefix(prefix).lower().replace(' ', '_')}"


def found(calls: object, dotted: str) -> Any:
    """Follow a dotted name."""
    for name in dotted.split("."):
        calls = getattr(calls, name)
    return calls


def send(calls: Surface, event: str, properties: Row) -> str:
    """Send an event of the person `u` by its method."""
    method = found(calls, method_of(event))
    return OWN[event][1](method, properties) if event in OWN else method("u", properties)


def example(fact: Any) -> Any:
    """Make a value of a type in the facts' notation."""
    if fact == "product":
        return {name: example(inner) for name, inner in FACTS["product"].items()}
    if isinstance(fact, dict):
        if "enum" in fact:
            return fact["enum"][0]
        if "items" in fact:
            return [example(fact["items"])]
        if "optional" in fact:
            return {name: example(inner) for name, inner in fact["optional"].items()}
        return fact.get("max") or example(fact["type"])
    return {
        "string": "text",
        "number": 9.75,
        "integer": 7,
        "boolean": True,
        "object": {"any": 1},
        "any": "viewed_content",
        "array<string>": ["a", "b"],
        "string(date-time)": "2026-01-31T08:30:00Z",
    }[fact]


def whole(event: str) -> Row:
    """Make all properties of an event."""
    row = ROWS[event]
    return {name: example(fact) for name, fact in {**row["required"], **row["optional"]}.items()}


def described(hint: Any) -> Any:
    """Write a type of ours in the facts' notation."""
    plain = {
        str: "string",
        float: "number",
        int: "integer",
        bool: "boolean",
        object: "any",
        Fields: "object",
        Time: "string(date-time)",
        list[str]: "array<string>",
    }
    if hint in plain:
        return plain[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Required:
        return described(arguments[0])
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is Annotated:
        return {"type": described(arguments[0]), "max": arguments[1].value}
    assert origin is list
    fields = {name: described(inner) for name, inner in get_type_hints(arguments[0]).items()}
    items = "product" if fields == FACTS["product"] else {"optional": fields}
    return {"type": "array<object>", "items": items}


def shape(event: str) -> Any:
    """Find the TypedDict of an event; None where its properties are arguments."""
    if event in SHAPES:
        return SHAPES[event]
    if event in OWN:
        return None
    face, method = method_of(event).split(".")
    return vars(type(getattr(PipelinesClient("k"), face)))[method].properties


def with_shape() -> list[str]:
    """List the events with properties in a TypedDict."""
    return [event for event in ROWS if shape(event) is not None]


@pytest.fixture(scope="module")
def server() -> Iterator[VendorServer]:
    """One vendor for all events."""
    made = VendorServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(server: VendorServer) -> Iterator[PipelinesClient]:
    """A client of it."""
    with PipelinesClient("write_key", base_url=server.url, **StillTime().arguments()) as made:
        yield made


@pytest.mark.parametrize("event", ROWS)
def test_event_arrives_as_specified(
    client: PipelinesClient, server: VendorServer, event: str
) -> None:
    """Method, path, key, headers, name, identity and every property are the specification's."""
    server.calls.clear()
    row, properties = ROWS[event], whole(event)

    message_id = send(client, event, properties)

    call = server.calls[0]
    assert (call.method, call.target) == ("POST", "/v1/track")
    assert call.headers["authorization"] == "Basic d3JpdGVfa2V5Og=="
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-strict-mode"] == "1"
    sent: Row = {
        "type": "track",
        "event": event,
        "timestamp": "2026-11-22T12:00:00Z",
        "messageId": message_id,
    }
    if row.get("identity") == ["anonymousId"]:
        sent["anonymousId"] = call.json["anonymousId"]  # must be there, its value is ignored
    else:
        sent["userId"] = "u"
    if "context" in row:
        sent["context"] = {"device": {"token": "t", "type": "ios"}}
    if properties:
        sent["properties"] = properties
    assert call.json == sent


def test_every_event_has_exactly_one_method_and_every_method_an_event() -> None:
    """Both ways: 72 names of the specification, 72 methods, nothing beside."""
    client = PipelinesClient("k")
    methods = [
        f"{face}.{name}"
        for face in FACES
        for name in dir(getattr(client, face))
        if not name.startswith("_") and f"{face}.{name}" not in OTHER_METHODS
    ]

    assert len(ROWS) == 72
    assert sorted(map(method_of, ROWS)) == sorted(methods)


def test_every_face_is_covered() -> None:
    """No group of methods hangs on the client that the tests do not know."""
    faces = [name for name, value in vars(Surface).items() if isinstance(value, property)]

    assert sorted(faces) == FACES


@pytest.mark.parametrize("event", [event for event in ROWS if event not in OWN])
def test_event_carries_the_exact_name(event: str) -> None:
    """The vendor acts upon the exact string; a method may not send another."""
    face, method = method_of(event).split(".")
    declared = vars(type(getattr(PipelinesClient("k"), face)))[method]

    assert isinstance(declared, Event)
    assert declared.name == event


@pytest.mark.parametrize("event", with_shape())
def test_properties_are_the_specification_s(event: str) -> None:
    """Names and types, both ways; required are those of the vendor and those we need."""
    row = ROWS[event]
    hints = get_type_hints(shape(event), include_extras=True)

    assert {name: described(hint) for name, hint in hints.items()} == {
        **row["required"],
        **row["optional"],
    }
    required = {*row["required"], *STRICTER.get(event, ())}
    assert set(shape_of(shape(event)).required) == required


@pytest.mark.parametrize("event", with_shape())
def test_wrong_type_is_refused_by_name_before_anything_is_sent(
    client: PipelinesClient, server: VendorServer, event: str
) -> None:
    """For every property of every event."""
    server.calls.clear()
    good = whole(event)
    facts = {**ROWS[event]["required"], **ROWS[event]["optional"]}

    for name in good:
        if facts[name] == "any":
            continue
        for bad in (None, object(), [object()] if isinstance(good[name], list) else "\ud800"):
            with pytest.raises(ValidationError) as caught:
                send(client, event, good | {name: bad})
            assert re.fullmatch(rf"properties\.{name}(\[0\])?", caught.value.field)

    assert server.calls == []


@pytest.mark.parametrize("event", with_shape())
def test_missing_or_blank_required_property_is_refused(
    client: PipelinesClient, server: VendorServer, event: str
) -> None:
    """The error names the property; nothing is sent."""
    server.calls.clear()
    good = whole(event)

    for name in shape_of(shape(event)).required:
        without = {key: value for key, value in good.items() if key != name}
        for bad in (without, good | {name: " "}):
            with pytest.raises(ValidationError, match=rf"^properties\.{name}: ") as caught:
                send(client, event, bad)
            assert caught.value.field == f"properties.{name}"

    assert server.calls == []


BAD_VALUES: list[tuple[str, Row, str, str]] = [
    ("ecommerce.order_completed", {"total": "9.75"}, "total", "must be a number"),
    ("ecommerce.order_completed", {"total": True}, "total", "must be a number"),
    ("ecommerce.order_completed", {"total": float("nan")}, "total", "is not a finite number"),
    ("ecommerce.order_completed", {"products": {}}, "products", "must be a list, is dict"),
    ("ecommerce.order_completed", {"products": "ab"}, "products", "must be a list, is str"),
    (
        "ecommerce.order_completed",
        {"products": [{}, {"price": "1"}]},
        "products[1].price",
        "must be a number",
    ),
    ("ecommerce.cart_viewed", {"products": ["p"]}, "products[0]", "must be a dictionary"),
    ("ecommerce.product_reviewed", {"rating": 4.5}, "rating", "must be a whole number"),
    ("video.playback_started", {"sound": 101}, "sound", "must be at most 100"),
    ("video.playback_started", {"ad_type": "preroll"}, "ad_type", "must be one of pre-roll, mid"),
    ("video.playback_started", {"ad_type": []}, "ad_type", "must be one of"),
    ("video.playback_started", {"content_pod_ids": ["a", 1]}, "content_pod_ids[1]", "must be text"),
    ("video.content_started", {"airdate": datetime(2026, 1, 1)}, "airdate", "no time zone"),  # noqa: DTZ001  # the fault itself
    ("video.content_started", {"airdate": "soon"}, "airdate", "is not an ISO 8601 time"),
    ("mobile.opened", {"from_background": 1}, "from_background", "must be True or False"),
    ("mobile.crashed", {"free": {1j: 2}}, "free", "has a key that is no text"),
]


@pytest.mark.parametrize(("method", "properties", "field", "words"), BAD_VALUES)
def test_bad_value_is_explained(
    connect: Connect,
    vendor: VendorServer,
    method: str,
    properties: Row,
    field: str,
    words: str,
) -> None:
    """The path leads to the value, the words say what it must be; the value is not shown."""
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        found(connect(), method)("u", properties)

    assert caught.value.field == f"properties.{field}"
    assert vendor.calls == []


def test_person_is_required(connect: Connect, vendor: VendorServer) -> None:
    """An event of nobody is refused, whatever its family."""
    with pytest.raises(ValidationError, match="user_id or anonymous_id or group_id: is required"):
        connect().video.ad_started()

    assert vendor.calls == []


@pytest.mark.parametrize("properties", [[], "text", 1])
def test_properties_must_be_a_dictionary(connect: Connect, properties: Any) -> None:
    """The error names the argument."""
    with pytest.raises(ValidationError, match=r"^properties: must be a dictionary"):
        connect().ecommerce.cart_viewed("u", properties)


def test_unknown_and_own_properties_are_kept(connect: Connect, vendor: VendorServer) -> None:
    """The vendor adds properties without notice, and takes those of the caller's own."""
    given: Any = {"order_id": "o", "new_of_the_vendor": 1}

    connect().ecommerce.order_completed("u", given, extra={"shop": "Berlin"})

    assert vendor.calls[0].json["properties"] == given | {"shop": "Berlin"}
    assert given == {"order_id": "o", "new_of_the_vendor": 1}


@pytest.mark.parametrize("name", ["order_id", "total"])
def test_own_property_may_not_hide_one_of_the_event(connect: Connect, name: str) -> None:
    """Otherwise it would escape the check of its type."""
    with pytest.raises(ValidationError, match="belongs into properties") as caught:
        connect().ecommerce.order_completed("u", {"order_id": "o"}, extra={name: 1})

    assert caught.value.field == f"extra.{name}"


def test_own_properties_must_be_a_dictionary(connect: Connect) -> None:
    """The error names the argument."""
    with pytest.raises(ValidationError, match=r"^extra: must be a dictionary, is list"):
        connect().mobile.crashed("u", extra=[])  # type: ignore[arg-type]


def test_options_go_with_the_event(connect: Connect, vendor: VendorServer) -> None:
    """Context, integrations, time, id, and who is meant, as with `track`."""
    connect().email.opened(
        properties={"email_id": "m"},
        anonymous_id="a",
        group_id="g",
        context={"traits": {"email": "ada@example.com"}},
        integrations={"All": False},
        timestamp=datetime(2026, 1, 31, tzinfo=UTC),
        message_id="m-1",
    )

    assert vendor.calls[0].json == {
        "type": "track",
        "event": "Email Opened",
        "anonymousId": "a",
        "groupId": "g",
        "properties": {"email_id": "m"},
        "context": {"traits": {"email": "ada@example.com"}},
        "integrations": {"All": False},
        "timestamp": "2026-01-31T00:00:00Z",
        "messageId": "m-1",
    }


def test_oversize_event_is_refused(connect: Connect, vendor: VendorServer) -> None:
    """The vendor would answer 200 and drop it."""
    with pytest.raises(SizeError):
        connect().ecommerce.cart_viewed("u", {"products": [{"name": "x" * 100}] * 400})

    assert vendor.calls == []


def test_queue_sends_events_too(
    make_queue: Callable[..., PipelinesQueue], vendor: VendorServer
) -> None:
    """Whatever takes calls takes events, checked when they are put."""
    queue = make_queue()

    ids = [
        queue.video.ad_started("u", {"asset_id": "a"}),
        queue.people.delete("u"),
        queue.reporting.content_event(properties={"activityType": "viewed_content"}),
    ]

    with pytest.raises(ValidationError):
        queue.email.opened("u", {})  # type: ignore[arg-type]
    assert queue.flush(10)
    assert [item["messageId"] for item in vendor.items()] == ids
    assert [item["event"] for item in vendor.items()] == [
        "Video Ad Started",
        "User Deleted",
        "Report Content Event",
    ]


def test_delivery_report_without_a_person_takes_the_delivery_as_anonymous_id(
    connect: Connect, vendor: VendorServer
) -> None:
    """As the vendor's own mobile clients do; a named person goes before."""
    report: Delivery = {"deliveryId": "d-1", "metric": "opened", "recipient": "token"}

    connect().reporting.delivery_event(report)
    connect().reporting.delivery_event(report, anonymous_id="a")
    connect().reporting.delivery_event(report, user_id="u")

    whom = [(call.json.get("userId"), call.json.get("anonymousId")) for call in vendor.calls]
    assert whom == [(None, "d-1"), (None, "a"), ("u", None)]


def test_using_a_face_keeps_no_client_alive() -> None:
    """A client that is dropped is freed at once, not when cycles are looked for."""
    client = PipelinesClient("k")
    gone = weakref.ref(client)
    assert "Order Completed" in repr(client.ecommerce.order_completed)

    del client

    assert gone() is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["order_id", "total", "products", "coupon", "x"]), JSON) | JSON
)
def test_checked_returns_what_it_got_or_names_a_property(properties: Any) -> None:
    """Whatever is given: nothing is changed, and no other error than ours leaves."""
    joined, field = outcome(properties)

    given = {} if properties is None else properties
    assert repr(joined) == repr(given) if field is None else field.startswith("properties")


def outcome(properties: Any) -> tuple[Row | None, str | None]:
    """Check properties of an order: what they became, or which field was refused."""
    try:
        return checked(properties, SettledOrder), None
    except ValidationError as error:
        return None, error.field


def test_required_reads_postponed_annotations() -> None:
    """Python 3.11 itself does not see `Required` in them."""
    assert get_origin(get_type_hints(PageContent, include_extras=True)["activityType"]) is Required
    assert shape_of(PageContent).required == ("activityType",)
