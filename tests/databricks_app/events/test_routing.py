"""Opening a body: key, date and route, whatever the bytes are."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime

import pytest

from databricks_app.events.envelope import UNDATED, EventEnvelope, UnroutedReason
from databricks_app.events.handlers.conversions import NumberText
from databricks_app.events.parsing import MAX_DEPTH
from databricks_app.events.routing import envelope

EVENT_ID = "01E4C4CT6YDC7Y5M7FE1GWWPQJ"
SECONDS = 1_700_000_000
MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def opened(**changes: object) -> EventEnvelope:
    """The envelope of an email/sent event with changed members; `...` leaves one out."""
    event: dict[str, object] = {
        "event_id": EVENT_ID,
        "object_type": "email",
        "metric": "sent",
        "timestamp": SECONDS,
        "data": {"delivery_id": "d1"},
    }
    event |= changes
    return envelope(json.dumps({k: v for k, v in event.items() if v is not ...}).encode())


def test_envelope_of_a_good_event() -> None:
    """A usual event gives its own id, its UTC day and its table."""
    result = opened()

    assert result.event_id == EVENT_ID
    assert result.event_date == date(2023, 11, 14)
    assert result.event_timestamp == MOMENT
    assert (result.object_type, result.metric) == ("email", "sent")
    assert result.table == "webhook_email_events"
    assert result.unrouted_reason is None
    assert result.notes == ()


@pytest.mark.parametrize(
    "event_id",
    ["x", " ", "a" * 256, "ünïcode-№1", "日本", "sha256:" + "0" * 64, "'; DROP TABLE --"],
)
def test_event_id_is_taken_as_sent(event_id: str) -> None:
    """Text of 1 to 256 printable characters is an id, whatever it looks like."""
    assert opened(event_id=event_id).event_id == event_id


@pytest.mark.parametrize(
    "event_id",
    [
        ...,
        None,
        "",
        "a" * 257,
        "a\nb",
        "a\x00b",
        "é\x85",
        "\ud800",
        "a\u200bé",
        "\u2028",
        17,
        1.5,
        True,
        ["x"],
        {"x": 1},
    ],
)
def test_event_without_a_usable_id_is_known_by_its_digest(event_id: object) -> None:
    """Anything else as an id leaves the event in the raw table, under the body's digest."""
    result = opened(event_id=event_id)

    assert result.unrouted_reason is UnroutedReason.NO_EVENT_ID
    assert result.table is None
    assert result.event_id.startswith("sha256:")
    assert len(result.event_id) == 71
    assert result.event_date == date(2023, 11, 14)


def test_digest_id_is_that_of_the_whole_body() -> None:
    """The digest is the SHA-256 of the bytes as received."""
    body = b"\xef\xbb\xbfnot json"

    assert envelope(body).event_id == "sha256:" + hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("literal", ["1700000000", '"1700000000"', "1700000000.0", "1.7e9", "17E8"])
def test_timestamp_is_read_where_nothing_is_lost(literal: str) -> None:
    """A whole number of seconds counts however it is written."""
    body = f'{{"event_id":"a","timestamp":{literal}}}'.encode()

    assert envelope(body).event_timestamp == MOMENT


@pytest.mark.parametrize(
    ("seconds", "day"),
    [
        (1325376000, date(2012, 1, 1)),
        (4102444799, date(2099, 12, 31)),
        (1325375999, UNDATED),
        (4102444800, UNDATED),
    ],
)
def test_event_date_is_of_2012_to_2099(seconds: int, day: date) -> None:
    """Seconds outside these years are no time of an event."""
    assert opened(timestamp=seconds).event_date == day


@pytest.mark.parametrize(
    "literal",
    [
        "null",
        "true",
        "[]",
        "{}",
        '""',
        '"soon"',
        '" 1700000000"',
        '"+1700000000"',
        '"01700000000"',
        '"1700000000.0"',
        '"1_700_000_000"',
        '"\\u0661700000000"',
        "1700000000.5",
        "1700000000123",
        "-1",
        "1e999999999",
        "1e-999999999",
        "1e99999999999999999999",
        "9" * 5000,
        "1." + "0" * 5000,
    ],
)
def test_unusable_timestamp_gives_1970_and_a_note(literal: str) -> None:
    """What is no whole number of seconds gives a fixed date, never one from the clock."""
    result = envelope(f'{{"event_id":"a","timestamp":{literal}}}'.encode())

    assert result.event_id == "a"
    assert result.event_timestamp is None
    assert result.event_date == date(1970, 1, 1)
    assert result.notes[0].startswith("event_date: 1970-01-01, timestamp")


