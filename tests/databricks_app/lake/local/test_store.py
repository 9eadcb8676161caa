"""The local lake: each event exactly once, the raw row decides, rejected rows stand alone."""

from __future__ import annotations

import base64
import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from databricks_app.errors import LakeError
from databricks_app.events.decoding import Reading, read
from databricks_app.events.record import Record
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.store import LocalLake, definitions
from tests.support.lake_events import (
    EMAIL,
    NOON,
    RAW,
    SMS,
    body,
    event,
    few_tables,
    ids,
    lake_in,
    load,
    reading_of,
    rows,
)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[LocalLake]:
    """A started lake of few tables in `tmp_path`."""
    lake = lake_in(tmp_path)
    lake.start()
    yield lake
    lake.close()


def constrain(folder: Path, table: str, condition: str) -> None:
    """Make the engine refuse rows: the one way to be refused after all checks of ours."""
    DeltaTable(folder / "tables" / table).alter.add_constraint({"test": condition})


# --- exactly once ---------------------------------------------------------------------------


def test_load_puts_an_event_into_raw_and_into_its_table(lake: LocalLake, tmp_path: Path) -> None:
    """One event, two rows, stamped with the load."""
    report = load(lake, event("a", subject="Hello"), batch_id="b1")

    assert report.inserted == {RAW: 1, EMAIL: 1}
    assert rows(tmp_path, RAW, "event_id, target_table, batch_id, loaded_at") == [
        ("a", EMAIL, "b1", NOON)
    ]
    assert [("a", "Hello", "b1", NOON, date(2026, 11, 22))] == rows(
        tmp_path, EMAIL, "event_id, subject, batch_id, loaded_at, event_date"
    )


def test_load_of_every_table_of_the_definitions(tmp_path: Path) -> None:
    """The nine tables of `sql/` are made and filled."""
    lake = LocalLake(tmp_path)
    created = lake.start().created
    kinds = ["email", "sms", "push", "in_app", "slack", "webhook", "whatsapp"]

    report = load(
        lake,
        event("c", "customer/subscribed"),
        *(event(kind, f"{kind}/sent") for kind in kinds),
    )
    lake.close()

    assert [one.name for one in definitions()] == list(created)
    assert {RAW: 8, **{name: 1 for name in created[1:]}} == report.inserted


def test_load_keeps_the_first_of_a_key_that_stands_twice_in_a_batch(
    lake: LocalLake, tmp_path: Path
) -> None:
    """Duplicates inside the batch go before anything is written, the same way for both tables."""
    report = load(lake, event("a", subject="first"), event("a", "sms/sent"), event("b"))

    assert (report.inserted, report.duplicates) == ({RAW: 2, EMAIL: 2}, {RAW: 1, EMAIL: 1})
    assert rows(tmp_path, EMAIL, "event_id, subject") == [("a", "first"), ("b", None)]
    assert ids(tmp_path, SMS) == []


def test_load_again_changes_nothing(lake: LocalLake, tmp_path: Path) -> None:
    """However often an event is sent, it stands once, as it was first."""
    load(lake, event("a"), event("b"), batch_id="b1")

    report = load(lake, event("b"), event("c"), batch_id="b2")

    assert (report.inserted, report.duplicates) == ({RAW: 1, EMAIL: 1}, {RAW: 1, EMAIL: 1})
    assert rows(tmp_path, RAW, "event_id, batch_id") == [("a", "b1"), ("b", "b1"), ("c", "b2")]
    assert ids(tmp_path, EMAIL) == ["a", "b", "c"]


def test_load_takes_an_id_under_another_date_for_another_event(
    lake: LocalLake, tmp_path: Path
) -> None:
    """The key is the id together with the date."""
    load(lake, event("a"), event("a", days_ago=1))

    assert ids(tmp_path, RAW) == ["a", "a"]


def test_load_takes_a_batch_of_many_dates(lake: LocalLake, tmp_path: Path) -> None:
    """More dates than are written at once."""
    readings = [event(f"e{day:02}", days_ago=day) for day in range(40)]

    reports = [load(lake, *readings) for _ in range(2)]

    assert [report.inserted for report in reports] == [{RAW: 40, EMAIL: 40}, {}]
    assert len(rows(tmp_path, RAW, "DISTINCT event_date")) == 40


