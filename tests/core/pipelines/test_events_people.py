"""People, devices, objects and relationships: what arrives, and what is refused before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import ValidationError
from core.pipelines import PipelinesClient
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
    "context": {"ip": "192.0.2.1"},
    "integrations": {"All": True},
    "timestamp": "2026-01-31T08:30:00Z",
    "messageId": "m-1",
}

# What is called -> what must arrive, beside the options.
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
            "context": {"ip": "192.0.2.1", "device": {"token": "t"}},
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


@pytest.mark.parametrize(("do", "sent"), CALLS)
def test_helper_arrives_as_specified(
    connect: Connect, vendor: VendorServer, do: Do, sent: Body
) -> None:
    """Each is the documented call, with every option in its place."""
    assert do(connect()) == "m-1"

    call = vendor.calls[0]
    assert (call.method, call.target) == ("POST", f"/v1/{sent['type']}")
    assert call.headers["authorization"] == "Basic d3JpdGVfa2V5Og=="
    assert call.json == {**OPTIONS_SENT, **sent}


@pytest.mark.parametrize(("do", "sent"), CALLS)
def test_queue_takes_the_same(
    make_queue: Callable[..., Any], vendor: VendorServer, do: Do, sent: Body
) -> None:
    """In a batch each item is the call's own body."""
    queue = make_queue()

    do(queue)

    assert queue.flush(10)
    assert vendor.items() == [{**OPTIONS_SENT, **sent}]


BAD: list[tuple[str, Do]] = [
    ("user_id", lambda c: c.people.create("")),
    ("user_id", lambda c: c.people.update(7)),
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


@pytest.mark.parametrize(("field", "do"), BAD)
def test_bad_argument_is_refused_by_name_before_anything_is_sent(
    connect: Connect, vendor: VendorServer, field: str, do: Do
) -> None:
    """The error names the argument as the caller spelled it."""
    with pytest.raises(ValidationError) as caught:
        do(connect())

    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert vendor.calls == []


def test_missing_argument_is_called_required(connect: Connect) -> None:
    """None is how a missing id arrives."""
    with pytest.raises(ValidationError, match=r"^user_id: is required$"):
        connect().people.delete(None)  # type: ignore[arg-type]


def test_unknown_option_is_a_type_error(connect: Connect, vendor: VendorServer) -> None:
    """A misspelled option is not dropped silently."""
    with pytest.raises(TypeError):
        connect().people.delete("u", time="2026-01-01")  # type: ignore[call-arg]

    assert vendor.calls == []


def test_context_of_the_caller_is_not_changed(connect: Connect, vendor: VendorServer) -> None:
    """A device is added to a copy."""
    context = {"ip": "192.0.2.1"}

    connect().devices.register("u", "t", context=context)

    assert context == {"ip": "192.0.2.1"}
    assert vendor.calls[0].json["context"]["device"] == {"token": "t"}
