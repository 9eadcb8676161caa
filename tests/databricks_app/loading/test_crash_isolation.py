"""An event that kills the loader stops no other event, and itself no longer than a few deaths."""

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


def test_an_event_that_kills_the_loader_every_time_is_kept_as_a_raw_row(tmp_path: Path) -> None:
    """Every other event is loaded whole; the one is raw alone, with the reason."""
    names = [f"e{n}" for n in range(30)]
    store(tmp_path, map(body, names))

    deaths = deaths_until_empty(tmp_path, "event.e17")

    assert deaths <= 3 * TOLERATED_DEATHS
    assert_exactly_once(tmp_path, names)
    assert reason_of(tmp_path, "e17") == (None, "load_failed:crash")
    assert LocalQuery(tmp_path).run("SELECT count(*) FROM webhook_email_events").rows == [(29,)]
    assert not (tmp_path / "inbox" / NOTE).exists()


def test_a_loader_that_is_killed_from_outside_condemns_no_event(tmp_path: Path) -> None:
    """Fewer than three deaths in a single event change nothing of how it is loaded."""
    store(tmp_path, [body("only")])

    died = [run_loader(tmp_path, "loader.before_load") for _ in range(TOLERATED_DEATHS - 1)]
    run_loader(tmp_path)

    assert died == [-9] * (TOLERATED_DEATHS - 1)
    assert_exactly_once(tmp_path, ["only"])
    assert reason_of(tmp_path, "only") == (EMAIL, None)


def test_a_batch_that_kills_at_every_step_is_loaded_in_the_end(tmp_path: Path) -> None:
    """A death after the load, before the segment is forgotten, is no reason to load less."""
    names = [f"e{n}" for n in range(20)]
    store(tmp_path, map(body, names))

    died = [run_loader(tmp_path, "loader.before_delete") for _ in range(2 * TOLERATED_DEATHS)]
    run_loader(tmp_path)

    assert set(died) == {-9}
    assert is_empty(tmp_path)
    assert_exactly_once(tmp_path, names)


def test_the_engine_dying_in_the_typed_row_leaves_what_raw_holds(tmp_path: Path) -> None:
    """The raw row was there before the death and stays; a check names the missing typed row."""
    names = ["good", "poison"]
    store(tmp_path, map(body, names))
    for _ in range(2 * TOLERATED_DEATHS + 1):
        if in_child(carry_until_it_dies_of, tmp_path, "poison") == 0:
            break

    assert is_empty(tmp_path)
    assert raw_ids(tmp_path) == names
    assert ids(tmp_path, EMAIL) == ["good"]
    assert [(one.kind, one.event_ids) for one in verdict(tmp_path).differences] == [
        ("missing", ("poison",))
    ]


def carry_until_it_dies_of(folder: Path, event_id: str) -> None:
    """In a child: run a loader whose engine dies of a typed row."""
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
    """What Rust code raises where it gives up: no `Exception`."""


