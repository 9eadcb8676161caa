"""The local lake: rejected rows are only in the raw table."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from databricks_app.errors import LakeError
from databricks_app.lake.local.store import LocalLake
from tests.support.lake_events import (
    EMAIL,
    NOON,
    RAW,
    SMS,
    body,
    event,
    ids,
    load,
    rows,
)


def constrain(folder: Path, table: str, condition: str) -> None:
    """Make the engine refuse rows that passed all of our checks."""
    DeltaTable(folder / "tables" / table).alter.add_constraint({"test": condition})


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("campaign_id", 2.9, "TypeError"),
        ("campaign_id", True, "TypeError"),
        ("campaign_id", 2**63, "OverflowError"),
        ("subject", "\ud800", "UnicodeEncodeError"),
        ("subject", 12, "TypeError"),
        ("event_timestamp", datetime(2026, 1, 1), "TypeError"),  # noqa: DTZ001  # the fault
        ("headers", {"a": ["b", 1]}, "TypeError"),
    ],
)
def test_load_puts_an_event_with_a_value_of_a_wrong_type_only_into_raw(
    lake: LocalLake, tmp_path: Path, column: str, value: object, error: str
) -> None:
    """No value is converted silently; the other rows are loaded."""
    good, bad = event("good"), event("bad")
    bad = replace(bad, typed={**(bad.typed or {}), column: value})

    report = load(lake, good, bad)

    assert {f"load_failed:{error}": 1} == report.rejected == report.unrouted
    assert ids(tmp_path, EMAIL) == ["good"]
    assert [("bad", None, f"load_failed:{error}"), ("good", EMAIL, None)] == rows(
        tmp_path, RAW, "event_id, target_table, unrouted_reason"
    )


def test_load_keeps_the_body_as_base64_if_the_raw_row_does_not_fit(
    lake: LocalLake, tmp_path: Path
) -> None:
    """If the raw row does not fit either, only the body and the key are kept."""
    bad = event("bad")
    content = body("bad")
    bad = replace(bad, raw={**bad.raw, "metric": "\ud800", "received_at": "today"})

    report = load(lake, event("good"), bad)

    assert report.rejected == {"load_failed:UnicodeEncodeError": 1}
    assert ids(tmp_path, EMAIL) == ["good"]
    columns = "event_id, body, body_encoding, body_bytes, object_type, unrouted_reason, received_at"
    encoded = base64.b64encode(content).decode()
    assert (
        "bad",
        encoded,
        "base64",
        len(content),
        None,
        "load_failed:UnicodeEncodeError",
        NOON,
    ) == rows(tmp_path, RAW, columns)[0]


def test_load_finds_one_rejected_row_among_ten_thousand_within_seconds(
    lake: LocalLake, tmp_path: Path
) -> None:
    """Bisection: the good rows are loaded, the rejected row is only in raw."""
    constrain(tmp_path, RAW, "body_bytes <> 12345")
    lake.close()
    lake.start()
    readings = [event(f"e{number:05}", "sms/sent") for number in range(10_000)]
    readings[7_777] = replace(readings[7_777], raw={**readings[7_777].raw, "body_bytes": 12345})

    report = load(lake, *readings)

    assert report.rejected == {"load_failed:DeltaError": 1}
    assert report.inserted == {RAW: 10_000, SMS: 9_999}
    assert report.seconds < 10
    assert [
        row for row in rows(tmp_path, RAW, "event_id, body_encoding") if row[1] == "base64"
    ] == [("e07777", "base64")]


def test_load_keeps_as_much_of_a_raw_row_as_the_engine_accepts(
    lake: LocalLake, tmp_path: Path
) -> None:
    """First the row without a table is tried, then the minimal row."""
    constrain(tmp_path, RAW, "target_table IS NULL OR metric <> 'clicked'")
    lake.close()
    lake.start()

    report = load(lake, event("a"), event("b", "email/clicked"))

    assert {"load_failed:DeltaError": 1} == report.rejected == report.unrouted
    assert rows(tmp_path, RAW, "event_id, metric, body_encoding") == [
        ("a", "opened", "utf-8"),
        ("b", "clicked", "utf-8"),
    ]
    assert ids(tmp_path, EMAIL) == ["a"]


def test_load_reports_a_typed_row_that_only_the_engine_refuses(
    lake: LocalLake, tmp_path: Path
) -> None:
    """The raw row is written first and stays; the other rows of the table are loaded."""
    constrain(tmp_path, EMAIL, "campaign_id IS NULL OR campaign_id < 100")
    lake.close()
    lake.start()

    report = load(lake, event("a", campaign_id=1), event("b", campaign_id=100), event("c"))

    assert report.rejected == {"load_failed:DeltaError": 1}
    assert (report.inserted, report.duplicates) == ({RAW: 3, EMAIL: 2}, {})
    assert (ids(tmp_path, RAW), ids(tmp_path, EMAIL)) == (["a", "b", "c"], ["a", "c"])


def test_load_fails_if_the_table_refuses_every_row(lake: LocalLake, tmp_path: Path) -> None:
    """The cause is not in single rows: the batch stays, and the error says what to do."""
    constrain(tmp_path, RAW, "event_id IS NULL")
    lake.close()
    lake.start()

    with pytest.raises(LakeError, match=r"webhook_raw_events: .* refuses even the smallest rows"):
        load(lake, event("a"))

    assert ids(tmp_path, RAW) == []
