"""The seven calls as they arrive at a server, and what is refused before it is sent."""

from __future__ import annotations

import itertools
import json
import math
import tomllib
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import (
    BadRequestError,
    ConfigurationError,
    ServerError,
    SizeError,
    ValidationError,
)
from core.http.rate_limits import Gate
from core.pipelines import PipelinesClient
from core.pipelines.client import RATES
from core.pipelines.encoding import LIBRARY, completed, encoded, envelope
from core.pipelines.items import Item
from core.values import iso
from core.version import VERSION
from tests.support.paths import FIXTURES, ROOT
from tests.support.still_time import StillTime
from tests.support.vendor_server import Call, Reply, RoutedTransport, VendorServer

FACTS = json.loads((FIXTURES / "pipelines.json").read_text())
PATHS = {call["call"]: call for call in FACTS["calls"]}
AT = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=1)))
COMMON = {
    "context": {"ip": "192.0.2.1"},
    "integrations": {"All": True},
    "timestamp": AT,
    "message_id": "m-1",
}
COMMON_SENT = {
    "context": {"ip": "192.0.2.1", "library": LIBRARY},
    "integrations": {"All": True},
    "timestamp": "2026-01-31T08:30:00Z",
    "messageId": "m-1",
}

# A method, its arguments, and what must arrive in addition to the common fields.
CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("identify", {"user_id": "u", "traits": {"a": 1}}, {"userId": "u", "traits": {"a": 1}}),
    ("identify", {"anonymous_id": "a"}, {"anonymousId": "a"}),
    ("identify", {"user_id": "u", "anonymous_id": "a"}, {"userId": "u", "anonymousId": "a"}),
    ("track", {"user_id": "u", "event": "E"}, {"userId": "u", "event": "E"}),
    (
        "track",
        {"anonymous_id": "a", "event": "E", "properties": {"p": 1}},
        {"anonymousId": "a", "event": "E", "properties": {"p": 1}},
    ),
    ("track", {"group_id": "g", "event": "E"}, {"groupId": "g", "event": "E"}),
    ("track", {"event": "Report Delivery Event"}, {"event": "Report Delivery Event"}),
    ("page", {"user_id": "u", "name": "n"}, {"userId": "u", "name": "n"}),
    (
        "page",
        {"anonymous_id": "a", "properties": {"url": "x"}},
        {"anonymousId": "a", "properties": {"url": "x"}},
    ),
    ("screen", {"user_id": "u", "name": "n"}, {"userId": "u", "name": "n"}),
    ("screen", {"anonymous_id": "a", "properties": {}}, {"anonymousId": "a", "properties": {}}),
    (
        "group",
        {"user_id": "u", "group_id": "g", "traits": {"object_type_id": "1"}},
        {"userId": "u", "groupId": "g", "traits": {"object_type_id": "1"}},
    ),
    ("group", {"anonymous_id": "a", "group_id": "g"}, {"anonymousId": "a", "groupId": "g"}),
    ("alias", {"user_id": "u", "previous_id": "p"}, {"userId": "u", "previousId": "p"}),
]

Connect = Callable[..., PipelinesClient]
RefusedField = Callable[[Callable[[], object]], str]


def events(count: int) -> list[Item]:
    """Create small items as the vendor specifies them."""
    return [{"type": "track", "userId": f"u{at}", "event": "E"} for at in range(count)]


def test_calls_arrive_as_specified(connect: Connect, vendor: VendorServer) -> None:
    """Method, path, key, headers and body of each call and variant."""
    client = connect()

    ids = [getattr(client, name)(**arguments, **COMMON) for name, arguments, _ in CALLS]

    assert set(ids) == {"m-1"}
    assert [(call.method, call.target, call.json) for call in vendor.calls] == [
        (PATHS[name]["method"], PATHS[name]["path"], {"type": name, **sent, **COMMON_SENT})
        for name, _, sent in CALLS
    ]
    names = ("authorization", "content-type", "x-strict-mode")
    assert {tuple(call.headers[name] for name in names) for call in vendor.calls} == {
        ("Basic d3JpdGVfa2V5Og==", "application/json", "1")
    }


def test_calls_have_the_required_fields_of_a_variant(
    connect: Connect, vendor: VendorServer
) -> None:
    """Every body has all required fields of one documented variant."""
    client = connect()

    for name, arguments, _ in CALLS:
        getattr(client, name)(**arguments)

    incomplete = [
        call.json
        for call in vendor.calls
        if not any(
            set(variant) <= set(call.json) for variant in PATHS[call.json["type"]]["required"]
        )
        and call.json.get("event") != "Report Delivery Event"  # names no person
    ]
    assert incomplete == []
    assert len(vendor.calls) == len(CALLS)