def test_a_panic_of_the_engine_is_a_refused_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends no process: the rows beside it are loaded, the rejected row is raw alone."""
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


def test_another_base_exception_of_the_engine_is_no_verdict(
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


def test_a_condemned_event_is_never_made_a_typed_row_of_what_raw_holds(tmp_path: Path) -> None:
    """Reading the held body again would kill the loader again."""
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
    """Nothing of the content is read, and nothing of it is lost."""
    kept = record(b'{"event_id": "x"}')

    reading = bytes_alone(kept, "shop")

    assert reading.raw.keys() == read(kept).raw.keys()
    assert reading.raw["body"] == "eyJldmVudF9pZCI6ICJ4In0="
    assert reading.event_id.startswith("sha256:")
    assert (reading.table, reading.typed) == (None, None)


def test_bytes_alone_can_be_loaded(tmp_path: Path) -> None:
    """They fit the raw table."""
    lake = lake_in(tmp_path)
    lake.start()
    report = load(lake, bytes_alone(record(b"\xff"), "shop"))
    lake.close()

    assert report.unrouted == {"load_failed:crash": 1}


@pytest.mark.parametrize(
    ("care", "table", "has_event_id"),
    [(Care.WHOLE, EMAIL, True), (Care.RAW_ALONE, None, True), (Care.BYTES_ALONE, None, False)],
)
def test_readings_take_as_much_as_the_care_allows(
    care: Care, table: str | None, has_event_id: bool
) -> None:
    """A part is its records and no others."""
    records = [record(body("a")), record(body("b"))]

    (reading,) = readings(
        records, Part(1, 2, care), WorkspaceNames({records[1].key_fingerprint: "shop"})
    )

    assert reading.table == table
    assert reading.raw["workspace"] == "shop"
    assert (reading.event_id == "b") is has_event_id


@given(start=st.integers(0, 50), size=st.integers(2, 10_000))
def test_a_split_part_covers_the_same_events(start: int, size: int) -> None:
    """No event is left out or loaded twice, and every part is smaller."""
    parts = Part(start, start + size).after_death(is_whole_batch=False)

    edges = [(part.start, part.stop) for part in parts]
    assert edges[0][0] == start
    assert edges[-1][1] == start + size
    assert all(one[1] == two[0] for one, two in pairwise(edges))
    assert all(0 < stop - begin < size for begin, stop in edges)


def test_a_single_event_goes_round_through_all_cares() -> None:
    """If even bytes kill the loader, it is not the event: it is tried whole again."""
    part, seen = Part(3, 4), []
    for _ in range(4):
        seen.append(part.care)
        for _ in range(TOLERATED_DEATHS):
            (part,) = part.after_death(is_whole_batch=False)

    assert seen == [Care.WHOLE, Care.RAW_ALONE, Care.BYTES_ALONE, Care.WHOLE]


def test_an_empty_batch_can_be_died_in() -> None:
    """A segment without whole frames has no events to split."""
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
    """A process that failed, or was told to stop, and ended in order is not counted."""
    for _ in range(2 * TOLERATED_DEATHS):
        attempts = begun(tmp_path)
        assert next(attempts.parts(SOURCES, 10)) == Part(0, 10)
        attempts.pause()

    assert begun(tmp_path).unfinished() == SOURCES


def test_other_segments_are_another_attempt(tmp_path: Path) -> None:
    """What died with one batch says nothing of the next."""
    for _ in range(TOLERATED_DEATHS):
        next(begun(tmp_path).parts(SOURCES, 10))

    assert next(begun(tmp_path).parts(("other.seg",), 10)) == Part(0, 10)


def test_a_pause_and_an_end_without_an_attempt_do_nothing(tmp_path: Path) -> None:
    """They are called whatever came before."""
    attempts = begun(tmp_path)

    attempts.pause()
    attempts.end()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"sources": 1, "events": 1, "parts": 1}', b"\0" * 50]
)
def test_a_note_that_cannot_be_read_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """It is not synced: a power cut may leave anything."""
    (tmp_path / NOTE).write_bytes(content)

    assert begun(tmp_path).unfinished() == ()


def test_a_note_that_cannot_be_written_stops_no_load(tmp_path: Path) -> None:
    """Loading matters more than knowing where one died."""
    attempts = begun(tmp_path / "missing")

    assert list(attempts.parts(SOURCES, 1)) == [Part(0, 1)]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.rename(path.with_suffix(".x"))])
def test_an_attempt_whose_segments_are_gone_is_forgotten(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    """Somebody took them away; the rest is loaded."""
    store(tmp_path, [body("gone")])
    run_loader(tmp_path, "loader.before_load")
    for path in (tmp_path / "inbox").glob("*.seg"):
        spoil(path)
    store(tmp_path, [body("here")])

    assert run_loader(tmp_path) == 0
    assert raw_ids(tmp_path) == ["here"]


def test_a_batch_is_read_again_only_as_a_whole(tmp_path: Path) -> None:
    """A name that is no closed segment's is none of a batch."""
    store(tmp_path, [body("a")])
    reader = SegmentReader(tmp_path / "inbox")
    (batch,) = reader.batches(10, 1 << 20)

    assert reader.batch_of(batch.sources) == batch
    assert reader.batch_of([*batch.sources, "x.seg"]) is None


def test_a_stop_among_parts_leaves_the_rest_for_the_next_loader(tmp_path: Path) -> None:
    """What was loaded is not loaded again, and the stop is no death."""
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