def test_load_counts_new_rows_by_table_and_metric(lake: LocalLake) -> None:
    """As sent; what was there already, or is nowhere, is not counted."""
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
    """An empty batch leaves no trace."""
    before = DeltaTable(tmp_path / "tables" / RAW).version()

    report = load(lake)

    assert report.inserted == {}
    assert before == DeltaTable(tmp_path / "tables" / RAW).version()


def test_load_tells_ids_apart_that_are_long_and_alike(lake: LocalLake) -> None:
    """File statistics are cut at 64 bytes; ids that differ later are still told apart."""
    alike = [event("x" * 250 + f"{number:04}") for number in range(50)]
    load(lake, *alike[::2])

    report = load(lake, *alike)

    assert (report.inserted, report.duplicates) == ({RAW: 25, EMAIL: 25}, {RAW: 25, EMAIL: 25})


# --- unrouted, and what the raw row decides ----------------------------------------------------


def test_load_counts_unrouted_events_by_reason_once(lake: LocalLake, tmp_path: Path) -> None:
    """Unreadable bodies are raw rows; a repetition is not counted again."""
    readings = [reading_of(b"{"), reading_of(b"\xff\x00"), event("f", "fax/sent")]

    first = load(lake, *readings)
    second = load(lake, *readings)

    assert first.unrouted == {"not_json": 1, "not_utf8": 1, "unknown_object_type": 1}
    assert (second.unrouted, second.duplicates) == ({}, {RAW: 3})
    assert len(ids(tmp_path, RAW)) == 3


def test_load_derives_the_typed_row_from_the_body_raw_holds(
    lake: LocalLake, tmp_path: Path
) -> None:
    """A crash left a raw row alone; the resent body differs and does not matter."""
    load(lake, event("a", subject="as first sent"))
    _remove_rows(tmp_path, EMAIL)
    lake.close()
    lake.start()

    load(lake, event("a", "sms/sent", subject="as sent again"))

    assert rows(tmp_path, EMAIL, "event_id, subject") == [("a", "as first sent")]
    assert ids(tmp_path, SMS) == []


def test_load_completes_a_raw_row_with_the_time_it_was_received(
    lake: LocalLake, tmp_path: Path
) -> None:
    """`received_at` is the first request's, in both tables."""
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


def test_load_gives_an_unrouted_event_the_table_of_today(lake: LocalLake, tmp_path: Path) -> None:
    """What a replay does when the code has learned a type: insert-only, raw stays."""
    known = event("w", "email/opened")
    unknown = replace(
        known,
        raw={**known.raw, "target_table": None, "unrouted_reason": "unknown_metric"},
        table=None,
        typed=None,
    )
    load(lake, unknown)

    report = load(lake, event("w", "sms/sent"))

    assert report.inserted == {EMAIL: 1}
    assert rows(tmp_path, RAW, "event_id, target_table, unrouted_reason") == [
        ("w", None, "unknown_metric")
    ]
    assert (ids(tmp_path, EMAIL), ids(tmp_path, SMS)) == (["w"], [])


def test_load_rereads_base64_bodies_to_their_exact_bytes(tmp_path: Path) -> None:
    """Bytes that are no text come back as they were."""
    content = bytes(range(256))
    seen: list[bytes] = []

    def reread(stored: bytes, received_at: datetime, _table: str | None) -> Reading:
        seen.append(stored)
        return reading_of(stored, received_at)

    lake = lake_in(tmp_path, reread=reread)
    lake.start()
    for _ in range(2):
        load(lake, reading_of(content))
    lake.close()

    assert [content] == seen


def test_load_does_not_reread_a_body_that_was_cut(lake: LocalLake, tmp_path: Path) -> None:
    """Its first bytes may be a whole event of another key."""
    content = body("inner")
    cut = read(Record(content, NOON, "0", "0a1b2c3d", 99_999_999, "ab" * 32))
    load(lake, cut)

    report = load(lake, cut)

    assert (report.inserted, report.duplicates) == ({}, {RAW: 1})
    assert ids(tmp_path, EMAIL) == []


def test_load_ignores_a_held_body_whose_key_is_another_today(tmp_path: Path) -> None:
    """A typed row always has the key of its raw row."""
    lake = lake_in(tmp_path, reread=lambda *_: event("other"))
    lake.start()
    load(lake, reading_of(b"{"))

    report = load(lake, reading_of(b"{"))
    lake.close()

    assert report.inserted == {}


# --- rejected rows -----------------------------------------------------------------------------


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

    with pytest.raises(LakeError, match=r"webhook_raw_events: even the smallest rows are refused"):
        load(lake, event("a"))

    assert ids(tmp_path, RAW) == []


