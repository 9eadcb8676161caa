"""Handlers: every field of every event fills its column, without loss."""

from __future__ import annotations

import json
from collections.abc import Iterable
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


def test_handlers_have_all_pairs_of_the_specification() -> None:
    """Object types and metrics are exactly those of the vendor."""
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
    """For one field: its column, the expected value, and the payload that sends it."""
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
    """Each event is read with one field at a time."""
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
    """A payload of the specification has no note and no unknown field."""
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
    """One fixture and its whole row."""
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


def converted(column: str, literals: Iterable[str]) -> dict[str, tuple[type, object, object]]:
    """Read each JSON literal into a column; return type, value and notes by literal."""
    rows = {one: email_sent(f'{{"{column}":{one}}}') for one in literals}
    return {
        literal: (type(row[column]), row[column], row["reading_notes"])
        for literal, row in rows.items()
    }


def test_bigint_accepts_whole_numbers_in_any_spelling() -> None:
    """A number or canonical text keeps its exact value."""
    expected = {
        "12": 12,
        '"12"': 12,
        '"-12"': -12,
        "12.0": 12,
        "1.2e1": 12,
        "-0.0": 0,
        '"0"': 0,
        "9223372036854775807": 2**63 - 1,
        '"-9223372036854775808"': -(2**63),
        "9007199254740993.0": 9_007_199_254_740_993,
    }

    assert converted("campaign_id", expected) == {
        literal: (int, number, None) for literal, number in expected.items()
    }


@pytest.mark.parametrize(
    ("problem", "literals"),
    [
        ("got text", ['"012"', '"+12"', '"-0"', '" 12"', '"12.0"', '"\\u0661"', '""']),
        ("got a boolean", ["true"]),
        ("got a list", ["[12]"]),
        ("got an object", ["{}"]),
        ("got a fraction", ["1.5"]),
        (
            "beyond 64 bits",
            [
                "9223372036854775808",
                '"9223372036854775808"',
                "-9223372036854775809.0",
                "1e999999999",
                "1e99999999999999999999",
            ],
        ),
        ("too long", ["0." + "0" * 80, "9" * 5000]),
    ],
)
def test_bigint_refuses_values_that_would_lose_something(problem: str, literals: list[str]) -> None:
    """The column is NULL with a note of the kind, and the other columns are filled."""
    wrong = []
    for literal in literals:
        row = email_sent(f'{{"campaign_id":{literal},"subject":"kept"}}')
        note = str(row["reading_notes"])
        is_noted = note.startswith("campaign_id: ") and problem in note and ";" not in note
        if (row["campaign_id"], row["subject"]) != (None, "kept") or not is_noted:
            wrong.append((literal[:40], note))

    assert wrong == []


def test_string_accepts_numbers_as_their_literal() -> None:
    """A number becomes the text that was sent; text does not change."""
    expected = {
        "12": "12",
        "1.50": "1.50",
        "1E+5": "1E+5",
        "-0.0": "-0.0",
        "12345678901234567890123": "12345678901234567890123",
        "7" * 5000: "7" * 5000,
        '""': "",
        '"a\\u0000b"': "a\x00b",
        '"\\ud83d\\ude00"': "\U0001f600",
        '"ünïcode"': "ünïcode",
    }

    assert converted("transactional_message_id", expected) == {
        literal: (str, text, None) for literal, text in expected.items()
    }


@pytest.mark.parametrize(
    ("literal", "problem"),
    [
        ("true", "got a boolean"),
        ('["a"]', "got a list"),
        ('{"a":"b"}', "got an object"),
        ('"a\\ud800b"', "lone surrogate"),
        ('"\\udc00\\ud800"', "lone surrogate"),
    ],
)
def test_string_refuses_other_values(literal: str, problem: str) -> None:
    """A value that is neither text nor number, or not valid Unicode, is NULL and noted."""
    row = email_sent(f'{{"subject":{literal}}}')

    assert row["subject"] is None
    assert str(row["reading_notes"]).startswith("subject: ")
    assert problem in str(row["reading_notes"])


def test_boolean_accepts_true_and_false() -> None:
    """As JSON booleans and as text."""
    expected = {"true": True, "false": False, '"true"': True, '"false"': False}

    assert converted("machine", expected) == {
        literal: (bool, value, None) for literal, value in expected.items()
    }


