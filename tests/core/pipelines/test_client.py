"""The seven calls as they arrive at a real server, and what is refused before they are sent."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
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
from core.pipelines.encoding import completed, encoded, envelope, iso
from core.pipelines.items import Item
from tests.support.paths import FIXTURES
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
    "context": {"ip": "192.0.2.1"},
    "integrations": {"All": True},
    "timestamp": "2026-01-31T08:30:00Z",
    "messageId": "m-1",
}

# Arguments of the method -> what must arrive, beside the common fields.
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


def events(count: int) -> list[Item]:
    """Make that many small items in the vendor's shape."""
    return [{"type": "track", "userId": f"u{at}", "event": "E"} for at in range(count)]


@pytest.mark.parametrize(("name", "arguments", "sent"), CALLS)
def test_call_arrives_as_specified(
    connect: Connect,
    vendor: VendorServer,
    name: str,
    arguments: dict[str, Any],
    sent: dict[str, Any],
) -> None:
    """Method, path, key, headers and body of each call and variant are the specification's."""
    message_id = getattr(connect(), name)(**arguments, **COMMON)

    call = vendor.calls[0]
    assert message_id == "m-1"
    assert (call.method, call.target) == (PATHS[name]["method"], PATHS[name]["path"])
    assert call.headers["authorization"] == "Basic d3JpdGVfa2V5Og=="
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-strict-mode"] == "1"
    assert call.json == {"type": name, **sent, **COMMON_SENT}


@pytest.mark.parametrize(("name", "arguments", "_sent"), CALLS)
def test_call_meets_a_variant_of_the_specification(
    connect: Connect, vendor: VendorServer, name: str, arguments: dict[str, Any], _sent: object
) -> None:
    """Every body holds all required fields of one documented variant."""
    getattr(connect(), name)(**arguments)

    body = vendor.calls[0].json
    without_identity = body.get("event") == "Report Delivery Event"
    assert without_identity or any(set(v) <= set(body) for v in PATHS[name]["required"])


def test_all_seven_calls_of_the_specification_exist(connect: Connect) -> None:
    """One method a call, and every call is exercised above."""
    assert {name for name, _, _ in CALLS} | {"batch"} == set(PATHS)
    assert all(hasattr(connect(), name) for name in PATHS)


def test_batch_arrives_as_specified(connect: Connect, vendor: VendorServer) -> None:
    """All six types in order, `context` and `integrations` beside them, ids and times filled in."""
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


@pytest.mark.parametrize("key", ["sk_us_1", "sk_eu_1", "pk_us_1", "pk_eu_1"])
def test_key_with_a_region_is_a_bearer_token_and_chooses_the_host(
    vendor: VendorServer, key: str
) -> None:
    """The key's own region goes before the argument."""
    transport = RoutedTransport(vendor.port)
    host = {"us": "cdp.customer.io", "eu": "cdp-eu.customer.io"}[key[3:5]]

    with PipelinesClient(f"{key}\n", region="us", transport=transport) as client:
        client.identify("u")

    transport.close()
    assert vendor.calls[0].headers["authorization"] == f"Bearer {key}"
    assert vendor.calls[0].headers["host"] == host


@pytest.mark.parametrize("region", ["us", "eu"])
def test_region_chooses_the_host(vendor: VendorServer, region: str) -> None:
    """A classic key goes to the region that was named."""
    transport = RoutedTransport(vendor.port)

    with PipelinesClient("classic", region=region, transport=transport) as client:
        client.identify("u")

    transport.close()
    assert f"https://{vendor.calls[0].headers['host']}/v1" == FACTS["hosts"][region]


def test_strict_mode_can_be_left(connect: Connect, vendor: VendorServer) -> None:
    """Without strict mode the header is absent."""
    connect(strict=False).identify("u")

    assert "x-strict-mode" not in vendor.calls[0].headers


