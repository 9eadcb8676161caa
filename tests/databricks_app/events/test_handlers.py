"""Handlers: every field of every event reaches its column, and none is bent on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from core.webhooks import specification
from databricks_app.events.decoding import Reading, reread
from databricks_app.events.handlers import HANDLERS, HANDLERS_BY_TABLE
from tests.support.paths import WEBHOOK_FIXTURES

FIXTURES = sorted(WEBHOOK_FIXTURES.glob("*.json"))
RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

SAMPLES: dict[str, object] = {"string": "s-1", "integer": 17, "boolean": True, "unspecified": "t-1"}
OBJECT_FIELDS = {"data.identifiers", "data.recipients", "data.recipients[]"}


def read_text(text: str) -> Reading:
    """Read one event given as JSON text."""
    return reread(text.encode(), RECEIVED_AT, None)


def read_data(object_type: str, **data: object) -> Reading:
    """Read an event of a metric that all channels have, with this `data`."""
    event = {
        "event_id": "e1",
        "object_type": object_type,
        "metric": "subscribed" if object_type == "customer" else "sent",
        "timestamp": 1_700_000_000,
        "data": data,
    }
    return read_text(json.dumps(event))


def typed(reading: Reading) -> dict[str, object]:
    """The typed row of a reading that has one."""
    assert reading.typed is not None
    return reading.typed


def email_sent(data_text: str) -> dict[str, object]:
    """The row of an email/sent event whose `data` is this JSON text."""
    return typed(
        read_text(
            '{"event_id":"e1","object_type":"email","metric":"sent","timestamp":1700000000,'
            f'"data":{data_text}}}'
        )
    )


def test_registry_has_the_pairs_of_the_facts() -> None:
    """Object types and metrics of the handlers are exactly those the vendor knows."""
    handled = {(name, metric) for name, taker in HANDLERS.items() for metric in taker.metrics}

    assert handled == {(event.object_type, event.metric) for event in specification.events()}


def test_tables_are_named_after_object_types() -> None:
    """Each object type has a table of its own."""
    assert {handler.object_type: table for table, handler in HANDLERS_BY_TABLE.items()} == {
        name: f"webhook_{name}_events" for name in HANDLERS
    }


ALWAYS_FILLED = {
    "event_id",
    "object_type",
    "metric",
    "event_timestamp",
    "event_date",
    "received_at",
    "workspace",
}


def sample(field: specification.Field) -> tuple[str, object, dict[str, object]]:
    """A value for one field: the column it belongs in, what the column holds, where it is sent."""
    value: object = {"X-Tag": ["a", "b"]} if field.type == "object" else SAMPLES[field.type]
    *parents, leaf = field.path.removeprefix("data.").split(".")
    if not field.path.startswith("data."):
        return leaf, value, {leaf: value, "data": {}}
    if parents == ["recipients[]"]:
        device: dict[str, object] = {leaf: value}
        empty = {"device_id": None, "device_platform": None, "failure_message": None}
        return "recipients", [empty | device], {"data": {"recipients": [device]}}
    nested = {parents[0]: {leaf: value}} if parents else {leaf: value}
    return "_".join([*parents, leaf]), value, {"data": nested}


def test_every_field_of_every_event_fills_its_column_and_no_other() -> None:
    """Each event is sent with one field at a time."""
    wrong = []
    checked = 0
    for event in specification.events():
        for field in event.fields:
            if field.path in OBJECT_FIELDS:
                continue
            column, expected, sent = sample(field)
            payload = {
                "event_id": "e1",
                "object_type": event.object_type,
                "metric": event.metric,
                "timestamp": 1_700_000_000,
            }
            reading = read_text(json.dumps(payload | sent))
            row = typed(reading)
            filled = {name for name, value in row.items() if value is not None}
            checked += 1
            if (
                reading.table != f"webhook_{event.object_type}_events"
                or row[column] != expected
                or filled != ALWAYS_FILLED | {column}
                or reading.unknown_fields
            ):
                wrong.append(f"{event.object_type}/{event.metric} {field.path}")

    assert wrong == []
    assert checked > 1_000


def test_every_fixture_fits_its_table() -> None:
    """A payload of the specification gives no note and no unknown field."""
    wrong = []
    for path in FIXTURES:
        reading = read_text(path.read_text("utf-8"))
        row = typed(reading)
        handler = HANDLERS_BY_TABLE[str(reading.table)]
        is_right = (
            path.stem == f"{handler.object_type}_{row['metric']}"
            and row["reading_notes"] is None
            and reading.unknown_fields == ()
            and list(row) == [column.name for column in handler.columns]
        )
        if not is_right:
            wrong.append(path.stem)

    assert wrong == []
    assert len(FIXTURES) > 60


def test_row_of_a_clicked_email() -> None:
    """A known answer: one fixture and its whole row."""
    path = next(path for path in FIXTURES if path.stem == "email_clicked")

    row = typed(read_text(path.read_text("utf-8")))

    assert row == {
        "event_id": "01KD7Q5NJYR9H31C0NJDF1S725",
        "object_type": "email",
        "metric": "clicked",
        "event_timestamp": datetime(2026, 1, 1, 8, 0, 56, tzinfo=UTC),
        "event_date": datetime(2026, 1, 1, tzinfo=UTC).date(),
        "received_at": RECEIVED_AT,
        "workspace": "default",
        "customer_id": "0200000002",
        "identifiers_id": "user-2",
        "identifiers_email": "person2@example.com",
        "identifiers_cio_id": "d9c106000002",
        "delivery_id": "FdsSZqovXV4qIm-EDc1qSLdqt1YC",
        "campaign_id": 22,
        "broadcast_id": None,
        "newsletter_id": None,
        "transactional_message_id": None,
        "action_id": 308,
        "parent_action_id": 208,
        "content_id": None,
        "journey_id": "01KD5ZZKAM88VM1Q1PDDW59VE7",
        "trigger_id": None,
        "trigger_event_id": "01KD2KQ6MXWA430X9S9EBSYF7R",
        "subject": "Welcome to Example",
        "recipient": "person2@example.com",
        "failure_message": None,
        "content": None,
        "headers": None,
        "proxied": None,
        "prefetched": None,
        "synthetic": None,
        "href": "https://example.com/welcome?step=1",
        "link_id": 9,
        "machine": True,
        "reading_notes": None,
    }


@pytest.mark.parametrize(
    ("literal", "number"),
    [
        ("12", 12),
        ('"12"', 12),
        ('"-12"', -12),
        ("12.0", 12),
        ("1.2e1", 12),
        ("-0.0", 0),
        ('"0"', 0),
        ("9223372036854775807", 2**63 - 1),
        ('"-9223372036854775808"', -(2**63)),
        ("9007199254740993.0", 9_007_199_254_740_993),
    ],
)
def test_bigint_takes_whole_numbers_however_written(literal: str, number: int) -> None:
    """A whole number keeps its exact value, as number or canonical text."""
    row = email_sent(f'{{"campaign_id":{literal}}}')

    assert row["campaign_id"] == number
    assert type(row["campaign_id"]) is int
    assert row["reading_notes"] is None


@pytest.mark.parametrize(
    ("literal", "problem"),
    [
        ('"012"', "expected a whole number, got text"),
        ('"+12"', "expected a whole number, got text"),
        ('"-0"', "expected a whole number, got text"),
        ('" 12"', "expected a whole number, got text"),
        ('"12.0"', "expected a whole number, got text"),
        ('"\\u0661"', "expected a whole number, got text"),
        ('""', "expected a whole number, got text"),
        ("true", "expected a whole number, got a boolean"),
        ("[12]", "expected a whole number, got a list"),
        ("{}", "expected a whole number, got an object"),
        ("1.5", "expected a whole number, got a fraction"),
        ("9223372036854775808", "got a number beyond 64 bits"),
        ('"9223372036854775808"', "got a number beyond 64 bits"),
        ("-9223372036854775809.0", "got a number beyond 64 bits"),
        ("1e999999999", "got a number beyond 64 bits"),
        ("1e99999999999999999999", "got a number beyond 64 bits"),
        ("0." + "0" * 80, "got a number too long to be exact"),
        ("9" * 5000, "got a number too long to be exact"),
    ],
)
def test_bigint_refuses_what_would_lose_something(literal: str, problem: str) -> None:
    """Anything but an exact whole number is NULL and noted by kind, not by value."""
    row = email_sent(f'{{"campaign_id":{literal},"subject":"kept"}}')

    assert row["campaign_id"] is None
    assert row["reading_notes"] == f"campaign_id: {problem}"
    assert row["subject"] == "kept"


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ("12", "12"),
        ("1.50", "1.50"),
        ("1E+5", "1E+5"),
        ("-0.0", "-0.0"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("7" * 5000, "7" * 5000),
        ('""', ""),
        ('"a\\u0000b"', "a\x00b"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"ünïcode"', "ünïcode"),
    ],
)
def test_string_takes_numbers_by_their_literal(literal: str, text: str) -> None:
    """A number becomes the text it was written as; text stays as it is."""
    row = email_sent(f'{{"transactional_message_id":{literal}}}')

    assert row["transactional_message_id"] == text
    assert type(row["transactional_message_id"]) is str
    assert row["reading_notes"] is None


@pytest.mark.parametrize(
    ("literal", "problem"),
    [
        ("true", "expected text, got a boolean"),
        ('["a"]', "expected text, got a list"),
        ('{"a":"b"}', "expected text, got an object"),
        ('"a\\ud800b"', "got text with a lone surrogate"),
        ('"\\udc00\\ud800"', "got text with a lone surrogate"),
    ],
)
def test_string_refuses_what_is_no_text(literal: str, problem: str) -> None:
    """What is neither text nor number, or cannot be UTF-8, is NULL and noted."""
    row = email_sent(f'{{"subject":{literal}}}')

    assert row["subject"] is None
    assert row["reading_notes"] == f"subject: {problem}"


@pytest.mark.parametrize(
    ("literal", "expected"),
    [("true", True), ("false", False), ('"true"', True), ('"false"', False)],
)
def test_boolean_takes_true_and_false(literal: str, expected: bool) -> None:
    """True and false count as words of JSON and as text."""
    row = email_sent(f'{{"machine":{literal}}}')

    assert row["machine"] is expected
    assert row["reading_notes"] is None


@pytest.mark.parametrize("literal", ["0", "1", "1.0", '"True"', '"yes"', '""', "[]", "{}"])
def test_boolean_refuses_everything_else(literal: str) -> None:
    """Numbers and other words are no booleans."""
    row = email_sent(f'{{"machine":{literal}}}')

    assert row["machine"] is None
    assert str(row["reading_notes"]).startswith("machine: expected true or false, got ")


def test_nulls_are_null_without_a_note() -> None:
    """The vendor may send null for any field."""
    data = {
        field.path.removeprefix("data."): None
        for field in specification.event("email", "sent").fields
    }

    row = typed(read_data("email", **{key: None for key in data if "." not in key}))

    assert row["reading_notes"] is None


def test_headers_are_lists_by_name() -> None:
    """Headers keep names and values; numbers become their literals."""
    row = email_sent('{"headers":{"X-A":["a","b"],"X-B":[],"X-C":null,"X-D":[1.50,null]}}')

    assert row["headers"] == {"X-A": ["a", "b"], "X-B": [], "X-C": None, "X-D": ["1.50", None]}
    assert row["reading_notes"] is None


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ('[["X","a"]]', "expected lists of text by name, got a list"),
        ('"X: a"', "expected lists of text by name, got text"),
        ('{"\\ud800":["a"]}', "got a name with a lone surrogate"),
    ],
)
def test_headers_of_a_wrong_shape_are_null(headers: str, problem: str) -> None:
    """What is no map, or has a name that cannot be UTF-8, is NULL as a whole."""
    row = email_sent(f'{{"headers":{headers}}}')

    assert row["headers"] is None
    assert row["reading_notes"] == f"headers: {problem}"


def test_wrong_header_is_null_and_the_others_stay() -> None:
    """One wrong value or list costs that value or list only."""
    row = email_sent('{"headers":{"X-A":"a","X-B":["b",true,"\\ud800"],"X-C":["c"]}}')

    assert row["headers"] == {"X-A": None, "X-B": ["b", None, None], "X-C": ["c"]}
    assert row["reading_notes"] == (
        "headers: expected a list, got text; headers: expected text, got a boolean; "
        "headers: got text with a lone surrogate"
    )


def test_recipients_have_exactly_three_keys() -> None:
    """A device has all three keys whatever was sent; unknown ones are reported."""
    reading = read_data("push", recipients=[{"device_id": 5, "model": "m"}, None, {}])

    empty = {"device_id": None, "device_platform": None, "failure_message": None}
    assert typed(reading)["recipients"] == [empty | {"device_id": "5"}, None, empty]
    assert typed(reading)["reading_notes"] is None
    assert reading.unknown_fields == ("data.recipients[].model",)


def test_wrong_recipient_is_null_and_the_others_stay() -> None:
    """One wrong device or member costs that device or member only."""
    row = typed(read_data("push", recipients=["a", {"device_id": "d", "failure_message": []}]))

    assert row["recipients"] == [
        None,
        {"device_id": "d", "device_platform": None, "failure_message": None},
    ]
    assert row["reading_notes"] == (
        "recipients[]: expected an object, got text; "
        "recipients[].failure_message: expected text, got a list"
    )


@pytest.mark.parametrize("recipients", [{"device_id": "d"}, "d", 5, True])
def test_recipients_of_a_wrong_shape_are_null(recipients: object) -> None:
    """What is no list is NULL as a whole."""
    row = typed(read_data("push", recipients=recipients))

    assert row["recipients"] is None
    assert str(row["reading_notes"]).startswith("recipients: expected a list, got ")


@pytest.mark.parametrize(
    ("data", "note"),
    [
        ("null", "data: missing"),
        ("[]", "data: expected an object"),
        ('"x"', "data: expected an object"),
        ('{"identifiers":"x"}', "data.identifiers: expected an object"),
    ],
)
def test_missing_objects_are_noted(data: str, note: str) -> None:
    """A row without its payload is a row of NULLs that says so."""
    row = email_sent(data)

    assert row["reading_notes"] == note
    assert row["delivery_id"] is None
    assert row["identifiers_id"] is None


def test_notes_are_bounded() -> None:
    """A row with everything wrong keeps twenty notes and the number of the others."""
    names = [
        str(column.path).removeprefix("data.")
        for column in HANDLERS["email"].columns
        if column.path and column.path.count(".") == 1
    ]

    row = typed(read_data("email", **{name: [] for name in names}))

    notes = str(row["reading_notes"]).split("; ")
    assert len(names) == 23
    assert len(notes) == 21
    assert notes[-1] == "and 3 more"


def test_notes_hold_no_value() -> None:
    """A note names the column and the kind of what was found, never the value."""
    row = email_sent('{"campaign_id":"person1@example.com","identifiers":"person1@example.com"}')

    assert "person1" not in str(row["reading_notes"])


def test_customer_event_keeps_the_channel_and_its_other_spellings() -> None:
    """The object type stays as sent; the two top-level spellings have columns of their own."""
    row = typed(
        read_text(
            '{"event_id":"e1","object_type":"sms","metric":"subscribed","timestamp":1700000000,'
            '"object_type_type":"email","delivery_type":"push","data":{}}'
        )
    )

    assert (row["object_type"], row["object_type_type"], row["delivery_type"]) == (
        "sms",
        "email",
        "push",
    )
