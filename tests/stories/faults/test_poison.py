"""One event that cannot be loaded, of every kind, among ten thousand that can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from benchmarks.harness.crashes import run_loader
from benchmarks.harness.events import store
from benchmarks.harness.exactly_once import is_empty
from databricks_app.events.decoding import Reading
from databricks_app.lake.local.query import LocalQuery
from tests.support.exactly_once import assert_exactly_once
from tests.support.lake_events import EMAIL, RAW, body, event, ids, lake_in, load, rows
from tests.support.odd_bodies import ODD_BODIES

MANY = 10_000
WHERE = MANY // 3

pytestmark = pytest.mark.slow


def with_typed(column: str, value: object) -> Callable[[Path, Reading], Reading]:
    """A value that reading never gives, in the typed row."""

    def spoil(_: Path, good: Reading) -> Reading:
        return replace(good, typed={**(good.typed or {}), column: value})

    return spoil


def with_raw(column: str, value: object) -> Callable[[Path, Reading], Reading]:
    """A value that reading never gives, in the raw row."""

    def spoil(_: Path, good: Reading) -> Reading:
        return replace(good, raw={**good.raw, column: value})

    return spoil


def refused_by_the_engine(table: str, condition: str) -> Callable[[Path, Reading], Reading]:
    """A row that fits, and that the table itself does not take."""

    def spoil(folder: Path, good: Reading) -> Reading:
        DeltaTable(folder / "tables" / table).alter.add_constraint({"test": condition})
        return good

    return spoil


KINDS = {
    "a fraction in a whole column": (with_typed("campaign_id", 2.9), "TypeError"),
    "a truth in a whole column": (with_typed("campaign_id", True), "TypeError"),
    "over 64 bits": (with_typed("campaign_id", 2**63), "OverflowError"),
    "a lone surrogate": (with_typed("subject", "\ud800"), "UnicodeEncodeError"),
    "a number in a text column": (with_typed("subject", 12), "TypeError"),
    "a time without a zone": (
        with_typed("event_timestamp", datetime(2026, 1, 1)),  # noqa: DTZ001  # the fault
        "TypeError",
    ),
    "a map of mixed values": (with_typed("headers", {"a": ["b", 1]}), "TypeError"),
    "a raw row that does not fit": (with_raw("metric", "\ud800"), "UnicodeEncodeError"),
    "a raw row that the engine refuses": (
        refused_by_the_engine(RAW, f"event_id <> 'e{WHERE}' OR body_encoding = 'base64'"),
        "DeltaError",
    ),
    "a raw row refused with its table": (
        refused_by_the_engine(RAW, f"event_id <> 'e{WHERE}' OR target_table IS NULL"),
        "DeltaError",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_cannot_be_loaded_stops_none_of_ten_thousand_others(
    tmp_path: Path, kind: str
) -> None:
    """The good rows are in both tables; the rejected row is only in raw, with its reason."""
    spoil, error = KINDS[kind]
    lake = lake_in(tmp_path)
    lake.start()
    readings = [event(f"e{number}") for number in range(MANY)]
    readings[WHERE] = spoil(tmp_path, readings[WHERE])
    lake.close()
    lake.start()

    report = load(lake, *readings)
    lake.close()

    good = sorted(f"e{number}" for number in range(MANY) if number != WHERE)
    assert report.rejected == {f"load_failed:{error}": 1}
    assert ids(tmp_path, EMAIL) == good
    assert ids(tmp_path, RAW) == sorted([*good, f"e{WHERE}"])
    reasons = rows(tmp_path, RAW, "unrouted_reason, target_table, event_id")
    assert [row for row in reasons if row[0] is not None] == [
        (f"load_failed:{error}", None, f"e{WHERE}")
    ]


def test_a_typed_row_that_only_the_engine_refuses_stops_none_of_ten_thousand(
    tmp_path: Path,
) -> None:
    """The raw row was written before and has the body; the refusal is counted."""
    lake = lake_in(tmp_path)
    lake.start()
    readings = [event(f"e{number}") for number in range(MANY)]
    refused_by_the_engine(EMAIL, f"event_id <> 'e{WHERE}'")(tmp_path, readings[WHERE])
    lake.close()
    lake.start()

    report = load(lake, *readings)
    lake.close()

    assert report.rejected == {"load_failed:DeltaError": 1}
    assert report.inserted == {RAW: MANY, EMAIL: MANY - 1}
    assert f"e{WHERE}" in ids(tmp_path, RAW)
    assert f"e{WHERE}" not in ids(tmp_path, EMAIL)


def test_every_odd_body_among_ten_thousand_good_ones_is_one_row(tmp_path: Path) -> None:
    """From the inbox to the tables, through the loader, in one load."""
    good = [f"e{number}" for number in range(MANY)]
    bodies = [body(name) for name in good]
    odd = [content for content in ODD_BODIES.values() if len(content) < 1 << 20]
    for number, content in enumerate(odd):
        bodies.insert(number * MANY // len(odd), content)
    store(tmp_path, bodies)

    code = run_loader(tmp_path)

    query = LocalQuery(tmp_path)
    counts = "SELECT count(*), count(DISTINCT event_id) FROM webhook_raw_events"
    assert code == 0
    assert is_empty(tmp_path)
    assert query.run(counts).rows == [(MANY + len(odd),) * 2]
    typed = "SELECT count(DISTINCT event_id) FROM webhook_email_events WHERE event_id LIKE 'e%'"
    assert query.run(typed).rows == [(MANY,)]
    assert set(query.run("SELECT unrouted_reason FROM webhook_unrouted_events").rows) == {
        ("no_event_id",),
        ("not_json",),
        ("not_object",),
        ("not_utf8",),
        ("too_deep",),
        ("unknown_object_type",),
    }


def test_an_event_that_crashes_the_loader_stops_none_of_ten_thousand_others(
    tmp_path: Path,
) -> None:
    """After some deaths it is only a raw row, and all other events are loaded once."""
    names = [f"e{number}" for number in range(MANY)]
    store(tmp_path, map(body, names))

    deaths = 0
    while run_loader(tmp_path, f"event.e{WHERE}") != 0:
        deaths += 1
        assert deaths < 40

    assert_exactly_once(tmp_path, names)
    query = LocalQuery(tmp_path)
    assert query.run("SELECT event_id, unrouted_reason FROM webhook_unrouted_events").rows == [
        (f"e{WHERE}", "load_failed:crash")
    ]