def test_all_seven_calls_of_the_specification_exist(connect: Connect) -> None:
    """One method for each call, and `CALLS` has every call."""
    assert {name for name, _, _ in CALLS} | {"batch"} == set(PATHS)
    assert all(hasattr(connect(), name) for name in PATHS)


def test_batch_arrives_as_specified(connect: Connect, vendor: VendorServer) -> None:
    """Items of all six types in order, `context` and `integrations`; ids and times are added."""
    items: list[Item] = [
        {"type": "identify", "userId": "u"},
        {"type": "track", "anonymousId": "a", "event": "E", "messageId": "mine", "extra": 1},  # type: ignore[typeddict-unknown-key]
        {"type": "page", "userId": "u", "timestamp": AT},
        {"type": "screen", "userId": "u", "timestamp": "2026-01-31T08:30:00Z"},
        {"type": "group", "userId": "u", "groupId": "g"},
        {"type": "alias", "userId": "u", "previousId": "p"},
    ]

    ids = connect().batch(items, context={"ip": "192.0.2.1"}, integrations={"All": False})

    call = vendor.calls[0]
    assert (call.method, call.target) == ("POST", "/v1/batch")
    assert (call.json["context"], call.json["integrations"]) == (
        {"ip": "192.0.2.1"},
        {"All": False},
    )
    assert [item["type"] for item in vendor.items()] == [item["type"] for item in items]
    assert [item["messageId"] for item in vendor.items()] == ids
    assert (ids[1], vendor.items()[1]["extra"]) == ("mine", 1)
    assert {item["timestamp"] for item in vendor.items()} == {
        "2026-11-22T12:00:00Z",
        "2026-01-31T08:30:00Z",
    }
    assert "messageId" not in items[0]


def test_items_name_the_library_as_official_clients_do(
    connect: Connect, vendor: VendorServer
) -> None:
    """In the context of each item, beside the caller's fields; the caller's own library stays."""
    items: list[Any] = [
        {"type": "page", "userId": "u"},
        {"type": "page", "userId": "u", "context": {"ip": "192.0.2.1"}},
        {"type": "page", "userId": "u", "context": {"library": {"name": "mine"}}},
    ]

    connect().batch(items)

    assert [item["context"] for item in vendor.items()] == [
        {"library": {"name": "ciolake", "version": VERSION}},
        {"ip": "192.0.2.1", "library": {"name": "ciolake", "version": VERSION}},
        {"library": {"name": "mine"}},
    ]
    assert "context" not in items[0]


def test_batch_has_the_time_of_each_attempt(connect: Connect, vendor: VendorServer) -> None:
    """`sentAt` as official clients send it; the items of a repeated batch stay the same."""
    vendor.replies = [Reply(503)]
    seconds = itertools.count()

    connect(now=lambda: AT + timedelta(seconds=next(seconds))).batch(events(1))

    first, second = [call.json for call in vendor.calls]
    assert datetime.fromisoformat(first["sentAt"]) > AT
    assert first["sentAt"] < second["sentAt"]
    assert first["batch"] == second["batch"]