def test_boolean_refuses_other_values() -> None:
    """Numbers and other words are NULL and noted."""
    found = converted("machine", ["0", "1", "1.0", '"True"', '"yes"', '""', "[]", "{}"])

    wrong = {
        literal: (value, note)
        for literal, (_, value, note) in found.items()
        if value is not None or not str(note).startswith("machine: ")
    }
    assert wrong == {}


def test_nulls_are_null_without_a_note() -> None:
    """The vendor may send null for any field."""
    data = {
        field.path.removeprefix("data."): None
        for field in specification.event("email", "sent").fields
    }

    row = typed(read_data("email", **{key: None for key in data if "." not in key}))

    assert row["reading_notes"] is None


def test_headers_are_lists_of_values_by_name() -> None:
    """A number becomes the text that was sent."""
    row = email_sent('{"headers":{"X-A":["a","b"],"X-B":[],"X-C":null,"X-D":[1.50,null]}}')

    assert row["headers"] == {"X-A": ["a", "b"], "X-B": [], "X-C": None, "X-D": ["1.50", None]}
    assert row["reading_notes"] is None


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ('[["X","a"]]', "got a list"),
        ('"X: a"', "got text"),
        ('{"\\ud800":["a"]}', "lone surrogate"),
    ],
)
def test_headers_of_another_type_are_null(headers: str, problem: str) -> None:
    """Also if a name is not valid Unicode."""
    row = email_sent(f'{{"headers":{headers}}}')

    assert row["headers"] is None
    assert str(row["reading_notes"]).startswith("headers: ")
    assert problem in str(row["reading_notes"])


def test_a_header_of_the_wrong_type_is_null_and_the_others_stay() -> None:
    """Only the wrong value or the wrong list."""
    row = email_sent('{"headers":{"X-A":"a","X-B":["b",true,"\\ud800"],"X-C":["c"]}}')

    notes = str(row["reading_notes"]).split("; ")
    assert row["headers"] == {"X-A": None, "X-B": ["b", None, None], "X-C": ["c"]}
    assert all(note.startswith("headers: ") for note in notes)
    kinds = ["got text", "got a boolean", "lone surrogate"]
    assert [kind in note for kind, note in zip(kinds, notes, strict=True)] == [True] * 3


def test_recipients_have_exactly_three_keys() -> None:
    """Each device has them, even if they were not sent; other keys are unknown fields."""
    reading = read_data("push", recipients=[{"device_id": 5, "model": "m"}, None, {}])

    empty = {"device_id": None, "device_platform": None, "failure_message": None}
    assert typed(reading)["recipients"] == [empty | {"device_id": "5"}, None, empty]
    assert typed(reading)["reading_notes"] is None
    assert reading.unknown_fields == ("data.recipients[].model",)


def test_a_recipient_of_the_wrong_type_is_null_and_the_others_stay() -> None:
    """Only the wrong device or the wrong member."""
    row = typed(read_data("push", recipients=["a", {"device_id": "d", "failure_message": []}]))

    assert row["recipients"] == [
        None,
        {"device_id": "d", "device_platform": None, "failure_message": None},
    ]
    device, member = str(row["reading_notes"]).split("; ")
    assert device.startswith("recipients[]: ")
    assert member.startswith("recipients[].failure_message: ")


@pytest.mark.parametrize("recipients", [{"device_id": "d"}, "d", 5, True])
def test_recipients_that_are_no_list_are_null(recipients: object) -> None:
    """With a note."""
    row = typed(read_data("push", recipients=recipients))

    assert row["recipients"] is None
    assert str(row["reading_notes"]).startswith("recipients: ")


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
    """The columns of the missing object are NULL."""
    row = email_sent(data)

    assert row["reading_notes"] == note
    assert row["delivery_id"] is None
    assert row["identifiers_id"] is None


def test_notes_are_limited() -> None:
    """A row has at most twenty notes, and the number of the others."""
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


def test_notes_contain_no_value() -> None:
    """A note has the column and the kind of value."""
    row = email_sent('{"campaign_id":"person1@example.com","identifiers":"person1@example.com"}')

    assert "person1" not in str(row["reading_notes"])


def test_customer_event_keeps_the_three_fields_of_its_channel() -> None:
    """The object type, and the two other top-level fields in their own columns."""
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
