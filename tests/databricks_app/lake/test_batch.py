"""The pure part of a load: distinct events, groups of dates, rejected rows, bisection."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.errors import ValueRefused
from databricks_app.lake.batch import (
    LoadCounts,
    bisect,
    date_groups,
    distinct,
    key,
    minimal_row,
    prepare,
    stored_body,
)
from tests.support.lake_events import EMAIL, NOON, RAW, body, event, few_tables, reading_of

SCHEMAS = {one.name: one.schema for one in few_tables()}
STAMPS = {"loaded_at": NOON, "batch_id": "b"}
DAY = date(2026, 11, 22)


def test_distinct_keeps_the_first_and_counts_the_others() -> None:
    """In both tables, or only in raw if there is no typed table."""
    counts = LoadCounts()
    readings = [event("a"), event("b"), event("a"), reading_of(b"{"), reading_of(b"{")]

    kept = distinct(readings, counts)

    assert kept == [readings[0], readings[1], readings[3]]
    assert counts.report(1.5).duplicates == {RAW: 2, EMAIL: 1}


@pytest.mark.parametrize("dates_at_most", [1, 3, 300])
def test_date_groups_hold_few_dates_and_every_reading_once(dates_at_most: int) -> None:
    """Oldest first; no date is in two groups."""
    readings = [event(f"{day}-{copy}", days_ago=day) for day in range(7) for copy in range(2)]

    groups = list(date_groups(readings, dates_at_most))

    dates = [sorted({reading.event_date for reading in group}) for group in groups]
    assert [day for group in dates for day in group] == [
        DAY - timedelta(days=days) for days in range(6, -1, -1)
    ]
    assert max(map(len, dates)) <= dates_at_most
    assert sorted(map(key, readings)) == sorted(key(one) for group in groups for one in group)


def test_prepare_makes_a_raw_row_without_a_table_if_the_typed_row_does_not_fit() -> None:
    """This happens before the write, so the raw row never names a table without the event."""
    good, bad = event("good"), event("bad")
    bad = replace(bad, typed={**(bad.typed or {}), "link_id": 0.5})

    prepared = prepare([good, bad], SCHEMAS, STAMPS)

    assert prepared.raw.select(["event_id", "target_table", "unrouted_reason"]).to_pylist() == [
        {"event_id": "good", "target_table": EMAIL, "unrouted_reason": None},
        {"event_id": "bad", "target_table": None, "unrouted_reason": "load_failed:TypeError"},
    ]
    assert prepared.typed[EMAIL].column("event_id").to_pylist() == ["good"]
    assert prepared.rejected == {("bad", DAY): "TypeError"}
    assert prepared.unrouted == {("bad", DAY): "load_failed:TypeError"}


def test_prepare_drops_the_typed_row_if_the_raw_row_does_not_fit() -> None:
    """So raw and typed tables agree."""
    bad = event("bad")
    bad = replace(bad, raw={"event_id": "bad"})

    prepared = prepare([event("good"), bad], SCHEMAS, STAMPS)

    assert prepared.raw.column("event_id").to_pylist() == ["good", "bad"]
    assert prepared.typed[EMAIL].column("event_id").to_pylist() == ["good"]
    assert prepared.unrouted == {("bad", DAY): "load_failed:KeyError"}


@pytest.mark.parametrize(
    ("raw", "content", "received_at"),
    [
        ({"body": "a\ud800", "body_encoding": "utf-8"}, b"a\xed\xa0\x80", NOON),
        ({"body": "/w==", "body_encoding": "base64"}, b"\xff", NOON),
        ({"body": "/w=", "body_encoding": "base64"}, b"/w=", NOON),
        ({"body": b"\xff"}, b"\xff", NOON),
        ({"body": 7, "received_at": "today"}, b"", NOON),
        ({"received_at": NOON - timedelta(days=1)}, b"", NOON - timedelta(days=1)),
        ({"received_at": NOON.replace(tzinfo=None)}, b"", NOON),
    ],
)
def test_minimal_row_keeps_the_body_if_there_is_one(
    raw: dict[str, object], content: bytes, received_at: object
) -> None:
    """The bytes in base64, and a valid time."""
    reading = replace(event("a"), raw=raw)

    row = minimal_row(reading, "TypeError", ["body", "received_at", "metric"], STAMPS)

    assert row == {
        "event_id": "a",
        "event_date": DAY,
        "received_at": received_at,
        "body": base64.b64encode(content).decode(),
        "body_encoding": "base64",
        "body_bytes": len(content),
        "body_sha256": hashlib.sha256(content).hexdigest(),
        "workspace": "default",
        "metric": None,
        "target_table": None,
        "unrouted_reason": "load_failed:TypeError",
    }


def test_minimal_row_has_a_valid_id() -> None:
    """An id that is not valid text is replaced by the digest of the body."""
    content = body("a")
    reading = replace(reading_of(content), event_id="\ud800")

    row = minimal_row(reading, "UnicodeEncodeError", [], STAMPS)

    assert row["event_id"] == f"sha256:{hashlib.sha256(content).hexdigest()}"


@given(content=st.binary())
def test_stored_body_returns_the_exact_bytes(content: bytes) -> None:
    """For every raw row that `read` makes."""
    raw = reading_of(content).raw

    assert stored_body(str(raw["body"]), raw["body_encoding"]) == content


@given(rows=st.integers(0, 300), bad=st.sets(st.integers(0, 299), max_size=12))
def test_bisect_writes_every_good_row_once_and_names_every_bad_one(
    rows: int, bad: set[int]
) -> None:
    """For any set of refused rows."""
    bad = {place for place in bad if place < rows}
    written: list[int] = []

    def attempt(start: int, stop: int) -> None:
        if bad & set(range(start, stop)):
            raise ValueRefused("DeltaError")
        written.extend(range(start, stop))

    refused = bisect(rows, attempt)

    assert refused == dict.fromkeys(bad, "DeltaError")
    assert sorted(written) == sorted(set(range(rows)) - bad)


def test_bisect_finds_one_among_ten_thousand_in_few_attempts() -> None:
    """Each attempt is a MERGE of some milliseconds."""
    attempts = 0

    def attempt(start: int, stop: int) -> None:
        nonlocal attempts
        attempts += 1
        if start <= 7_777 < stop:
            raise ValueRefused("DeltaError")

    bisect(10_000, attempt)

    assert attempts < 40


def test_bisect_raises_if_no_row_can_be_written() -> None:
    """Ten thousand refusals would take minutes, and the cause is not in single rows."""
    attempts = 0

    def attempt(_start: int, _stop: int) -> None:
        nonlocal attempts
        attempts += 1
        raise ValueRefused("DeltaError")

    with pytest.raises(ValueRefused):
        bisect(10_000, attempt)
    assert attempts < 600
