"""People, devices, objects and relationships: what arrives, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from core.errors import ValidationError
from core.pipelines import PipelinesClient
from core.pipelines.encoding import LIBRARY
from tests.support.vendor_server import VendorServer

Connect = Callable[..., PipelinesClient]
Do = Callable[[Any], str]
Body = dict[str, Any]

OPTIONS: dict[str, Any] = {
    "context": {"ip": "192.0.2.1"},
    "integrations": {"All": True},
    "timestamp": datetime(2026, 1, 31, 8, 30, tzinfo=UTC),
    "message_id": "m-1",
}
OPTIONS_SENT = {
    "context": {"ip": "192.0.2.1", "library": LIBRARY},
    "integrations": {"All": True},
    "timestamp": "2026-01-31T08:30:00Z",
    "messageId": "m-1",
}

# A call, and the item that must arrive in addition to the options.
CALLS: list[tuple[Do, Body]] = [
    (
        lambda c: c.people.create("u", {"email": "ada@example.com"}, **OPTIONS),
        {"type": "identify", "userId": "u", "traits": {"email": "ada@example.com"}},
    ),
    (
        lambda c: c.people.update("u", {"plan": None}, **OPTIONS),
        {"type": "identify", "userId": "u", "traits": {"plan": None}},
    ),
    (
        lambda c: c.people.unsubscribe("u", **OPTIONS),
        {"type": "identify", "userId": "u", "traits": {"unsubscribed": True}},
    ),
    (
        lambda c: c.people.resubscribe("u", **OPTIONS),
        {"type": "identify", "userId": "u", "traits": {"unsubscribed": False}},
    ),
    (
        lambda c: c.people.delete("ada@example.com", **OPTIONS),
        {"type": "track", "event": "User Deleted", "userId": "ada@example.com"},
    ),
    (
        lambda c: c.people.suppress("u", **OPTIONS),
        {"type": "track", "event": "User Suppressed", "userId": "u"},
    ),
    (
        lambda c: c.people.unsuppress("u", **OPTIONS),
        {"type": "track", "event": "User Unsuppressed", "userId": "u"},
    ),
    (
        lambda c: c.devices.register(
            "u", "t", type="android", attributes={"app_version": "1"}, **OPTIONS
        ),
        {
            "type": "track",
            "event": "Device Created or Updated",
            "userId": "u",
            "context": {
                "ip": "192.0.2.1",
                "library": LIBRARY,
                "device": {"token": "t", "type": "android", "app_version": "1"},
            },
        },
    ),
    (
        lambda c: c.devices.delete("u", "t", **OPTIONS),
        {
            "type": "track",
            "event": "Device Deleted",
            "userId": "u",
            "context": {"ip": "192.0.2.1", "library": LIBRARY, "device": {"token": "t"}},
        },
    ),
    (
        lambda c: c.objects.create("acme", {"name": "Acme"}, **OPTIONS),
        {
            "type": "group",
            "groupId": "acme",
            "anonymousId": "acme",
            "traits": {"name": "Acme", "object_type_id": "1"},
        },
    ),
    (
        lambda c: c.objects.update("acme", object_type_id=2, **OPTIONS),
        {
            "type": "group",
            "groupId": "acme",
            "anonymousId": "acme",
            "traits": {"object_type_id": "2"},
        },
    ),
    (
        lambda c: c.objects.delete("acme", object_type_id=2, **OPTIONS),
        {
            "type": "track",
            "event": "Object Deleted",
            "anonymousId": "acme",
            "properties": {"objectId": "acme", "objectTypeId": 2},
        },
    ),
    (
        lambda c: c.relationships.create("u", "acme", {"name": "Acme"}, **OPTIONS),
        {
            "type": "group",
            "userId": "u",
            "groupId": "acme",
            "traits": {"name": "Acme", "object_type_id": "1"},
        },
    ),
    (
        lambda c: c.relationships.delete("u", "acme", **OPTIONS),
        {
            "type": "track",
            "event": "Relationship Deleted",
            "userId": "u",
            "properties": {"objectId": "acme", "objectTypeId": 1},
        },
    ),
]


def test_methods_arrive_as_specified(connect: Connect, vendor: VendorServer) -> None:
    """Each method is the documented call, with all options."""
    client = connect()

    ids = [do(client) for do, _ in CALLS]

    assert set(ids) == {"m-1"}
    assert [(call.method, call.target, call.json) for call in vendor.calls] == [
        ("POST", f"/v1/{sent['type']}", {**OPTIONS_SENT, **sent}) for _, sent in CALLS
    ]
    assert {call.headers["authorization"] for call in vendor.calls} == {"Basic d3JpdGVfa2V5Og=="}


def test_queue_sends_the_same_items(make_queue: Callable[..., Any], vendor: VendorServer) -> None:
    """An item of a batch equals the body of the single call."""
    queue = make_queue()

    for do, _ in CALLS:
        do(queue)

    assert queue.flush(10)
    assert vendor.items() == [{**OPTIONS_SENT, **sent} for _, sent in CALLS]


BAD: list[tuple[str, Do]] = [
    ("user_id", lambda c: c.people.create("")),
    ("user_id", lambda c: c.people.update(7.0)),
    ("user_id", lambda c: c.people.unsubscribe(None)),
    ("user_id", lambda c: c.people.delete(None)),
    ("user_id", lambda c: c.people.suppress(" ")),
    ("user_id", lambda c: c.people.unsuppress(b"u")),
    ("traits", lambda c: c.people.create("u", ["a"])),
    ("timestamp", lambda c: c.people.delete("u", timestamp=7)),
    ("message_id", lambda c: c.people.delete("u", message_id="")),
    ("user_id", lambda c: c.devices.register(None, "t")),
    ("token", lambda c: c.devices.register("u", "")),
    ("token", lambda c: c.devices.delete("u", None)),
    ("type", lambda c: c.devices.register("u", "t", type="iOS")),
    ("type", lambda c: c.devices.delete("u", "t", type=[])),
    ("attributes", lambda c: c.devices.register("u", "t", attributes=["a"])),
    ("attributes.token", lambda c: c.devices.register("u", "t", attributes={"token": "x"})),
    ("attributes.type", lambda c: c.devices.register("u", "t", attributes={"type": "ios"})),
    ("context", lambda c: c.devices.register("u", "t", context=[])),
    ("context.device", lambda c: c.devices.delete("u", "t", context={"device": {}})),
    ("object_id", lambda c: c.objects.create(None)),
    ("traits", lambda c: c.objects.create("o", "traits")),
    ("traits.object_type_id", lambda c: c.objects.create("o", {"object_type_id": "2"})),
    ("object_type_id", lambda c: c.objects.create("o", object_type_id="1")),
    ("object_type_id", lambda c: c.objects.delete("o", object_type_id=True)),
    ("object_type_id", lambda c: c.objects.delete("o", object_type_id=0)),
    ("object_id", lambda c: c.objects.delete("")),
    ("user_id", lambda c: c.relationships.create("", "o")),
    ("object_id", lambda c: c.relationships.create("u", "")),
    ("object_type_id", lambda c: c.relationships.create("u", "o", object_type_id=1.0)),
    ("user_id", lambda c: c.relationships.delete(None, "o")),
    ("object_id", lambda c: c.relationships.delete("u", None)),
    ("object_type_id", lambda c: c.relationships.delete("u", "o", object_type_id=-1)),
]


def test_bad_argument_is_refused_by_name_before_anything_is_sent(
    connect: Connect, vendor: VendorServer, refused_field: Callable[[Callable[[], object]], str]
) -> None:
    """The error names the argument as the caller spelled it."""
    client = connect()

    fields = [refused_field(partial(do, client)) for _, do in BAD]

    assert fields == [field for field, _ in BAD]
    assert vendor.calls == []


def test_missing_argument_is_called_required(connect: Connect) -> None:
    """A missing id arrives as None."""
    with pytest.raises(ValidationError, match=r"^user_id: .*required"):
        connect().people.delete(None)  # type: ignore[arg-type]


def test_unknown_option_is_a_type_error(connect: Connect, vendor: VendorServer) -> None:
    """A misspelled option is not ignored."""
    with pytest.raises(TypeError):
        connect().people.delete("u", time="2026-01-01")  # type: ignore[call-arg]

    assert vendor.calls == []


def test_context_of_the_caller_is_not_changed(connect: Connect, vendor: VendorServer) -> None:
    """The device is added to a copy of the context."""
    context = {"ip": "192.0.2.1"}

    connect().devices.register("u", "t", context=context)

    assert context == {"ip": "192.0.2.1"}
    assert vendor.calls[0].json["context"]["device"] == {"token": "t"}
