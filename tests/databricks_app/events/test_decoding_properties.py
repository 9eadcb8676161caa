"""Reading is total and pure: rules that hold for any bytes, any JSON, any damaged payload."""

from __future__ import annotations

import base64
import copy
import json
import re
from datetime import UTC, date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from databricks_app.events.decoding import RAW_COLUMNS, Reading, read, reread
from databricks_app.events.handlers import HANDLERS_BY_TABLE
from databricks_app.events.record import Record
from tests.support.paths import WEBHOOK_FIXTURES

PAYLOADS = [json.loads(path.read_text("utf-8")) for path in sorted(WEBHOOK_FIXTURES.glob("*.json"))]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2031, 7, 8, tzinfo=UTC)
TYPES = {"STRING": str, "BIGINT": int, "BOOLEAN": bool, "TIMESTAMP": datetime, "DATE": date}
DEVICE_KEYS = ["device_id", "device_platform", "failure_message"]

any_text = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**65)
    | st.floats()
    | any_text
    | st.sampled_from(["12", "true", "1700000000", 1_700_000_000, 1.7e9, "", "\ud800"])
)
names = any_text | st.sampled_from(["data", "identifiers", "recipients", "headers", "timestamp"])
any_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def positions(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where the members of a JSON value are, at any depth."""
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    found: list[tuple[str | int, ...]] = []
    for key, inner in members:
        found += [(*path, key), *positions(inner, (*path, key))]
    return found


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A good payload with some members replaced, removed or added."""
    payload = copy.deepcopy(draw(st.sampled_from(PAYLOADS)))
    for _ in range(draw(st.integers(1, 4))):
        places = positions(payload)
        if not places:
            break
        *parents, key = draw(st.sampled_from(places))
        holder = payload
        for parent in parents:
            holder = holder[parent]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                holder[key] = draw(any_json)
            case "remove":
                del holder[key]
            case _ if isinstance(holder, dict):
                holder[draw(names)] = draw(any_json)
            case _:
                holder.append(draw(any_json))
    return json.dumps(payload, ensure_ascii=True).encode()


json_bodies = any_json.map(lambda value: json.dumps(value).encode())
bodies = st.binary(max_size=80) | json_bodies | mutants()


def as_record(body: bytes, received_at: datetime) -> Record:
    """A whole record."""
    return Record(body, received_at, "1700000000", "0123abcd", len(body))


def check_value(sql_type: str, value: object) -> None:
    """Assert that a value has the Python type of its column."""
    if value is None:
        return
    if sql_type.startswith("MAP"):
        assert isinstance(value, dict)
        for name, members in value.items():
            check_value("STRING", name)
            for member in members or ():
                check_value("STRING", member)
    elif sql_type.startswith("ARRAY"):
        assert isinstance(value, list)
        for device in value:
            assert device is None or list(device) == DEVICE_KEYS
            for member in (device or {}).values():
                check_value("STRING", member)
    else:
        assert type(value) is TYPES[sql_type]
        if isinstance(value, str):
            value.encode()
        if type(value) is int:
            assert -(2**63) <= value < 2**63


def check_rows(reading: Reading) -> None:
    """Assert that both rows fit their tables and share the key."""
    assert list(reading.raw) == [column.name for column in RAW_COLUMNS]
    for column in RAW_COLUMNS:
        check_value(column.type, reading.raw[column.name])
        assert column.nullable or reading.raw[column.name] is not None
    assert (reading.raw["unrouted_reason"] is None) == (reading.table is not None)
    assert reading.raw["target_table"] == reading.table
    rows = [reading.raw]
    if reading.table is None:
        assert reading.typed is None
    else:
        columns = HANDLERS_BY_TABLE[reading.table].columns
        assert reading.typed is not None
        assert list(reading.typed) == [column.name for column in columns]
        for column in columns:
            check_value(column.type, reading.typed[column.name])
        rows.append(reading.typed)
    for row in rows:
        assert (row["event_id"], row["event_date"]) == (reading.event_id, reading.event_date)


@settings(max_examples=400, deadline=None)
@given(bodies)
def test_any_body_gives_rows_that_fit_their_tables(body: bytes) -> None:
    """Every column is there, in order, with the Python type of its SQL type, fit for UTF-8."""
    reading = read(as_record(body, NOW))

    check_rows(reading)
    assert not str(reading.raw["unrouted_reason"]).startswith("internal_error")


@settings(max_examples=200, deadline=None)
@given(bodies, st.sampled_from([None, "nonsense", *HANDLERS_BY_TABLE]))
def test_any_body_can_be_reread_for_any_table(body: bytes, table: str | None) -> None:
    """A stored body fits the table that keeps it, or none."""
    reading = reread(body, NOW, table)

    check_rows(reading)
    assert reading.table in (table, None) or table is None


@settings(max_examples=200, deadline=None)
@given(bodies)
def test_key_is_a_function_of_the_body(body: bytes) -> None:
    """When, how often and for which table a body is read never changes its key."""
    first = read(as_record(body, NOW))
    others = [
        read(as_record(body, LATER)),
        reread(body, LATER, None),
        reread(body, NOW, "webhook_push_events"),
    ]

    assert {(other.event_id, other.event_date) for other in others} == {
        (first.event_id, first.event_date)
    }


@settings(max_examples=200, deadline=None)
@given(bodies)
def test_raw_row_gives_back_any_body(body: bytes) -> None:
    """The stored text, decoded as it says, is the body."""
    raw = read(as_record(body, NOW)).raw

    text = str(raw["body"])
    stored = base64.b64decode(text) if raw["body_encoding"] == "base64" else text.encode()
    assert stored == body


@settings(max_examples=200, deadline=None)
@given(mutants())
def test_unknown_fields_are_always_bounded_and_plain(body: bytes) -> None:
    """Names that arrive from outside are few, short and harmless when reported."""
    unknown = read(as_record(body, NOW)).unknown_fields

    assert len(unknown) <= 20
    assert len(set(unknown)) == len(unknown)
    for path in unknown:
        assert path == "data.(other)" or re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,64}", path)
