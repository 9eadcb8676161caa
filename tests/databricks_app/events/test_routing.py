"""The envelope of a body: key, date and route, for any bytes."""

from __future__ import annotations

import hashlib
import json
import re
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
    """The envelope of an email/sent event with changed members; `...` removes a member."""
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
    """A normal event gives its own id, its UTC day and its table."""
    result = opened()

    assert result.event_id == EVENT_ID
    assert result.event_date == date(2023, 11, 14)
    assert result.event_timestamp == MOMENT
    assert (result.object_type, result.metric) == ("email", "sent")
    assert result.table == "webhook_email_events"
    assert result.unrouted_reason is None
    assert result.notes == ()


def test_event_id_is_the_id_as_sent() -> None:
    """Any text of 1 to 256 printable characters is an id."""
    ids = ["x", " ", "a" * 256, "ünïcode-№1", "日本", "sha256:" + "0" * 64, "'; DROP TABLE --"]

    assert [opened(event_id=one).event_id for one in ids] == ids


def test_event_without_a_usable_id_has_the_digest_of_its_body() -> None:
    """For any other value the event is only in the raw table, but keeps its date."""
    unusable = (
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
    )

    wrong = []
    for event_id in unusable:
        result = opened(event_id=event_id)
        facts = (result.unrouted_reason, result.table, result.event_date)
        is_digest = re.fullmatch("sha256:[0-9a-f]{64}", result.event_id)
        if facts != (UnroutedReason.NO_EVENT_ID, None, date(2023, 11, 14)) or not is_digest:
            wrong.append((event_id, result))

    assert wrong == []


def test_digest_id_is_the_digest_of_the_whole_body() -> None:
    """It is the SHA-256 of the bytes as received."""
    body = b"\xef\xbb\xbfnot json"

    assert envelope(body).event_id == "sha256:" + hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("literal", ["1700000000", '"1700000000"', "1700000000.0", "1.7e9", "17E8"])
def test_timestamp_can_be_written_in_several_ways(literal: str) -> None:
    """As long as it is a whole number of seconds."""
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
def test_event_date_is_from_2012_to_2099(seconds: int, day: date) -> None:
    """Other seconds are not usable."""
    assert opened(timestamp=seconds).event_date == day


def test_unusable_timestamp_gives_1970_and_a_note() -> None:
    """The date is fixed and never depends on the clock."""
    literals = (
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
    )

    wrong = []
    for literal in literals:
        result = envelope(f'{{"event_id":"a","timestamp":{literal}}}'.encode())
        facts = (result.event_id, result.event_timestamp, result.event_date)
        is_noted = result.notes[0].startswith("event_date: 1970-01-01, timestamp")
        if facts != ("a", None, date(1970, 1, 1)) or not is_noted:
            wrong.append((literal[:40], result))

    assert wrong == []


@pytest.mark.parametrize("metric", ["subscribed", "cio_subscription_preferences_changed"])
def test_subscriptions_are_customer_events_for_every_object_type(metric: str) -> None:
    """The object type of these events can be the channel that caused the change."""
    object_types = ["customer", "email", "sms", "whatsapp", "carrier_pigeon", None, 7, ...]

    tables = [opened(object_type=one, metric=metric).table for one in object_types]

    assert tables == ["webhook_customer_events"] * len(object_types)


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
    """A delivery or a recipient means a message; only an e-mail address means a person."""
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
def test_unsubscribed_from_an_unknown_channel_is_unrouted(
    object_type: object, data: object
) -> None:
    """A message of an unknown channel belongs to no table."""
    result = opened(object_type=object_type, metric="unsubscribed", data=data)

    assert result.unrouted_reason is UnroutedReason.UNKNOWN_OBJECT_TYPE


def test_unknown_object_type_is_unrouted() -> None:
    """Object types are compared exactly."""
    results = [
        opened(object_type=one)
        for one in ("carrier_pigeon", "Email", " email", "", None, 5, [], ...)
    ]

    assert {(one.event_id, one.table, one.unrouted_reason) for one in results} == {
        (EVENT_ID, None, UnroutedReason.UNKNOWN_OBJECT_TYPE)
    }


def test_unknown_metric_of_a_known_object_type_is_unrouted() -> None:
    """The object type must have the metric: email has no `replied`."""
    results = [
        opened(metric=one)
        for one in ("teleported", "Sent", "replied", "", None, 5, {"a": 1}, [], ...)
    ]

    assert {(one.table, one.unrouted_reason) for one in results} == {
        (None, UnroutedReason.UNKNOWN_METRIC)
    }