def test_configuration_is_checked_at_construction() -> None:
    """Unusable keys, regions and addresses never reach the network."""
    for arguments in ({"api_key": " "}, {"region": "de"}, {"base_url": "cdp"}):
        with pytest.raises(ConfigurationError):
            PipelinesClient(**({"api_key": "k"} | arguments))


def test_client_shows_no_key() -> None:
    """A client in a log line shows its host only."""
    with PipelinesClient("s3cret") as client:
        assert repr(client) == "PipelinesClient(HttpClient('https://cdp.customer.io'))"


def test_repeated_call_carries_the_same_bytes(connect: Connect, vendor: VendorServer) -> None:
    """The message id and the time are chosen once, not once an attempt."""
    vendor.replies = [Reply(500), Reply(hang_up=True), Reply(429)]

    message_id = connect().track("u", event="E")

    assert len(vendor.calls) == 4
    assert len({call.body for call in vendor.calls}) == 1
    assert vendor.calls[0].json["messageId"] == message_id


def test_refusal_of_strict_mode_carries_the_vendors_words(
    connect: Connect, vendor: VendorServer
) -> None:
    """The 400 that the official client hides behind a KeyError, and it is not repeated."""
    vendor.script = lambda _: Reply(400, b'{"meta":{"errors":["userId too long"]}}')

    with pytest.raises(BadRequestError, match="userId too long"):
        connect().identify("u")

    assert len(vendor.calls) == 1


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("identify", {}, "user_id or anonymous_id"),
    ("identify", {"user_id": ""}, "user_id"),
    ("identify", {"user_id": " "}, "user_id"),
    ("identify", {"user_id": 7}, "user_id"),
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


@pytest.mark.parametrize(("name", "arguments", "field"), REFUSED)
def test_bad_argument_is_named_and_nothing_is_sent(
    connect: Connect, vendor: VendorServer, name: str, arguments: dict[str, Any], field: str
) -> None:
    """The error names the argument as it was spelled."""
    with pytest.raises(ValidationError) as caught:
        getattr(connect(), name)(**arguments)

    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
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


@pytest.mark.parametrize(("value", "field"), UNENCODABLE)
def test_value_that_json_cannot_hold_is_named(
    connect: Connect, vendor: VendorServer, value: object, field: str
) -> None:
    """The path to the value is in the error, the value is not."""
    with pytest.raises(ValidationError) as caught:
        connect().identify("u", {"ok": 1, "x": value})

    assert caught.value.field == field
    assert vendor.calls == []


def test_value_that_holds_itself_is_named(connect: Connect) -> None:
    """Neither a loop nor a depth beyond reason is followed for ever."""
    loop: dict[str, Any] = {}
    loop["again"] = loop
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]

    for value in (loop, deep):
        with pytest.raises(ValidationError, match="too deep, or holds itself") as caught:
            connect().identify("u", {"x": value})
        assert caught.value.field == "traits"


def test_values_with_one_meaning_become_text(connect: Connect, vendor: VendorServer) -> None:
    """Aware times in UTC, dates, UUIDs; other mappings are dictionaries."""
    id_ = uuid.UUID(int=1)
    traits = {"at": AT, "day": date(2026, 1, 31), "id": id_, "map": MappingProxyType({"a": "é"})}

    connect().identify("u", MappingProxyType(traits))

    assert vendor.calls[0].json["traits"] == {
        "at": "2026-01-31T08:30:00Z",
        "day": "2026-01-31",
        "id": "00000000-0000-0000-0000-000000000001",
        "map": {"a": "é"},
    }


@pytest.mark.parametrize(
    ("item", "field"),
    [
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
    ],
)
def test_bad_item_of_a_batch_is_named_and_nothing_is_sent(
    connect: Connect, vendor: VendorServer, item: Any, field: str
) -> None:
    """The error names item and field; the good items before it were not sent either."""
    with pytest.raises(ValidationError) as caught:
        connect().batch([*events(1), item])

    assert caught.value.field == field
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
        with pytest.raises(SizeError, match=r"items\[0\]: takes 32,001 bytes") as caught:
            client.batch([item])
        assert (caught.value.size_bytes, caught.value.limit_bytes) == (32_001, 32_000)
        assert vendor.calls == []