# --- the storage fails -----------------------------------------------------------------------


def test_load_says_what_failed_on_the_disk_and_succeeds_later(lake: LocalLake) -> None:
    """A disk error is no verdict on rows: nothing is forgotten and the same load works later."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))
    try:
        with pytest.raises(LakeError, match=r"webhook_raw_events: File too large\. Check the disk"):
            load(lake, event("a"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, handler)

    report = load(lake, event("a"))

    assert report.inserted == {RAW: 1, EMAIL: 1}


def test_load_that_could_not_sync_is_made_durable_by_the_next(tmp_path: Path) -> None:
    """The commit is there, but not safe; the repetition finds its rows and syncs them."""
    failing = {"on": False}
    synced: list[str] = []

    def sync(path: Path) -> None:
        if failing["on"] and path.suffix == ".json":
            raise OSError(5, "Input/output error")
        synced.append(path.name)

    lake = lake_in(tmp_path, sync=sync)
    lake.start()
    failing["on"] = True
    with pytest.raises(LakeError, match="Input/output error"):
        load(lake, event("a"))
    failing["on"] = False
    synced.clear()

    report = load(lake, event("a"))
    lake.close()

    assert (report.inserted, report.duplicates) == ({EMAIL: 1}, {RAW: 1})
    versions = [name for name in synced if name.endswith(".json")]
    assert len(versions) == 2  # raw's old commit and email's new one


def test_load_says_that_somebody_else_changed_the_table(lake: LocalLake, tmp_path: Path) -> None:
    """A conflict is told, and the repetition sees the other's rows."""
    load(lake, event("a"))
    table = DeltaTable(tmp_path / "tables" / RAW)
    schema = few_tables()[0].schema
    mine = event("b").raw
    stamped = [{**mine, "loaded_at": NOON, "batch_id": "other"}]
    table.merge(
        pa.Table.from_pylist(stamped, schema=schema),
        predicate="t.event_id = s.event_id AND t.event_date = s.event_date",
        source_alias="s",
        target_alias="t",
    ).when_not_matched_insert_all().execute()

    with pytest.raises(LakeError, match="somebody else changed the table"):
        load(lake, event("b"))
    report = load(lake, event("b"))

    assert (report.inserted, report.duplicates) == ({EMAIL: 1}, {RAW: 1})


def test_load_says_that_a_file_is_missing(lake: LocalLake, tmp_path: Path) -> None:
    """Loads of that date fail in words; no row is blamed."""
    load(lake, event("a"))
    (file,) = (tmp_path / "tables" / RAW).glob("*/*.parquet")
    file.unlink()

    with pytest.raises(LakeError, match="2026-11-22 is missing or cannot be read"):
        load(lake, event("a"))


def test_load_says_that_held_bodies_cannot_be_read(lake: LocalLake, tmp_path: Path) -> None:
    """The keys are sound; the words name the table and the date and show no row."""
    load(lake, event("a"))
    (file,) = (tmp_path / "tables" / RAW).glob("event_date=*/*.parquet")
    group = pq.read_metadata(file).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    (body_column,) = (one for one in columns if one.path_in_schema == "body")
    content = bytearray(file.read_bytes())
    place = body_column.dictionary_page_offset or body_column.data_page_offset
    content[place : place + 16] = b"\xff" * 16
    file.write_bytes(content)

    with pytest.raises(
        LakeError, match=rf"{RAW}: a data file of 2026-11-22 to 2026-11-22 is missing or cannot"
    ):
        load(lake, event("a"))


def test_load_needs_a_start(tmp_path: Path) -> None:
    """A lake that was not started, or closed, writes nothing."""
    with pytest.raises(LakeError, match="not started"):
        load(lake_in(tmp_path), event("a"))


def test_load_succeeds_when_only_upkeep_fails(tmp_path: Path) -> None:
    """The rows are safe by then, and the next load goes on."""

    def sync(path: Path) -> None:
        if path.name.endswith(".checkpoint.parquet"):
            raise OSError(28, "No space left on device")

    lake = lake_in(tmp_path, sync=sync, policy=Policy(checkpoint_every=1))
    lake.start()

    reports = [load(lake, event(name)) for name in "ab"]
    lake.close()

    assert [report.inserted for report in reports] == [{RAW: 1, EMAIL: 1}] * 2