def test_customer_has_no_metric_of_a_message() -> None:
    """The object type customer has only three metrics."""
    assert opened(object_type="customer").unrouted_reason is UnroutedReason.UNKNOWN_METRIC


def test_event_without_data_is_still_routed() -> None:
    """Object type and metric are enough for a table."""
    tables = {opened(data=one).table for one in (None, ..., [], "text", 5, True)}

    assert tables == {"webhook_email_events"}


@pytest.mark.parametrize(
    ("reason", "bodies"),
    [
        ("not_utf8", [b"\xff\xfe{\x00}\x00", b'{"event_id":"\xed\xa0\x80"}']),
        (
            "not_json",
            [
                b"",
                b" \n",
                b"\x00",
                b"event_id=1",
                b'{"event_id":"a"',
                b'{"event_id":"a"} x',
                b"{'event_id':'a'}",
                b'{"event_id":"a","b":NaN}',
                b'{"event_id":"a","b":-Infinity}',
                b'{"event_id":"a","b":01}',
                b'{"event_id":"a","a":1,"a":2,}',
            ],
        ),
        (
            "not_object",
            [b"[]", b'[{"event_id":"a"}]', b'"text"', b"null", b"17", b"1" * 5000],
        ),
        ("no_event_id", [b"{}"]),
    ],
)
def test_unreadable_body_has_a_reason(reason: str, bodies: list[bytes]) -> None:
    """The id of the event is the digest of its body."""
    results = [envelope(body) for body in bodies]

    found = [(one.unrouted_reason, one.table, one.event_id) for one in results]
    assert found == [
        (reason, None, "sha256:" + hashlib.sha256(body).hexdigest()) for body in bodies
    ]


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """An event whose deepest member is `depth` containers deep, counting the event."""
    inner = opening * (depth - 1) + "1" + closing * (depth - 1)
    return f'{{"event_id":"a","object_type":"email","metric":"sent","x":{inner}}}'.encode()


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"k":', "}")])
def test_nesting_is_limited(brackets: tuple[str, str]) -> None:
    """Depth 200 is read and 201 is not, for any free stack."""
    assert envelope(nested(MAX_DEPTH, *brackets)).event_id == "a"
    assert envelope(nested(MAX_DEPTH + 1, *brackets)).unrouted_reason == "too_deep"


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"k":', "}")])
def test_extreme_nesting_is_no_crash(brackets: tuple[str, str]) -> None:
    """Nesting far beyond the stack of Python gives a reason."""
    reasons = [envelope(nested(depth, *brackets)).unrouted_reason for depth in (500, 20_000, 10**5)]

    assert reasons == ["too_deep"] * 3


def test_many_flat_containers_are_not_deep() -> None:
    """The rule counts levels, not brackets."""
    result = opened(data={"devices": [{"a": []}] * 500, "css": "{" * 500})

    assert result.table == "webhook_email_events"


def test_byte_order_mark_is_skipped_and_kept() -> None:
    """A leading byte order mark is not part of the JSON, but of the text."""
    result = envelope(b'\xef\xbb\xbf{"event_id":"a"}')

    assert result.event_id == "a"
    assert result.text == '\ufeff{"event_id":"a"}'


def test_duplicate_keys_are_noted_and_the_last_wins() -> None:
    """If a key is there twice, its last value counts."""
    result = envelope(b'{"event_id":"a","timestamp":1700000000,"event_id":"b","data":{}}')

    assert result.event_id == "b"
    assert result.notes == ("duplicate keys",)


def test_event_with_an_integer_of_thousands_of_digits_is_readable() -> None:
    """Python's limit of digits affects only that value."""
    digits = "9" * 5000

    result = envelope(f'{{"event_id":"a","timestamp":1700000000,"n":{digits},"m":3}}'.encode())

    assert result.event_id == "a"
    assert result.event_timestamp == MOMENT
    assert result.payload["n"] == NumberText(digits)
    assert result.payload["m"] == 3


@pytest.mark.parametrize("name", ["a" * 257, "", "a\tb", "\ud800", 5])
def test_odd_object_type_and_metric_are_not_repeated(name: object) -> None:
    """Names that are not printable text of 1 to 256 characters are only in the body."""
    result = opened(object_type=name, metric=name)

    assert (result.object_type, result.metric) == (None, None)


def test_envelope_shows_nothing_of_the_payload() -> None:
    """Its `repr` has neither text nor payload."""
    assert "person1" not in repr(opened(data=PERSON))