def test_large_batch_is_sent_in_the_fewest_requests(connect: Connect, vendor: VendorServer) -> None:
    """40 items of nearly 32,000 bytes: 15 fit into a request, so three, in order."""
    items: list[Any] = [
        {"type": "track", "userId": str(at), "event": "E", "properties": {"p": "x" * 31_800}}
        for at in range(40)
    ]

    ids = connect().batch(items)

    assert [len(call.json["batch"]) for call in vendor.calls] == [15, 15, 10]
    assert all(len(call.body) <= 500_000 for call in vendor.calls)
    assert [item["messageId"] for item in vendor.items()] == ids


def test_empty_batch_sends_nothing(connect: Connect, vendor: VendorServer) -> None:
    """The vendor refuses an empty batch; nothing to send is no error."""
    assert connect().batch([]) == []
    assert vendor.calls == []


def test_context_of_a_batch_is_checked(connect: Connect, vendor: VendorServer) -> None:
    """Wrong types and a context that leaves no room are named before sending."""
    for arguments, field in (
        ({"context": 1}, "context"),
        ({"integrations": {"x": math.nan}}, "integrations.x"),
        ({"context": {"x": "y" * 480_000}}, "context, integrations"),
    ):
        with pytest.raises(ValidationError) as caught:
            connect().batch(events(1), **arguments)  # type: ignore[arg-type]
        assert caught.value.field == field
    assert vendor.calls == []


def test_interrupted_batch_tells_what_is_unconfirmed(
    connect: Connect, vendor: VendorServer
) -> None:
    """The items of the failed request and those behind it, to be sent again under the same ids."""
    big: list[Any] = [
        {"type": "track", "userId": str(at), "event": "E", "properties": {"p": "x" * 31_800}}
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
    """Written in UTC with all its microseconds, it reads back as the same moment."""
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
    """What JSON can hold arrives as it was."""
    item = {"type": "identify", "userId": "u", "traits": traits}

    message_id, data = encoded(item, lambda: AT)

    assert json.loads(data) == {
        **item,
        "messageId": message_id,
        "timestamp": "2026-01-31T08:30:00Z",
    }


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.floats(), max_size=3))
def test_encoding_ends_in_bytes_or_a_named_field(traits: dict[str, Any]) -> None:
    """Hostile text and numbers are refused by one error type."""

    def field_of_the_fault() -> str | None:
        try:
            encoded({"type": "identify", "userId": "u", "traits": traits}, lambda: AT)
        except ValidationError as error:
            return error.field
        return None

    assert (field_of_the_fault() or "traits").startswith("traits")


def test_completed_gives_every_item_an_id_of_its_own() -> None:
    """Ids are random UUIDs, and given ones stay."""
    made = [completed({}, lambda: AT)["messageId"] for _ in range(100)]

    assert len(set(made)) == 100
    assert {str(uuid.UUID(str(id_), version=4)) for id_ in made} == set(made)
    assert completed({"messageId": "m"}, lambda: AT)["messageId"] == "m"


def test_envelope_is_small_by_itself() -> None:
    """Twelve bytes around the items of a batch."""
    assert envelope(None, None) == (b'{"batch":[', b"]}")


def test_rate_of_the_pipelines_is_3000_in_3_seconds(
    time: StillTime, connect: Connect, vendor: VendorServer
) -> None:
    """3,000 calls pass at once; the next waits until three seconds are over."""
    gate = Gate(RATES["pipelines"])
    for _ in range(3000):
        gate.reserve(time.at, 0)

    connect(gates={"pipelines": gate}).identify("u")

    assert time.slept == [3.0]
    assert len(vendor.calls) == 1