# --- start -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("lake")
def test_start_refuses_a_second_loader_and_names_the_first(tmp_path: Path) -> None:
    """One loader at a time."""
    with pytest.raises(LakeError, match=rf"Process {os.getpid()} already loads into"):
        lake_in(tmp_path).start()


def test_start_is_possible_again_after_close(lake: LocalLake) -> None:
    """The lock is given back, and the tables are as they were."""
    load(lake, event("a"))
    lake.close()

    report = lake.start()

    assert (report.created, report.problems, report.added_columns) == ((), (), {})
    assert {RAW: load(lake, event("a")).duplicates[RAW]} == {RAW: 1}


def test_start_adds_missing_columns_and_keeps_foreign_ones(tmp_path: Path) -> None:
    """Nothing is dropped; what is new reads as NULL in old rows, maps and lists included."""
    full = few_tables()
    new = {"headers", "link_id", "reading_notes"}
    old_email = pa.schema(
        [field for field in full[1].schema if field.name not in new] + [("of_others", pa.string())]
    )
    old = lake_in(tmp_path, tables=[full[0], replace(full[1], schema=old_email), full[2]])
    old.start()
    old_event = event("a")
    typed = {name: old_event.typed[name] for name in old_event.typed or {} if name not in new}  # type: ignore[index]
    load(old, replace(old_event, typed={**typed, "of_others": "x"}))
    old.close()

    lake = lake_in(tmp_path)
    report = lake.start()
    load(lake, event("b", "email/sent", headers={"X-A": ["1", "2"]}, link_id=7))
    lake.close()

    assert report.added_columns == {EMAIL: ("headers", "link_id", "reading_notes")}
    assert rows(tmp_path, EMAIL, "event_id, headers['X-A'], link_id, of_others") == [
        ("a", None, None, "x"),
        ("b", ["1", "2"], 7, None),
    ]
    fields = {
        field.name: field for field in DeltaTable(tmp_path / "tables" / EMAIL).schema().fields
    }
    assert fields["link_id"].metadata["comment"].endswith("data.link_id")


def test_start_refuses_a_column_of_another_type(tmp_path: Path) -> None:
    """The engine would convert into it silently."""
    first, *others = few_tables()
    place = first.schema.get_field_index("body_bytes")
    wrong = first.schema.set(place, pa.field("body_bytes", pa.string()))
    old = lake_in(tmp_path, tables=[replace(first, schema=wrong), *others])
    old.start()
    old.close()

    with pytest.raises(LakeError, match="webhook_raw_events: column body_bytes has another type"):
        lake_in(tmp_path).start()
    old.start()  # the refused start gave the lock back
    old.close()


def test_start_refuses_a_table_without_partitions(tmp_path: Path) -> None:
    """Somebody else's table of that name would be read whole at each load."""
    first = few_tables()[0]
    DeltaTable.create(tmp_path / "tables" / first.name, first.schema)

    with pytest.raises(LakeError, match="not partitioned by event_date"):
        lake_in(tmp_path).start()


@pytest.mark.parametrize("name", ["a%20b", "a[1]", "what?", "*"])
def test_start_refuses_a_folder_whose_path_the_engines_would_change(
    tmp_path: Path, name: str
) -> None:
    """Percent-encoding is decoded by one and patterns are expanded by the other."""
    with pytest.raises(LakeError, match="Set CIO_DATA_DIR to another one"):
        lake_in(tmp_path / name).start()


def test_start_takes_a_folder_with_spaces_and_signs(tmp_path: Path) -> None:
    """Other unusual paths work, repeated loads included."""
    folder = tmp_path / "my lake's 100% ü #1"
    lake = lake_in(folder)
    lake.start()
    reports = [load(lake, event("a")) for _ in range(2)]
    lake.close()

    assert [report.inserted for report in reports] == [{RAW: 1, EMAIL: 1}, {}]


def test_start_says_why_the_folder_cannot_be_used(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "tables").write_text("")

    with pytest.raises(LakeError, match=r"tables cannot be used: File exists"):
        lake_in(tmp_path).start()


@pytest.mark.usefixtures("lake")
def test_start_keeps_the_comments_of_the_definitions(tmp_path: Path) -> None:
    """Tables and columns explain themselves to whoever opens them."""
    table = DeltaTable(tmp_path / "tables" / EMAIL)

    assert table.metadata().description == "Email events of Customer.io, one row each"
    assert all(field.metadata.get("comment") for field in table.schema().fields)
