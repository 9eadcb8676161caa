"""Merges of data files in parts, with real Delta tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder, TableFeatures

from databricks_app.errors import LakeError
from databricks_app.lake.local import merge as merging
from databricks_app.lake.local.fsync import fsync, log_entry, read_commit
from databricks_app.lake.local.key_lookup import KEY_COLUMNS, Lookup
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.merge import can_merge, merge
from databricks_app.lake.local.merge_plan import PlannedMerge
from databricks_app.lake.local.recovery import recover
from databricks_app.lake.local.table_handle import Definition, TableHandle

DAY = date(2026, 11, 20)
SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_date", pa.date32(), nullable=False),
        ("loaded_at", pa.timestamp("us", "UTC")),
        ("received_at", pa.timestamp("us", "UTC")),
        ("event_timestamp", pa.timestamp("us", "UTC")),
        ("number", pa.int64()),
        ("headers", pa.map_(pa.string(), pa.list_(pa.string()))),
    ]
)


def row(event_id: str, day: date = DAY, **values: object) -> dict[str, object]:
    """A row with some values."""
    moment = datetime(2026, 11, 20, 1, 2, 3, 456789, UTC)
    return {"event_id": event_id, "event_date": day, "loaded_at": moment, **values}


@pytest.fixture
def table(tmp_path: Path) -> TableHandle:
    """A table with three files of one day and one file of another day."""
    path = tmp_path / "tables" / "events"
    TableHandle.create(path, Definition("events", SCHEMA), Policy().table_properties())
    handle = TableHandle(path, -1)
    append(handle, row("a", number=2**62), row("b", headers=[("x", ["1", "2"])]))
    append(handle, row("c", day=date(2026, 11, 19)))
    append(handle, row("d", received_at=datetime(2026, 1, 1, tzinfo=UTC)))
    append(handle, row("e"))
    return handle


def append(handle: TableHandle, *rows: dict[str, object]) -> None:
    """Append rows and sync."""
    schema = pa.schema(handle.delta.schema().to_arrow())
    handle.append(pa.Table.from_pylist(list(rows), schema=schema))
    handle.sync()


def plan(handle: TableHandle) -> PlannedMerge:
    """A plan that merges all files of the day."""
    files = sorted(handle.stored_files()[DAY], key=lambda file: (file.added_at, file.path))
    return PlannedMerge(DAY, tuple(files), closes_day=True)


def finish(steps: Iterator[None]) -> int:
    """Do all parts; return how many there were."""
    return sum(1 for _ in steps)


def content(path: Path) -> list[tuple[object, ...]]:
    """All rows, read by another engine."""
    files = DeltaTable(path).file_uris()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            "FROM read_parquet($files, hive_partitioning = true, union_by_name = true) "
            "SELECT event_id, event_date, loaded_at, received_at, number, headers ORDER BY 1",
            {"files": files},
        ).fetchall()


def test_merge_changes_no_row(table: TableHandle) -> None:
    """Integers, times and maps stay the same; another day is not rewritten."""
    before = content(table.path)

    finish(merge(table, [plan(table)], fsync))

    assert content(table.path) == before
    assert {day: len(files) for day, files in table.stored_files().items()} == {
        DAY: 1,
        date(2026, 11, 19): 1,
    }


def test_engine_reads_the_merged_file(table: TableHandle) -> None:
    """Version, files and rows are right, also after a checkpoint."""
    finish(merge(table, [plan(table)], fsync))
    table.delta.create_checkpoint()

    opened = DeltaTable(table.path)

    assert (opened.version(), len(opened.file_uris())) == (5, 2)
    rows = QueryBuilder().register("t", opened).execute("SELECT event_id FROM t ORDER BY 1")
    assert pa.table(rows.read_all()).column(0).to_pylist() == ["a", "b", "c", "d", "e"]


def test_commit_of_a_merge_changes_no_data(table: TableHandle) -> None:
    """So streams that read the table do not read old rows again."""
    merged = plan(table)
    finish(merge(table, [merged], fsync))

    commit = read_commit(table.path, 5)

    assert not commit.is_data
    assert set(commit.removed) == {file.path for file in merged.files}
    assert [file.path.split("/")[1].startswith("closed-") for file in commit.added] == [True]


def test_log_has_the_statistics_of_the_merged_rows(table: TableHandle) -> None:
    """Minimum and maximum over all parts; times are truncated to milliseconds."""
    finish(merge(table, [plan(table)], fsync))

    lines = log_entry(table.path, 5).read_text().splitlines()
    (added,) = (json.loads(line)["add"] for line in lines if "add" in json.loads(line))

    moment = "2026-11-20T01:02:03.456Z"
    only = "2026-01-01T00:00:00.000Z"
    assert json.loads(added["stats"]) == {
        "numRecords": 4,
        "minValues": {"event_id": "a", "loaded_at": moment, "received_at": only},
        "maxValues": {"event_id": "e", "loaded_at": moment, "received_at": only},
        "nullCount": {"event_id": 0, "loaded_at": 0, "received_at": 3, "event_timestamp": 4},
    }


def test_merged_keys_are_still_found(table: TableHandle) -> None:
    """A repeated event is found after the merge."""
    finish(merge(table, [plan(table)], fsync))
    asked = pa.table(
        [["a", "d", "x"], [DAY] * 3], schema=pa.schema(SCHEMA.field(i) for i in (0, 1))
    )

    lookup = Lookup()
    found = lookup.keys(table.files(asked.select(KEY_COLUMNS)), asked)
    lookup.close()

    assert found == {("a", DAY), ("d", DAY)}


def test_columns_that_were_added_later_are_null_in_older_rows(table: TableHandle) -> None:
    """The new file has every column of the table."""
    table.add_columns(pa.schema([("extra", pa.string())]))
    append(table, row("f", extra="x"))

    finish(merge(table, [plan(table)], fsync))

    (file,) = table.stored_files()[DAY]
    rows = pq.ParquetFile(table.path / file.path).read().select(["event_id", "extra"])
    assert rows.to_pydict() == {"event_id": list("abdef"), "extra": [None] * 4 + ["x"]}


def test_rows_loaded_between_two_parts_stay(table: TableHandle) -> None:
    """A merge can take several loads."""
    steps = merge(table, [plan(table)], fsync)
    next(steps)
    append(table, row("f"))
    next(steps)
    append(table, row("g"))

    finish(steps)

    assert [one[0] for one in content(table.path)] == list("abcdefg")
    assert len(table.stored_files()[DAY]) == 3


def test_large_file_is_read_in_parts(table: TableHandle) -> None:
    """A part has at most 16,384 rows, so that no load waits long."""
    append(table, *(row(f"f{number:05}") for number in range(40_000)))

    parts = finish(merge(table, [plan(table)], fsync))

    assert parts == 3 + 3 + 1


def test_parts_of_long_rows_are_limited_in_bytes(table: TableHandle) -> None:
    """16,384 bodies of 64 KiB in one part would need a gigabyte."""
    table.add_columns(pa.schema([("body", pa.string())]))
    append(table, *(row(f"f{number:03}", body=f"{number:03}" * 20_000) for number in range(400)))

    parts = finish(merge(table, [plan(table)], fsync))

    assert parts >= 3 + 3


def test_cancelled_merge_leaves_nothing(table: TableHandle) -> None:
    """No file, and no commit."""
    before = sorted(table.path.rglob("*"))
    steps = merge(table, [plan(table)], fsync)
    next(steps)

    steps.close()

    assert sorted(table.path.rglob("*")) == before


def test_merge_fails_if_another_program_commits(table: TableHandle) -> None:
    """It never replaces a log entry, and leaves no file."""
    steps = merge(table, [plan(table)], fsync)
    next(steps)
    append(TableHandle(table.path, -1), row("theirs"))
    files = set(table.path.glob("event_date=*/*"))

    with pytest.raises(LakeError, match="another program"):
        finish(steps)

    assert [one[0] for one in content(table.path)] == ["a", "b", "c", "d", "e", "theirs"]
    assert {
        file for file in table.path.glob("event_date=*/*") if "closed" not in file.name
    } == files - {file for file in files if "closed" in file.name}
    assert not list(table.path.glob("*/closed-*"))
    assert not list(table.path.glob("_delta_log/*#*"))


def test_merge_of_files_that_another_program_merged_does_nothing(table: TableHandle) -> None:
    """The planned files are no longer in the table."""
    steps = merge(table, [plan(table)], fsync)
    next(steps)
    DeltaTable(table.path).optimize.compact()
    table.reopen()

    finish(steps)

    assert [one[0] for one in content(table.path)] == list("abcde")
    assert not list(table.path.glob("*/closed-*"))


def test_new_file_is_durable_before_its_log_entry(table: TableHandle) -> None:
    """File, its folder, the text of the entry; then the entry and its folder."""
    seen: list[tuple[str, bool]] = []
    entry = log_entry(table.path, 5)

    def sync(path: Path) -> None:
        seen.append((path.name.split("-")[0].split("#")[0], entry.exists()))

    handle = TableHandle(table.path, table.version, sync)
    finish(merge(handle, [plan(handle)], sync))

    assert seen[:3] == [("closed", False), ("event_date=2026", False), (entry.name, False)]
    assert seen[-2:] == [(entry.name, True), ("_delta_log", True)]


def test_merge_that_a_power_cut_broke_is_undone(table: TableHandle, tmp_path: Path) -> None:
    """The replaced files still exist."""
    before = content(table.path)
    merged = merge(table, [plan(table)], fsync)
    finish(merged)
    (file,) = table.stored_files()[DAY]
    (table.path / file.path).write_bytes(b"torn")

    found = recover(table.path, tmp_path / "quarantine")

    assert len(found.problems) == 1
    assert content(table.path) == before


def test_missing_file_fails_only_the_merge(table: TableHandle) -> None:
    """The table stays at its version."""
    merged = plan(table)
    (table.path / merged.files[1].path).unlink()

    with pytest.raises(FileNotFoundError):
        finish(merge(table, [merged], fsync))

    assert DeltaTable(table.path).version() == 4
    assert not list(table.path.glob("*/closed-*"))


def test_several_days_are_merged_in_one_commit(table: TableHandle) -> None:
    """In a table with many files, a commit takes longer than a small merge."""
    append(table, row("f", day=date(2026, 11, 19)))
    before = content(table.path)
    plans = [PlannedMerge(day, tuple(files), True) for day, files in table.stored_files().items()]

    finish(merge(table, plans, fsync))

    assert table.version == 6
    assert [len(files) for files in table.stored_files().values()] == [1, 1]
    assert content(table.path) == before


def test_row_groups_are_large_also_from_small_files(table: TableHandle) -> None:
    """A reader opens one row group at a time."""
    finish(merge(table, [plan(table)], fsync))

    (file,) = table.stored_files()[DAY]
    assert pq.read_metadata(table.path / file.path).num_row_groups == 1


def test_statistics_cover_all_row_groups(
    table: TableHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first group has the smallest id, the last group the greatest."""
    monkeypatch.setattr(merging, "_GROUP_ROWS", 1)

    finish(merge(table, [plan(table)], fsync))

    (file,) = table.stored_files()[DAY]
    actions = pa.table(table.delta.get_add_actions(flatten=True)).to_pylist()
    (one,) = (action for action in actions if action["path"] == file.path)
    assert pq.read_metadata(table.path / file.path).num_row_groups == 3
    assert (one["min.event_id"], one["max.event_id"]) == ("a", "e")


def test_table_with_a_newer_protocol_is_not_merged(table: TableHandle) -> None:
    """It may have features that this merge does not support."""
    assert can_merge(table)
    table.delta.alter.add_feature(
        [TableFeatures.DeletionVectors], allow_protocol_versions_increase=True
    )
    table.reopen()

    assert not can_merge(table)
