"""An event that crashes the loader stops no other event, and is loaded after some deaths."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.crashes import in_child, loader_that_ends, run_loader
from benchmarks.harness.events import record, store
from benchmarks.harness.exactly_once import is_empty, raw_ids, verdict
from databricks_app.events.decoding import read
from databricks_app.events.workspaces import WorkspaceNames
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.local.query import LocalQuery
from databricks_app.loading.crash_isolation import (
    TOLERATED_DEATHS,
    Care,
    LoadAttempts,
    Part,
    bytes_alone,
    raw_alone,
    readings,
)
from tests.support.exactly_once import assert_exactly_once
from tests.support.lake_events import EMAIL, RAW, body, event, ids, lake_in, load

SOURCES = ("one.seg", "two.seg")
NOTE = ".attempt.json"


def reason_of(folder: Path, event_id: str) -> tuple[object, ...]:
    """Return table and reason of an event in the raw table."""
    sql = "SELECT target_table, unrouted_reason FROM webhook_raw_events WHERE event_id = '{}'"
    (row,) = LocalQuery(folder).run(sql.format(event_id)).rows
    return row


def deaths_until_empty(folder: Path, fault: str, most: int = 40) -> int:
    """Let loaders die at a fault until the inbox is empty; return how many died."""
    for deaths in range(most):
        if run_loader(folder, fault) == 0:
            return deaths
    raise AssertionError("the inbox is never emptied")


def test_an_event_that_always_crashes_the_loader_becomes_a_raw_row(tmp_path: Path) -> None:
    """It has the reason; all other events are loaded completely."""
    names = [f"e{n}" for n in range(30)]
    store(tmp_path, map(body, names))

    deaths = deaths_until_empty(tmp_path, "event.e17")

    assert deaths <= 3 * TOLERATED_DEATHS
    assert_exactly_once(tmp_path, names)
    assert reason_of(tmp_path, "e17") == (None, "load_failed:crash")
    assert LocalQuery(tmp_path).run("SELECT count(*) FROM webhook_email_events").rows == [(29,)]
    assert not (tmp_path / "inbox" / NOTE).exists()


def test_a_loader_that_is_killed_from_outside_isolates_no_event(tmp_path: Path) -> None:
    """After fewer than three deaths an event is still loaded completely."""
    store(tmp_path, [body("only")])

    died = [run_loader(tmp_path, "loader.before_load") for _ in range(TOLERATED_DEATHS - 1)]
    run_loader(tmp_path)

    assert died == [-9] * (TOLERATED_DEATHS - 1)
    assert_exactly_once(tmp_path, ["only"])
    assert reason_of(tmp_path, "only") == (EMAIL, None)


def test_deaths_between_load_and_deletion_isolate_no_event(tmp_path: Path) -> None:
    """All events are loaded in the end."""
    names = [f"e{n}" for n in range(20)]
    store(tmp_path, map(body, names))

    died = [run_loader(tmp_path, "loader.before_delete") for _ in range(2 * TOLERATED_DEATHS)]
    run_loader(tmp_path)

    assert set(died) == {-9}
    assert is_empty(tmp_path)
    assert_exactly_once(tmp_path, names)


@pytest.mark.slow
def test_a_crash_in_the_typed_row_does_not_change_the_raw_row(tmp_path: Path) -> None:
    """The raw row was written before; `verify` names the missing typed row."""
    names = ["good", "poison"]
    store(tmp_path, map(body, names))
    for _ in range(2 * TOLERATED_DEATHS + 1):
        if in_child(run_until_it_dies_of, tmp_path, "poison") == 0:
            break

    assert is_empty(tmp_path)
    assert raw_ids(tmp_path) == names
    assert ids(tmp_path, EMAIL) == ["good"]
    assert [(one.kind, one.event_ids) for one in verdict(tmp_path).differences] == [
        ("missing", ("poison",))
    ]


def run_until_it_dies_of(folder: Path, event_id: str) -> None:
    """In a child process: run a loader whose engine dies when it writes this typed row."""
    from databricks_app.lake.local import table_handle

    whole = table_handle.write_deltalake

    def deadly(table: object, rows: object, **options: object) -> None:
        columns = rows.column_names  # type: ignore[attr-defined]
        found = rows.column("event_id").to_pylist()  # type: ignore[attr-defined]
        if "target_table" not in columns and event_id in found:
            os.kill(os.getpid(), signal.SIGKILL)
        whole(table, rows, **options)  # type: ignore[call-overload]

    table_handle.write_deltalake = deadly  # type: ignore[assignment]
    loader_that_ends(folder).run()


class PanicException(BaseException):
    """The error of a Rust panic, which is not an `Exception`."""


def test_a_panic_of_the_engine_is_a_rejected_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process lives; the rejected row is only in the raw table, all others are loaded."""
    from databricks_app.lake.local import table_handle

    whole = table_handle.write_deltalake

    def panicking(table: object, rows: object, **options: object) -> None:
        bodies = rows.column("event_id").to_pylist()  # type: ignore[attr-defined]
        if "target_table" in rows.column_names:  # type: ignore[attr-defined]
            tables = rows.column("target_table").to_pylist()  # type: ignore[attr-defined]
            if ("bad", EMAIL) in zip(bodies, tables, strict=True):
                raise PanicException
        whole(table, rows, **options)  # type: ignore[call-overload]

    # The engine cannot be made to panic on demand; nothing of ours is replaced.
    monkeypatch.setattr(table_handle, "write_deltalake", panicking)
    lake = lake_in(tmp_path)
    lake.start()
    report = load(lake, event("a"), event("bad"), event("c"))
    lake.close()

    assert report.rejected == {"load_failed:PanicException": 1}
    assert ids(tmp_path, RAW) == ["a", "bad", "c"]
    assert ids(tmp_path, EMAIL) == ["a", "c"]


