"""The 72 semantic events as they arrive at a server, and what is refused before it is sent.

`fixtures/pipelines_events.json` has the vendor's names, types and required properties. A test
covers all events: it collects what is wrong by event, and compares with nothing wrong.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Required, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SizeError, ValidationError
from core.pipelines import PipelinesClient, PipelinesQueue
from core.pipelines.encoding import LIBRARY
from core.pipelines.events.ecommerce import SettledOrder
from core.pipelines.events.event import Event
from core.pipelines.events.reporting import Delivery, PageContent
from core.pipelines.events.shape import checked, shape_of
from core.pipelines.items import Fields, Time
from core.pipelines.surface import Surface
from tests.support.paths import FIXTURES
from tests.support.vendor_server import VendorServer

FACTS = json.loads((FIXTURES / "pipelines_events.json").read_text())
Row = dict[str, Any]
ROWS: dict[str, Row] = {
    row["event"]: row | {"family": family}
    for family, rows in FACTS["families"].items()
    for row in rows
}
# Properties that the vendor's schema does not require, but without which the event has no effect.
STRICTER = {"Object Deleted": {"objectId"}, "Report Delivery Event": {"deliveryId", "metric"}}

FAMILY_NAMES = [
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
# The attribute of the client, and the part of the event name that the method name leaves out.
FAMILIES = {
    "ecommerce": ("ecommerce", ""),
    "email": ("email", "Email "),
    "live_chat": ("live_chat", "Live Chat "),
    "mobile_app": ("mobile", "Application "),
    "video": ("video", "Video "),
    "ab_test": ("ab_test", ""),
}
# Events with a method of their own: its name, and how to call it with the properties of the event.
SPECIAL: dict[str, tuple[str, Callable[[Any, Row], str]]] = {
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
# Methods of the families that send an identify or a group call instead of a semantic event.
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
RefusedField = Callable[[Callable[[], object]], str]


def method_of(event: str) -> str:
    """Return the name of the method that sends an event: `video.ad_started`."""
    if event in SPECIAL:
        return SPECIAL[event][0]
    family, prefix = FAMILIES[ROWS[event]["family"]]
    return f"{family}.{event.removeprefix(prefix).lower().replace(' ', '_')}"


def attribute(calls: object, dotted: str) -> Any:
    """Return the attribute with a dotted name."""
    for name in dotted.split("."):
        calls = getattr(calls, name)
    return calls


def send(calls: Surface, event: str, properties: Row) -> str:
    """Send an event of the person `u` by its method."""
    method = attribute(calls, method_of(event))
    return SPECIAL[event][1](method, properties) if event in SPECIAL else method("u", properties)


def example(fact: Any) -> Any:
    """Create a value of a type in the notation of the fixture."""
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
    """Create all properties of an event."""
    row = ROWS[event]
    return {name: example(fact) for name, fact in {**row["required"], **row["optional"]}.items()}


def described(hint: Any) -> Any:
    """Convert a type of our TypedDicts to the notation of the fixture."""
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
    """Return the TypedDict of an event; None if its properties are arguments."""
    if event in SHAPES:
        return SHAPES[event]
    if event in SPECIAL:
        return None
    return event_of_method(event).properties


def event_of_method(event: str) -> Any:
    """Return the declaration behind the method of an event."""
    family, method = method_of(event).split(".")
    return vars(type(getattr(PipelinesClient("k"), family)))[method]


def with_shape() -> list[str]:
    """List the events with properties in a TypedDict."""
    return [event for event in ROWS if shape(event) is not None]


def expected_item(event: str, message_id: str, anonymous_id: str | None) -> Row:
    """Return the item that must arrive for an event with all its properties."""
    row, properties = ROWS[event], whole(event)
    item: Row = {
        "type": "track",
        "event": event,
        "timestamp": "2026-11-22T12:00:00Z",
        "messageId": message_id,
    }
    if row.get("identity") == ["anonymousId"]:
        item["anonymousId"] = anonymous_id  # required by the vendor, its value is ignored
    else:
        item["userId"] = "u"
    item["context"] = {"library": LIBRARY}
    if "context" in row:
        item["context"] |= {"device": {"token": "t", "type": "ios"}}
    if properties:
        item["properties"] = properties
    return item


def test_events_arrive_as_specified(connect: Connect, vendor: VendorServer) -> None:
    """Name, identity and every property; one POST for each, with key and headers."""
    client = connect()
    ids, refused = {}, {}
    for event in ROWS:
        try:
            ids[event] = send(client, event, whole(event))
        except ValidationError as error:
            refused[event] = str(error)

    arrived = {call.json["event"]: call.json for call in vendor.calls}
    expected = {
        event: expected_item(event, id_, arrived.get(event, {}).get("anonymousId"))
        for event, id_ in ids.items()
    }
    assert refused == {}
    assert {event for event, item in expected.items() if arrived.get(event) != item} == set()
    assert len(vendor.calls) == len(arrived) == 72
    assert None not in [item["anonymousId"] for item in arrived.values() if "userId" not in item]
    names = ("authorization", "content-type", "x-strict-mode")
    assert {
        (call.method, call.target, *(call.headers[name] for name in names)) for call in vendor.calls
    } == {("POST", "/v1/track", "Basic d3JpdGVfa2V5Og==", "application/json", "1")}


def test_every_event_has_exactly_one_method_and_every_method_an_event() -> None:
    """72 names in the specification, 72 methods, and no others."""
    client = PipelinesClient("k")
    methods = [
        f"{family}.{name}"
        for family in FAMILY_NAMES
        for name in dir(getattr(client, family))
        if not name.startswith("_") and f"{family}.{name}" not in OTHER_METHODS
    ]

    assert len(ROWS) == 72
    assert sorted(map(method_of, ROWS)) == sorted(methods)


def test_every_family_is_covered() -> None:
    """The client has no family of methods that these tests do not know."""
    families = [name for name, value in vars(Surface).items() if isinstance(value, property)]

    assert sorted(families) == FAMILY_NAMES


def test_methods_declare_the_exact_names() -> None:
    """The vendor expects the exact string."""
    declared = {event: event_of_method(event) for event in ROWS if event not in SPECIAL}

    assert {type(one) for one in declared.values()} == {Event}
    assert {name: one.name for name, one in declared.items() if one.name != name} == {}


def test_properties_are_as_specified() -> None:
    """Names and types, both ways. Required: those of the vendor and those of `STRICTER`."""
    ours, specified = {}, {}
    for event in with_shape():
        row, hints = ROWS[event], get_type_hints(shape(event), include_extras=True)
        types = {name: described(hint) for name, hint in hints.items()}
        ours[event] = (types, set(shape_of(shape(event)).required))
        required = {*row["required"], *STRICTER.get(event, ())}
        specified[event] = ({**row["required"], **row["optional"]}, required)

    assert {event: one for event, one in ours.items() if one != specified[event]} == {}


def test_wrong_type_is_refused_by_name_before_anything_is_sent(
    connect: Connect, vendor: VendorServer, refused_field: RefusedField
) -> None:
    """For every property of every event, with three wrong values."""
    client = connect()
    wrong = []
    for event in with_shape():
        good = whole(event)
        facts = {**ROWS[event]["required"], **ROWS[event]["optional"]}
        for name in good:
            if facts[name] == "any":
                continue
            for bad in (None, object(), [object()] if isinstance(good[name], list) else "\ud800"):
                properties = good | {name: bad}
                field = refused_field(lambda: send(client, event, properties))  # noqa: B023
                if field not in (f"properties.{name}", f"properties.{name}[0]"):
                    wrong.append((event, name, bad, field))

    assert wrong == []
    assert vendor.calls == []


def test_missing_or_blank_required_property_is_refused(
    connect: Connect, vendor: VendorServer, refused_field: RefusedField
) -> None:
    """The error names the property; nothing is sent. For every event."""
    client = connect()
    wrong = []
    for event in with_shape():
        good = whole(event)
        for name in shape_of(shape(event)).required:
            without = {key: value for key, value in good.items() if key != name}
            for bad in (without, good | {name: " "}):
                field = refused_field(lambda: send(client, event, bad))  # noqa: B023
                if field != f"properties.{name}":
                    wrong.append((event, name, field))

    assert wrong == []
    assert vendor.calls == []


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
    ("video.content_started", {"airdate": datetime(2026, 1, 1)}, "airdate", "no time zone"),  # noqa: DTZ001  # the mistake under test
    ("video.content_started", {"airdate": "soon"}, "airdate", "is not an ISO 8601 time"),
    ("mobile.opened", {"from_background": 1}, "from_background", "must be True or False"),
    ("mobile.crashed", {"free": {1j: 2}}, "free", "complex"),
]


def test_error_names_the_path_of_a_wrong_value_and_what_it_must_be(
    connect: Connect, vendor: VendorServer
) -> None:
    """One row of `BAD_VALUES` for each kind of mistake."""
    client = connect()
    unexplained = []
    for method, properties, field, words in BAD_VALUES:
        error = ""
        try:
            attribute(client, method)("u", properties)
        except ValidationError as caught:
            error = str(caught)
        if not error.startswith(f"properties.{field}: ") or words not in error:
            unexplained.append((method, properties, error))

    assert unexplained == []
    assert vendor.calls == []


def test_person_is_required(connect: Connect, vendor: VendorServer) -> None:
    """An event without a person or a group is refused."""
    with pytest.raises(ValidationError, match="user_id or anonymous_id or group_id"):
        connect().video.ad_started()

    assert vendor.calls == []


@pytest.mark.parametrize("properties", [[], "text", 1])
def test_properties_must_be_a_dictionary(connect: Connect, properties: Any) -> None:
    """The error names the argument."""
    with pytest.raises(ValidationError, match=r"^properties: .*dictionary"):
        connect().ecommerce.cart_viewed("u", properties)


def test_unknown_and_additional_properties_are_kept(connect: Connect, vendor: VendorServer) -> None:
    """The vendor adds properties without notice, and accepts additional ones."""
    given: Any = {"order_id": "o", "new_of_the_vendor": 1}

    connect().ecommerce.order_completed("u", given, extra={"shop": "Berlin"})

    assert vendor.calls[0].json["properties"] == given | {"shop": "Berlin"}
    assert given == {"order_id": "o", "new_of_the_vendor": 1}


@pytest.mark.parametrize("name", ["order_id", "total"])
def test_additional_property_must_not_have_the_name_of_a_declared_one(
    connect: Connect, name: str
) -> None:
    """Its type would not be checked."""
    with pytest.raises(ValidationError, match="`properties`") as caught:
        connect().ecommerce.order_completed("u", {"order_id": "o"}, extra={name: 1})

    assert caught.value.field == f"extra.{name}"


def test_additional_properties_must_be_a_dictionary(connect: Connect) -> None:
    """The error names the argument."""
    with pytest.raises(ValidationError, match=r"^extra: .*dictionary.*list"):
        connect().mobile.crashed("u", extra=[])  # type: ignore[arg-type]


def test_options_go_with_the_event(connect: Connect, vendor: VendorServer) -> None:
    """Context, integrations, time, message id and identities, as for `track`."""
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
        "context": {"traits": {"email": "ada@example.com"}, "library": LIBRARY},
        "integrations": {"All": False},
        "timestamp": "2026-01-31T00:00:00Z",
        "messageId": "m-1",
    }


def test_oversize_event_is_refused(connect: Connect, vendor: VendorServer) -> None:
    """The vendor would answer 200 and drop the event."""
    with pytest.raises(SizeError):
        connect().ecommerce.cart_viewed("u", {"products": [{"name": "x" * 100}] * 400})

    assert vendor.calls == []


def test_queue_sends_events_too(
    make_queue: Callable[..., PipelinesQueue], vendor: VendorServer
) -> None:
    """The queue has the same events; they are checked when they are put."""
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
    """As in the vendor's mobile clients. The id of a person overrides it."""
    report: Delivery = {"deliveryId": "d-1", "metric": "opened", "recipient": "token"}

    connect().reporting.delivery_event(report)
    connect().reporting.delivery_event(report, anonymous_id="a")
    connect().reporting.delivery_event(report, user_id="u")

    whom = [(call.json.get("userId"), call.json.get("anonymousId")) for call in vendor.calls]
    assert whom == [(None, "d-1"), (None, "a"), ("u", None)]


def test_using_a_family_keeps_no_client_alive() -> None:
    """An unused client is freed at once, without garbage collection of cycles."""
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
def test_checked_returns_its_argument_or_names_a_property(properties: Any) -> None:
    """Any value is returned unchanged, or raises `ValidationError`."""
    joined, field = outcome(properties)

    given = {} if properties is None else properties
    assert repr(joined) == repr(given) if field is None else field.startswith("properties")


def outcome(properties: Any) -> tuple[Row | None, str | None]:
    """Check properties of an order; return the result, or the refused field."""
    try:
        return checked(properties, SettledOrder), None
    except ValidationError as error:
        return None, error.field


def test_required_reads_postponed_annotations() -> None:
    """Python 3.11 ignores `Required` in them."""
    assert get_origin(get_type_hints(PageContent, include_extras=True)["activityType"]) is Required
    assert shape_of(PageContent).required == ("activityType",)