def test_version_is_the_one_of_the_package() -> None:
    """`core.version` cannot read it: the package may not be installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert declared == VERSION


@pytest.mark.parametrize("key", ["sk_us_1", "sk_eu_1", "pk_us_1", "pk_eu_1"])
def test_key_with_a_region_is_a_bearer_token_and_chooses_the_host(
    vendor: VendorServer, key: str
) -> None:
    """The region in the key overrides the argument."""
    transport = RoutedTransport(vendor.port)
    host = {"us": "cdp.customer.io", "eu": "cdp-eu.customer.io"}[key[3:5]]

    with PipelinesClient(f"{key}\n", region="us", transport=transport) as client:
        client.identify("u")

    transport.close()
    assert vendor.calls[0].headers["authorization"] == f"Bearer {key}"
    assert vendor.calls[0].headers["host"] == host


@pytest.mark.parametrize("region", ["us", "eu"])
def test_region_chooses_the_host(vendor: VendorServer, region: str) -> None:
    """A classic key is sent to the region of the argument."""
    transport = RoutedTransport(vendor.port)

    with PipelinesClient("classic", region=region, transport=transport) as client:
        client.identify("u")

    transport.close()
    assert f"https://{vendor.calls[0].headers['host']}/v1" == FACTS["hosts"][region]


def test_strict_mode_can_be_switched_off(connect: Connect, vendor: VendorServer) -> None:
    """Without strict mode the header is absent."""
    connect(strict=False).identify("u")

    assert "x-strict-mode" not in vendor.calls[0].headers


def test_configuration_is_checked_at_construction() -> None:
    """A key, a region or a URL that cannot be used is an error before any call."""
    for arguments in ({"api_key": " "}, {"region": "de"}, {"base_url": "cdp"}):
        with pytest.raises(ConfigurationError):
            PipelinesClient(**({"api_key": "k"} | arguments))


def test_client_shows_no_key() -> None:
    """The `repr` of a client shows its host only."""
    with PipelinesClient("s3cret") as client:
        assert repr(client) == "PipelinesClient(HttpClient('https://cdp.customer.io'))"


def test_repeated_call_sends_the_same_bytes(connect: Connect, vendor: VendorServer) -> None:
    """Message id and time are chosen once, not for each attempt."""
    vendor.replies = [Reply(500), Reply(hang_up=True), Reply(429)]

    message_id = connect().track("u", event="E")

    assert len(vendor.calls) == 4
    assert len({call.body for call in vendor.calls}) == 1
    assert vendor.calls[0].json["messageId"] == message_id


def test_error_of_strict_mode_has_the_vendors_message(
    connect: Connect, vendor: VendorServer
) -> None:
    """The vendor's Python client raises KeyError here. A 400 is not repeated."""
    vendor.script = lambda _: Reply(400, b'{"meta":{"errors":["userId too long"]}}')

    with pytest.raises(BadRequestError, match="userId too long"):
        connect().identify("u")

    assert len(vendor.calls) == 1


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("identify", {}, "user_id or anonymous_id"),
    ("identify", {"user_id": ""}, "user_id"),
    ("identify", {"user_id": " "}, "user_id"),
    ("identify", {"user_id": 7.5}, "user_id"),
    ("identify", {"anonymous_id": b"a"}, "anonymous_id"),
    ("identify", {"user_id": "u", "traits": [1]}, "traits"),
    ("identify", {"user_id": "u", "context": "c"}, "context"),
    ("identify", {"user_id": "u", "integrations": 1}, "integrations"),
    ("identify", {"user_id": "u", "message_id": ""}, "message_id"),
    ("identify", {"user_id": "u", "timestamp": datetime(2026, 1, 1)}, "timestamp"),  # noqa: DTZ001
    ("identify", {"user_id": "u", "timestamp": 1}, "timestamp"),
    ("track", {"event": "E"}, "user_id or anonymous_id or group_id"),
    ("track", {"user_id": "u", "event": ""}, "event"),
    ("track", {"user_id": "u", "event": None}, "event"),
    ("track", {"user_id": "u", "event": "E", "properties": "p"}, "properties"),
    ("page", {"name": "n"}, "user_id or anonymous_id"),
    ("page", {"user_id": "u", "name": 1}, "name"),
    ("screen", {}, "user_id or anonymous_id"),
    ("group", {"group_id": "g"}, "user_id or anonymous_id"),
    ("group", {"user_id": "u", "group_id": None}, "group_id"),
    ("alias", {"user_id": None, "previous_id": "p"}, "user_id"),
    ("alias", {"user_id": "u", "previous_id": ""}, "previous_id"),
]


def test_bad_argument_is_named_and_nothing_is_sent(
    connect: Connect, vendor: VendorServer, refused_field: RefusedField
) -> None:
    """The error names the argument as the caller spelled it."""
    client = connect()

    refused = [
        (name, arguments, refused_field(partial(getattr(client, name), **arguments)))
        for name, arguments, _ in REFUSED
    ]

    assert refused == REFUSED
    assert vendor.calls == []


UNENCODABLE: list[tuple[object, str]] = [
    (math.nan, "traits.x"),
    (math.inf, "traits.x"),
    ({1, 2}, "traits.x"),
    (b"bytes", "traits.x"),
    ("\ud800", "traits.x"),
    (datetime(2026, 1, 1), "traits.x"),  # noqa: DTZ001
    ([1, {"y": math.nan}], "traits.x[1].y"),
    ({("a", "b"): 1}, "traits.x"),
    ({"\ud800": 1}, "traits.x"),
    (datetime.min.replace(tzinfo=AT.tzinfo), "traits.x"),
    ([10**5000], "traits.x[0]"),
]