def test_another_base_exception_of_the_engine_is_no_rejected_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the engine ends the load."""
    from databricks_app.lake.local import table_handle

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    lake = lake_in(tmp_path)
    lake.start()
    monkeypatch.setattr(table_handle, "write_deltalake", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(lake, event("a"))
    lake.close()


def test_an_isolated_event_gets_no_typed_row_from_its_raw_row(tmp_path: Path) -> None:
    """Reading the stored body again would crash the loader again."""
    lake = lake_in(tmp_path)
    lake.start()
    load(lake, raw_alone(event("a")))
    load(lake, event("b"))
    (tmp_path / "tables" / EMAIL).rename(tmp_path / "aside")
    lake.close()
    lake.start()

    report = load(lake, raw_alone(event("b")))
    lake.close()

    assert (report.inserted, report.rejected) == ({}, {"load_failed:crash": 1})
    assert ids(tmp_path, EMAIL) == []


def test_bytes_alone_are_the_body_and_its_digest() -> None:
    """The content is not read, and nothing of it is lost."""
    kept = record(b'{"event_id": "x"}')

    reading = bytes_alone(kept, "shop")

    assert reading.raw.keys() == read(kept).raw.keys()
    assert reading.raw["body"] == "eyJldmVudF9pZCI6ICJ4In0="
    assert reading.event_id.startswith("sha256:")
    assert (reading.table, reading.typed) == (None, None)


def test_bytes_alone_can_be_loaded(tmp_path: Path) -> None:
    """They are a valid raw row."""
    lake = lake_in(tmp_path)
    lake.start()
    report = load(lake, bytes_alone(record(b"\xff"), "shop"))
    lake.close()

    assert report.unrouted == {"load_failed:crash": 1}


@pytest.mark.parametrize(
    ("care", "table", "has_event_id"),
    [(Care.WHOLE, EMAIL, True), (Care.RAW_ALONE, None, True), (Care.BYTES_ALONE, None, False)],
)
def test_readings_follow_the_care_of_their_part(
    care: Care, table: str | None, has_event_id: bool
) -> None:
    """Only the records of the part are read."""
    records = [record(body("a")), record(body("b"))]

    (reading,) = readings(
        records, Part(1, 2, care), WorkspaceNames({records[1].key_fingerprint: "shop"})
    )

    assert reading.table == table
    assert reading.raw["workspace"] == "shop"
    assert (reading.event_id == "b") is has_event_id


@given(start=st.integers(0, 50), size=st.integers(2, 10_000))
def test_the_parts_of_a_split_part_have_the_same_events(start: int, size: int) -> None:
    """No event is missing or in two parts, and every part is smaller."""
    parts = Part(start, start + size).after_death(is_whole_batch=False)

    edges = [(part.start, part.stop) for part in parts]
    assert edges[0][0] == start
    assert edges[-1][1] == start + size
    assert all(one[1] == two[0] for one, two in pairwise(edges))
    assert all(0 < stop - begin < size for begin, stop in edges)


def test_a_single_event_goes_through_all_cares_and_starts_again() -> None:
    """If even its bytes crash the loader, the event is not the cause."""
    part, seen = Part(3, 4), []
    for _ in range(4):
        seen.append(part.care)
        for _ in range(TOLERATED_DEATHS):
            (part,) = part.after_death(is_whole_batch=False)

    assert seen == [Care.WHOLE, Care.RAW_ALONE, Care.BYTES_ALONE, Care.WHOLE]


def test_an_empty_batch_cannot_be_split() -> None:
    """A segment without complete frames has no events."""
    part = Part(0, 0)
    for _ in range(TOLERATED_DEATHS):
        (part,) = part.after_death(is_whole_batch=True)

    assert (part.start, part.stop) == (0, 0)


def begun(folder: Path) -> LoadAttempts:
    """Attempts of a new process."""
    attempts = LoadAttempts(folder)
    attempts.begin()
    return attempts


def test_a_pause_is_no_death(tmp_path: Path) -> None:
    """A process that pauses after a failure, or stops, is not counted."""
    for _ in range(2 * TOLERATED_DEATHS):
        attempts = begun(tmp_path)
        assert next(attempts.parts(SOURCES, 10)) == Part(0, 10)
        attempts.pause()

    assert begun(tmp_path).unfinished() == SOURCES


def test_other_segments_are_another_attempt(tmp_path: Path) -> None:
    """Deaths in one batch do not count for the next batch."""
    for _ in range(TOLERATED_DEATHS):
        next(begun(tmp_path).parts(SOURCES, 10))

    assert next(begun(tmp_path).parts(("other.seg",), 10)) == Part(0, 10)


def test_a_pause_and_an_end_without_an_attempt_do_nothing(tmp_path: Path) -> None:
    """The loader calls them in every case."""
    attempts = begun(tmp_path)

    attempts.pause()
    attempts.end()

    assert list(tmp_path.iterdir()) == []


def test_a_broken_note_is_ignored(tmp_path: Path) -> None:
    """The note is not synced, so a loss of power can leave any bytes."""
    broken = (b"", b"{", b"[]", b"{}", b'{"sources": 1, "events": 1, "parts": 1}', b"\0" * 50)

    unfinished = {}
    for content in broken:
        (tmp_path / NOTE).write_bytes(content)
        unfinished[content] = begun(tmp_path).unfinished()

    assert unfinished == dict.fromkeys(broken, ())


def test_a_note_that_cannot_be_written_stops_no_load(tmp_path: Path) -> None:
    """A load does not need the note."""
    attempts = begun(tmp_path / "missing")

    assert list(attempts.parts(SOURCES, 1)) == [Part(0, 1)]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.rename(path.with_suffix(".x"))])
def test_an_attempt_with_missing_segments_is_dropped(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    """Somebody removed the segments; the others are loaded."""
    store(tmp_path, [body("gone")])
    run_loader(tmp_path, "loader.before_load")
    for path in (tmp_path / "inbox").glob("*.seg"):
        spoil(path)
    store(tmp_path, [body("here")])

    assert run_loader(tmp_path) == 0
    assert raw_ids(tmp_path) == ["here"]


def test_a_batch_is_read_again_only_completely(tmp_path: Path) -> None:
    """If one name is not a closed segment, there is no batch."""
    store(tmp_path, [body("a")])
    reader = SegmentReader(tmp_path / "inbox")
    (batch,) = reader.batches(10, 1 << 20)

    assert reader.batch_of(batch.sources) == batch
    assert reader.batch_of([*batch.sources, "x.seg"]) is None


@pytest.mark.slow
def test_a_stop_between_parts_leaves_the_rest_for_the_next_loader(tmp_path: Path) -> None:
    """Loaded parts are not loaded again, and the stop is no death."""
    names = [f"e{n}" for n in range(40)]
    store(tmp_path, map(body, names))
    for _ in range(TOLERATED_DEATHS):
        run_loader(tmp_path, "loader.before_load")
    loader = loader_that_ends(tmp_path)
    loader.stopping.set()
    loader.lake.start()
    loader._attempts.begin()  # as `run` does
    loader.drain()
    loader.lake.close()

    note = json.loads((tmp_path / "inbox" / NOTE).read_text())
    assert (note["is_loading"], len(note["parts"])) == (False, 13)
    assert run_loader(tmp_path) == 0
    assert_exactly_once(tmp_path, names)
