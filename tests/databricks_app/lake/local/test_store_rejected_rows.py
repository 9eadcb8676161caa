"""The local lake: rows that cannot be loaded stand alone in the raw table."""

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
    """Make the engine refuse rows: the one way to be refused after all checks of ours."""
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
def test_load_puts_an_event_with_an_unfit_value_into_raw_alone(
    lake: LocalLake, tmp_path: Path, column: str, value: object, error: str
) -> None:
    """Nothing is cast silently; the good rows beside it are loaded."""
    good, bad = event("good"), event("bad")
    bad = replace(bad, typed={**(bad.typed or {}), column: value})

    report = load(lake, good, bad)

    assert {f"load_failed:{error}": 1} == report.rejected == report.unrouted
    assert ids(tmp_path, EMAIL) == ["good"]
    assert [("bad", None, f"load_failed:{error}"), ("good", EMAIL, None)] == rows(
        tmp_path, RAW, "event_id, target_table, unrouted_reason"
    )


def test_load_keeps_the_body_of_a_raw_row_that_does_not_fit_in_base64(
    lake: LocalLake, tmp_path: Path
) -> None:
    """If even the raw row fails, its body is kept and everything else is minimal."""
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


def test_load_finds_one_refused_row_among_ten_thousand_within_seconds(
    lake: LocalLake, tmp_path: Path
) -> None:
    """Bisection: the good rows are loaded, the rejected row stands in raw alone."""
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


def test_load_keeps_the_raw_row_of_a_rejected_row_as_whole_as_the_engine_takes_it(
    lake: LocalLake, tmp_path: Path
) -> None:
    """First without a table only; the minimal row is the last resort."""
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


def test_load_names_a_typed_row_that_only_the_engine_refuses(
    lake: LocalLake, tmp_path: Path
) -> None:
    """Raw was written before and stays; the good rows of the table are loaded."""
    constrain(tmp_path, EMAIL, "campaign_id IS NULL OR campaign_id < 100")
    lake.close()
    lake.start()

    report = load(lake, event("a", campaign_id=1), event("b", campaign_id=100), event("c"))

    assert report.rejected == {"load_failed:DeltaError": 1}
    assert (report.inserted, report.duplicates) == ({RAW: 3, EMAIL: 2}, {})
    assert (ids(tmp_path, RAW), ids(tmp_path, EMAIL)) == (["a", "b", "c"], ["a", "c"])


def test_load_gives_up_on_a_table_that_refuses_every_row(lake: LocalLake, tmp_path: Path) -> None:
    """Not a matter of rows: the batch is kept and the admin is told."""
    constrain(tmp_path, RAW, "event_id IS NULL")
    lake.close()
    lake.start()

    with pytest.raises(LakeError, match=r"webhook_raw_events: .* refuses even the smallest rows"):
        load(lake, event("a"))

    assert ids(tmp_path, RAW) == []