def test_value_that_json_cannot_represent_is_named(
    connect: Connect, vendor: VendorServer, refused_field: RefusedField
) -> None:
    """The error has the path of the value."""
    client = connect()

    fields = [
        refused_field(partial(client.identify, "u", {"ok": 1, "x": value}))
        for value, _ in UNENCODABLE
    ]

    assert fields == [field for _, field in UNENCODABLE]
    assert vendor.calls == []


def test_value_that_contains_itself_is_named(connect: Connect) -> None:
    """A value that contains itself, or is nested very deeply, is refused."""
    loop: dict[str, Any] = {}
    loop["again"] = loop
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]

    for value in (loop, deep):
        with pytest.raises(ValidationError, match="nested") as caught:
            connect().identify("u", {"x": value})
        assert caught.value.field == "traits"


def test_times_dates_and_uuids_become_text(connect: Connect, vendor: VendorServer) -> None:
    """Times in UTC; mappings become dictionaries."""
    id_ = uuid.UUID(int=1)
    traits = {"at": AT, "day": date(2026, 1, 31), "id": id_, "map": MappingProxyType({"a": "é"})}

    connect().identify("u", MappingProxyType(traits))

    assert vendor.calls[0].json["traits"] == {
        "at": "2026-01-31T08:30:00Z",
        "day": "2026-01-31",
        "id": "00000000-0000-0000-0000-000000000001",
        "map": {"a": "é"},
    }


BAD_ITEMS: list[tuple[Any, str]] = [
    ({"type": "identify"}, "items[1].userId or items[1].anonymousId"),
    ({"type": "track", "userId": "u"}, "items[1].event"),
    ({"type": "track", "userId": None, "event": "E"}, "items[1].userId"),
    ({"type": "group", "userId": "u"}, "items[1].groupId"),
    ({"type": "alias", "userId": "u"}, "items[1].previousId"),
    ({"type": "delete", "userId": "u"}, "items[1].type"),
    ({"type": [], "userId": "u"}, "items[1].type"),
    ({"userId": "u"}, "items[1].type"),
    ({"type": "page", "userId": "u", "timestamp": "2026-01-31T08:30:00"}, "items[1].timestamp"),
    ({"type": "page", "userId": "u", "sentAt": "today"}, "items[1].sentAt"),
    ({"type": "page", "userId": "u", "properties": {"x": math.nan}}, "items[1].properties.x"),
    ("text", "items[1]"),
]


def test_bad_item_of_a_batch_is_named_and_nothing_is_sent(
    connect: Connect, vendor: VendorServer, refused_field: RefusedField
) -> None:
    """The error names item and field. Valid items before it are not sent either."""
    client = connect()

    refused = [
        (item, refused_field(partial(client.batch, [*events(1), item]))) for item, _ in BAD_ITEMS
    ]

    assert refused == BAD_ITEMS
    assert vendor.calls == []