@pytest.mark.parametrize(
    "object_type", ["customer", "email", "sms", "whatsapp", "carrier_pigeon", None, 7, ...]
)
@pytest.mark.parametrize("metric", ["subscribed", "cio_subscription_preferences_changed"])
def test_subscriptions_are_customer_events_whatever_the_object_type(
    object_type: object, metric: str
) -> None:
    """The object type of these may be the channel that caused the change."""
    result = opened(object_type=object_type, metric=metric)

    assert result.table == "webhook_customer_events"


PERSON = {"email_address": "person1@example.com"}


@pytest.mark.parametrize(
    ("object_type", "data", "table"),
    [
        ("email", {"delivery_id": "d"}, "email"),
        ("email", {"recipient": "person1@example.com"}, "email"),
        ("email", {"delivery_id": "d", **PERSON}, "email"),
        ("email", {"recipient": "person1@example.com", **PERSON}, "email"),
        ("email", PERSON, "customer"),
        ("email", {"email_address": None}, "customer"),
        ("email", {"delivery_id": None, **PERSON}, "customer"),
        ("email", {"delivery_id": "", **PERSON}, "customer"),
        ("email", {}, "email"),
        ("email", None, "email"),
        ("email", "text", "email"),
        (..., {"delivery_id": "d"}, "email"),
        (..., PERSON, "customer"),
        (5, PERSON, "customer"),
        ("customer", PERSON, "customer"),
        ("customer", {"delivery_id": "d"}, "customer"),
        ("customer", {}, "customer"),
        ("sms", PERSON, "customer"),
        ("sms", {"delivery_id": "d"}, "customer"),
        ("whatsapp", {}, "customer"),
        ("carrier_pigeon", PERSON, "customer"),
    ],
)
def test_unsubscribed_is_an_email_or_a_customer_event(
    object_type: object, data: object, table: str
) -> None:
    """What the event says of a message or a person tells the two apart."""
    result = opened(object_type=object_type, metric="unsubscribed", data=data)

    assert result.table == f"webhook_{table}_events"


@pytest.mark.parametrize(
    ("object_type", "data"),
    [
        (..., {}),
        ("carrier_pigeon", {}),
        ("carrier_pigeon", {"delivery_id": "d"}),
        ("carrier_pigeon", {"recipient": "r", **PERSON}),
    ],
)
def test_unsubscribed_from_something_unknown_is_unrouted(object_type: object, data: object) -> None:
    """A message of a channel that is not known belongs to no table."""
    result = opened(object_type=object_type, metric="unsubscribed", data=data)

    assert result.unrouted_reason is UnroutedReason.UNKNOWN_OBJECT_TYPE


@pytest.mark.parametrize("object_type", ["carrier_pigeon", "Email", " email", "", None, 5, [], ...])
def test_unknown_object_type_is_unrouted(object_type: object) -> None:
    """Object types are compared exactly."""
    result = opened(object_type=object_type)

    assert result.table is None
    assert result.unrouted_reason is UnroutedReason.UNKNOWN_OBJECT_TYPE
    assert result.event_id == EVENT_ID


@pytest.mark.parametrize(
    "metric", ["teleported", "Sent", "replied", "", None, 5, {"a": 1}, [], ...]
)
def test_unknown_metric_of_a_known_object_type_is_unrouted(metric: object) -> None:
    """A metric must be one of its object type's: email has no `replied`."""
    result = opened(metric=metric)

    assert result.table is None
    assert result.unrouted_reason is UnroutedReason.UNKNOWN_METRIC


def test_customer_takes_no_metric_of_a_message() -> None:
    """The object type customer has three metrics only."""
    assert opened(object_type="customer").unrouted_reason is UnroutedReason.UNKNOWN_METRIC


