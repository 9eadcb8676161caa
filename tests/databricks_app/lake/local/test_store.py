"""The local lake: each event exactly once, and the raw row decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable

from databricks_app.events.decoding import Reading, read
from databricks_app.events.handlers import HANDLERS
from databricks_app.events.record import Record
from databricks_app.lake.local.store import LocalLake, definitions
from tests.support.lake_events import (
    EMAIL,
    NOON,
    RAW,
    SMS,
    body,
    event,
    ids,
    lake_in,
    load,
    reading_of,
    rows,
)


def test_load_puts_an_event_into_raw_and_into_its_table(lake: LocalLake, tmp_path: Path) -> None:
    """Both rows have the time and the id of the load."""
    report = load(lake, event("a", subject="Hello"), batch_id="b1")

    assert report.inserted == {RAW: 1, EMAIL: 1}
    assert rows(tmp_path, RAW, "event_id, target_table, batch_id, loaded_at") == [
        ("a", EMAIL, "b1", NOON)
    ]
    assert [("a", "Hello", "b1", date(2026, 11, 22))] == rows(
        tmp_path, EMAIL, "event_id, subject, batch_id, event_date"
    )


def test_load_of_every_table_of_the_definitions(tmp_path: Path) -> None:
    """All tables of `sql/` are created and get rows."""
    lake = LocalLake(tmp_path)
    created = lake.start().created
    kinds = [name for name in HANDLERS if name != "customer"]

    report = load(
        lake,
        event("c", "customer/subscribed"),
        *(event(kind, f"{kind}/sent") for kind in kinds),
    )
    lake.close()

    assert [one.name for one in definitions()] == list(created)
    assert {RAW: len(HANDLERS), **{name: 1 for name in created[1:]}} == report.inserted


def test_load_keeps_the_first_event_with_a_key_in_a_batch(lake: LocalLake, tmp_path: Path) -> None:
    """Duplicates in the batch are removed before the write, the same way for both tables."""
    later = reading_of(body("a"), NOON + timedelta(hours=1))

    report = load(lake, event("a"), later, event("b"))

    assert (report.inserted, report.duplicates) == ({RAW: 2, EMAIL: 2}, {RAW: 1, EMAIL: 1})
    assert rows(tmp_path, EMAIL, "event_id, received_at") == [("a", NOON), ("b", NOON)]


def test_load_again_changes_nothing(lake: LocalLake, tmp_path: Path) -> None:
    """A repeated event is stored once, with its first values."""
    load(lake, event("a"), event("b"), batch_id="b1")

    report = load(lake, event("b"), event("c"), batch_id="b2")

    assert (report.inserted, report.duplicates) == ({RAW: 1, EMAIL: 1}, {RAW: 1, EMAIL: 1})
    assert rows(tmp_path, RAW, "event_id, batch_id") == [("a", "b1"), ("b", "b1"), ("c", "b2")]
    assert ids(tmp_path, EMAIL) == ["a", "b", "c"]


def test_load_treats_the_same_id_with_another_date_as_another_event(
    lake: LocalLake, tmp_path: Path
) -> None:
    """The key is the id together with the date."""
    load(lake, event("a"), event("a", days_ago=1))

    assert ids(tmp_path, RAW) == ["a", "a"]


def test_load_accepts_a_batch_of_many_dates(lake: LocalLake, tmp_path: Path) -> None:
    """There are more dates than one group has."""
    readings = [event(f"e{day:02}", days_ago=day) for day in range(40)]

    reports = [load(lake, *readings) for _ in range(2)]

    assert [report.inserted for report in reports] == [{RAW: 40, EMAIL: 40}, {}]
    assert len(rows(tmp_path, RAW, "DISTINCT event_date")) == 40


def test_load_counts_new_rows_by_table_and_metric(lake: LocalLake) -> None:
    """Stored events and events without a table are not counted."""
    load(lake, event("a"))

    report = load(lake, event("a"), event("b"), event("c", "sms/sent"), reading_of(b"{"))

    assert report.by_metric == {
        (RAW, "opened"): 1,
        (RAW, "sent"): 1,
        (RAW, None): 1,
        (EMAIL, "opened"): 1,
        (SMS, "sent"): 1,
    }


def test_load_of_nothing_commits_nothing(lake: LocalLake, tmp_path: Path) -> None:
    """The version of the table stays the same."""
    before = DeltaTable(tmp_path / "tables" / RAW).version()

    report = load(lake)

    assert report.inserted == {}
    assert before == DeltaTable(tmp_path / "tables" / RAW).version()


def test_load_distinguishes_long_similar_ids(lake: LocalLake) -> None:
    """Statistics of files are cut at 64 bytes, but ids may differ after that."""
    alike = [event("x" * 250 + f"{number:04}") for number in range(50)]
    load(lake, *alike[::2])

    report = load(lake, *alike)

    assert (report.inserted, report.duplicates) == ({RAW: 25, EMAIL: 25}, {RAW: 25, EMAIL: 25})


def test_load_counts_unrouted_events_by_reason_once(lake: LocalLake, tmp_path: Path) -> None:
    """Unreadable bodies are raw rows; a repetition is not counted again."""
    readings = [reading_of(b"{"), reading_of(b"\xff\x00"), event("f", "fax/sent")]

    first = load(lake, *readings)
    second = load(lake, *readings)

    assert first.unrouted == {"not_json": 1, "not_utf8": 1, "unknown_object_type": 1}
    assert (second.unrouted, second.duplicates) == ({}, {RAW: 3})
    assert len(ids(tmp_path, RAW)) == 3


def test_load_makes_the_typed_row_from_the_body_in_raw(lake: LocalLake, tmp_path: Path) -> None:
    """After a crash between raw and typed, the resent body may differ in some fields."""
    load(lake, event("a", subject="as first sent"))
    _remove_rows(tmp_path, EMAIL)
    lake.close()
    lake.start()

    load(lake, reading_of(b" " + body("a", subject="as first sent"), NOON + timedelta(hours=1)))

    assert rows(tmp_path, EMAIL, "subject, received_at") == [("as first sent", NOON)]


def test_load_completes_a_raw_row_with_the_time_it_was_received(
    lake: LocalLake, tmp_path: Path
) -> None:
    """`received_at` is the time of the first request, in both tables."""
    first = datetime(2026, 11, 22, 11, 59, 59, 123456, UTC)
    load(lake, reading_of(body("a"), first))
    _remove_rows(tmp_path, EMAIL)
    lake.close()
    lake.start()

    load(lake, reading_of(body("a"), NOON), batch_id="again")

    assert [(first, "again")] == rows(tmp_path, EMAIL, "received_at, batch_id")


def _remove_rows(folder: Path, table: str) -> None:
    """Empty a typed table, as if the process had died before it was written."""
    DeltaTable(folder / "tables" / table).delete()


def test_load_routes_a_stored_unrouted_event_with_the_current_code(
    lake: LocalLake, tmp_path: Path
) -> None:
    """A replay does this when the code supports a new type. The raw row stays."""
    known = event("w", "email/opened")
    unknown = replace(
        known,
        raw={**known.raw, "target_table": None, "unrouted_reason": "unknown_metric"},
        table=None,
        typed=None,
    )
    load(lake, unknown)

    report = load(lake, known)

    assert report.inserted == {EMAIL: 1}
    assert rows(tmp_path, RAW, "event_id, target_table, unrouted_reason") == [
        ("w", None, "unknown_metric")
    ]
    assert (ids(tmp_path, EMAIL), ids(tmp_path, SMS)) == (["w"], [])


def test_load_rereads_base64_bodies_to_their_exact_bytes(tmp_path: Path) -> None:
    """The bytes are not valid text."""
    content = bytes(range(256))
    seen: list[bytes] = []

    def reread(
        stored: bytes, received_at: datetime, _table: str | None, _workspace: str
    ) -> Reading:
        seen.append(stored)
        return reading_of(stored, received_at)

    lake = lake_in(tmp_path, reread=reread)
    lake.start()
    for _ in range(2):
        load(lake, reading_of(content))
    lake.close()

    assert [content] == seen


def test_load_does_not_reread_a_body_that_was_cut(lake: LocalLake, tmp_path: Path) -> None:
    """The stored part may be a complete event with another key."""
    content = body("inner")
    cut = read(Record(content, NOON, "0", "0a1b2c3d", 99_999_999, "ab" * 32))
    load(lake, cut)

    report = load(lake, cut)

    assert (report.inserted, report.duplicates) == ({}, {RAW: 1})
    assert ids(tmp_path, EMAIL) == []


def test_load_ignores_a_stored_body_that_now_has_another_key(tmp_path: Path) -> None:
    """A typed row always has the key of its raw row."""
    lake = lake_in(tmp_path, reread=lambda *_: event("other"))
    lake.start()
    load(lake, reading_of(b"{"))

    report = load(lake, reading_of(b"{"))
    lake.close()

    assert report.inserted == {}