@pytest.mark.parametrize("size", [32_000, 32_001])
def test_item_is_refused_one_byte_over_the_limit(
    connect: Connect, vendor: VendorServer, size: int
) -> None:
    """32,000 encoded bytes are sent, one more is an error before sending."""
    client = connect()
    item: Any = {
        "type": "track",
        "userId": "u",
        "event": "E",
        "properties": {"p": ""},
        "messageId": "m",
        "timestamp": AT,
    }
    bare = len(client.encoded(item)[1])
    item["properties"]["p"] = "é" * ((size - bare) // 2) + "x" * ((size - bare) % 2)

    if size == 32_000:
        client.batch([item])
        client.track("u", event="E", properties=item["properties"], message_id="m", timestamp=AT)
        assert len(vendor.calls[1].body) == 32_000
    else:
        with pytest.raises(SizeError, match=r"items\[0\]: .*32,001 bytes") as caught:
            client.batch([item])
        assert (caught.value.size_bytes, caught.value.limit_bytes) == (32_001, 32_000)
        assert vendor.calls == []


def test_large_batch_is_sent_in_the_fewest_requests(connect: Connect, vendor: VendorServer) -> None:
    """15 items of nearly 32,000 bytes fit into a request: three requests for 40, in order."""
    items: list[Any] = [
        {"type": "track", "userId": str(at), "event": "E", "properties": {"p": "x" * 31_700}}
        for at in range(40)
    ]

    ids = connect().batch(items)

    assert [len(call.json["batch"]) for call in vendor.calls] == [15, 15, 10]
    assert all(len(call.body) <= 500_000 for call in vendor.calls)
    assert [item["messageId"] for item in vendor.items()] == ids


def test_empty_batch_sends_nothing(connect: Connect, vendor: VendorServer) -> None:
    """The vendor rejects an empty batch, so none is sent. This is no error."""
    assert connect().batch([]) == []
    assert vendor.calls == []


def test_context_of_a_batch_is_checked(connect: Connect, vendor: VendorServer) -> None:
    """A wrong type, or a context that is too large, is refused by name."""
    for arguments, field in (
        ({"context": 1}, "context"),
        ({"integrations": {"x": math.nan}}, "integrations.x"),
        ({"context": {"x": "y" * 480_000}}, "context, integrations"),
    ):
        with pytest.raises(ValidationError) as caught:
            connect().batch(events(1), **arguments)  # type: ignore[arg-type]
        assert caught.value.field == field
    assert vendor.calls == []


def test_interrupted_batch_returns_the_unconfirmed_items(
    connect: Connect, vendor: VendorServer
) -> None:
    """Items of the failed request and of later requests can be sent again with the same ids."""
    big: list[Any] = [
        {"type": "track", "userId": str(at), "event": "E", "properties": {"p": "x" * 31_700}}
        for at in range(31)
    ]

    def second_fails(call: Call) -> Reply:
        return Reply(500 if call.json["batch"][0]["userId"] == "15" else 200)

    vendor.script = second_fails
    client = connect()

    with pytest.raises(ServerError) as caught:
        client.batch(big)
    vendor.script = lambda _: Reply()
    client.batch(caught.value.unconfirmed)  # type: ignore[arg-type]

    assert [item["userId"] for item in caught.value.unconfirmed] == [str(n) for n in range(15, 31)]
    sent_ids = [item["messageId"] for item in vendor.items() if item["userId"] == "15"]
    assert len(sent_ids) == 5
    assert len(set(sent_ids)) == 1


offsets = st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14)))


@given(st.datetimes(datetime(1900, 1, 1), datetime(9998, 1, 1), timezones=offsets))  # noqa: DTZ001
def test_iso_keeps_the_moment(moment: datetime) -> None:
    """UTC with microseconds, so that the text is the same moment."""
    text = iso(moment)

    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == moment


texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, json_values, max_size=4))
def test_encoding_loses_nothing(traits: dict[str, Any]) -> None:
    """Every JSON value arrives unchanged."""
    item = {"type": "identify", "userId": "u", "traits": traits}

    message_id, data = encoded(item, lambda: AT)

    assert json.loads(data) == {
        **item,
        "messageId": message_id,
        "timestamp": "2026-01-31T08:30:00Z",
        "context": {"library": LIBRARY},
    }


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.floats(), max_size=3))
def test_encoding_ends_in_bytes_or_a_named_field(traits: dict[str, Any]) -> None:
    """Any text and number is encoded or raises `ValidationError`."""

    def refused() -> str | None:
        try:
            encoded({"type": "identify", "userId": "u", "traits": traits}, lambda: AT)
        except ValidationError as error:
            return error.field
        return None

    assert (refused() or "traits").startswith("traits")


def test_completed_adds_a_unique_id_to_every_item() -> None:
    """A random UUID; an existing id stays."""
    made = [completed({}, lambda: AT)["messageId"] for _ in range(100)]

    assert len(set(made)) == 100
    assert {str(uuid.UUID(str(id_), version=4)) for id_ in made} == set(made)
    assert completed({"messageId": "m"}, lambda: AT)["messageId"] == "m"


def test_envelope_without_fields_is_the_batch_alone() -> None:
    """Twelve bytes around the items of a batch."""
    assert envelope(None, None) == (b'{"batch":[', b"]}")


def test_rate_limit_is_3000_calls_in_3_seconds(
    time: StillTime, connect: Connect, vendor: VendorServer
) -> None:
    """3,000 calls start at once; the next one waits until the three seconds are over."""
    gate = Gate(RATES["pipelines"])
    for _ in range(3000):
        gate.reserve(time.at, 0)

    connect(gates={"pipelines": gate}).identify("u")

    assert time.slept == [3.0]
    assert len(vendor.calls) == 1