@pytest.mark.parametrize("data", [None, ..., [], "text", 5, True])
def test_event_without_data_is_still_routed(data: object) -> None:
    """Object type and metric are enough for a table."""
    assert opened(data=data).table == "webhook_email_events"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b" \n", "not_json"),
        (b"\xff\xfe{\x00}\x00", "not_utf8"),
        (b'{"event_id":"\xed\xa0\x80"}', "not_utf8"),
        (b"\x00", "not_json"),
        (b"event_id=1", "not_json"),
        (b'{"event_id":"a"', "not_json"),
        (b'{"event_id":"a"} x', "not_json"),
        (b"{'event_id':'a'}", "not_json"),
        (b'{"event_id":"a","b":NaN}', "not_json"),
        (b'{"event_id":"a","b":-Infinity}', "not_json"),
        (b'{"event_id":"a","b":01}', "not_json"),
        (b'{"event_id":"a","a":1,"a":2,}', "not_json"),
        (b"[]", "not_object"),
        (b'[{"event_id":"a"}]', "not_object"),
        (b'"text"', "not_object"),
        (b"null", "not_object"),
        (b"17", "not_object"),
        (b"1" * 5000, "not_object"),
        (b"{}", "no_event_id"),
    ],
)
def test_unreadable_body_has_a_reason(body: bytes, reason: str) -> None:
    """Each way of being unreadable has its name, and the id is the digest."""
    result = envelope(body)

    assert result.unrouted_reason == reason
    assert result.table is None
    assert result.event_id == "sha256:" + hashlib.sha256(body).hexdigest()


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """An event whose deepest member lies `depth` containers deep, the event included."""
    inner = opening * (depth - 1) + "1" + closing * (depth - 1)
    return f'{{"event_id":"a","object_type":"email","metric":"sent","x":{inner}}}'.encode()


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"k":', "}")])
def test_nesting_is_bounded_by_rule(brackets: tuple[str, str]) -> None:
    """Depth 200 is read and 201 is not, whatever stack is left."""
    assert envelope(nested(MAX_DEPTH, *brackets)).event_id == "a"
    assert envelope(nested(MAX_DEPTH + 1, *brackets)).unrouted_reason == "too_deep"


@pytest.mark.parametrize("depth", [500, 20_000, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"k":', "}")])
def test_absurd_nesting_is_survived(depth: int, brackets: tuple[str, str]) -> None:
    """Nesting far beyond the stack of Python is a reason, not a crash."""
    assert envelope(nested(depth, *brackets)).unrouted_reason == "too_deep"


def test_many_flat_containers_are_not_deep() -> None:
    """The rule counts levels, not brackets."""
    result = opened(data={"devices": [{"a": []}] * 500, "css": "{" * 500})

    assert result.table == "webhook_email_events"


def test_byte_order_mark_is_skipped_and_kept() -> None:
    """A leading byte order mark is no part of the JSON, but part of the text."""
    result = envelope(b'\xef\xbb\xbf{"event_id":"a"}')

    assert result.event_id == "a"
    assert result.text == '\ufeff{"event_id":"a"}'


def test_duplicate_keys_are_noted_and_the_last_wins() -> None:
    """A key given twice anywhere is noted; its last value counts."""
    result = envelope(b'{"event_id":"a","timestamp":1700000000,"event_id":"b","data":{}}')

    assert result.event_id == "b"
    assert result.notes == ("duplicate keys",)


def test_integer_of_thousands_of_digits_does_not_spoil_the_event() -> None:
    """Python's limit on digits concerns one value, not its event."""
    digits = "9" * 5000

    result = envelope(f'{{"event_id":"a","timestamp":1700000000,"n":{digits},"m":3}}'.encode())

    assert result.event_id == "a"
    assert result.event_timestamp == MOMENT
    assert result.payload["n"] == NumberText(digits)
    assert result.payload["m"] == 3


@pytest.mark.parametrize("name", ["a" * 257, "", "a\tb", "\ud800", 5])
def test_odd_object_type_and_metric_are_not_repeated(name: object) -> None:
    """Names that are no printable text of 256 characters stay in the body."""
    result = opened(object_type=name, metric=name)

    assert (result.object_type, result.metric) == (None, None)


def test_envelope_shows_nothing_of_the_payload() -> None:
    """The `repr` of an envelope holds neither text nor payload."""
    assert "person1" not in repr(opened(data=PERSON))
