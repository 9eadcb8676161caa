"""Upkeep: short logs, few files, and nothing deleted too early."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.merge_plan import MergeLimits
from tests.support.lake_events import EMAIL, RAW, event, ids, lake_in, load

NO_RETENTION = timedelta(0)


def busy(commits: int, limits: MergeLimits | None = None, **options: Any) -> Policy:
    """A policy with a checkpoint after this number of commits."""
    return Policy(
        checkpoint_every=commits,
        checkpoint_every_at_most=commits,
        limits=limits or MergeLimits(),
        **options,
    )


def load_days(folder: Path, policy: Policy, days_ago: list[int]) -> None:
    """Make one load per event on these days, with enough time for all chores."""
    lake = lake_in(folder, policy=replace(policy, chores_seconds=60))
    lake.start()
    for number, days in enumerate(days_ago):
        load(lake, event(f"e{number:03}", days_ago=days))
    lake.close()


def files_by_day(folder: Path) -> dict[str, int]:
    """The number of files of each date in the newest version of raw."""
    files = [Path(uri).parent.name for uri in DeltaTable(folder / "tables" / RAW).file_uris()]
    return {day.removeprefix("event_date="): files.count(day) for day in sorted(set(files))}


def log_names(folder: Path) -> list[str]:
    """The names in the log folder of raw, without leading zeros."""
    return sorted(
        path.name.lstrip("0") for path in (folder / "tables" / RAW / "_delta_log").iterdir()
    )


def test_checkpoint_is_written_at_the_interval(tmp_path: Path) -> None:
    """Also across restarts; log entries younger than the retention stay."""
    policy = busy(4)
    load_days(tmp_path, policy, [0, 0])
    lake = lake_in(tmp_path, policy=policy)
    lake.start()
    for name in "abcdef":
        load(lake, event(name))
    lake.close()

    names = log_names(tmp_path)
    assert [name for name in names if "checkpoint." in name] == [
        "3.checkpoint.parquet",
        "7.checkpoint.parquet",
    ]
    assert len([name for name in names if name.endswith("json")]) == 9


def test_log_entries_older_than_the_retention_are_deleted(tmp_path: Path) -> None:
    """Only entries before a checkpoint; the newest version stays complete."""
    load_days(tmp_path, busy(3, retention=NO_RETENTION), [0] * 9)

    assert len(log_names(tmp_path)) < 7
    assert len(ids(tmp_path, RAW)) == 9


def test_date_with_many_small_files_is_compacted(tmp_path: Path) -> None:
    """Only that date; no row changes."""
    load_days(tmp_path, busy(3, MergeLimits(compact_files=5)), [0] * 9 + [1] * 2)

    files = files_by_day(tmp_path)
    assert (files["2026-11-21"], files["2026-11-22"] < 5) == (2, True)
    assert ids(tmp_path, RAW) == [f"e{number:03}" for number in range(11)]


def test_closed_days_become_one_file_each(tmp_path: Path) -> None:
    """Few files are added later, and many files would slow every load and query."""
    load_days(tmp_path, busy(9), [3, 3, 2, 2, 2, 1, 1, 0])

    assert files_by_day(tmp_path) == {
        "2026-11-19": 1,
        "2026-11-20": 1,
        "2026-11-21": 2,
        "2026-11-22": 1,
    }
    assert len(ids(tmp_path, RAW)) == 8


def test_large_files_are_not_rewritten(tmp_path: Path) -> None:
    """Otherwise each late event would rewrite a whole day."""
    policy = busy(3, MergeLimits(compact_files=2, small_bytes=1))
    load_days(tmp_path, policy, [0] * 6)

    assert files_by_day(tmp_path) == {"2026-11-22": 6}


def test_replaced_files_are_kept_for_readers_until_the_retention_is_over(tmp_path: Path) -> None:
    """The time since the replacement counts, not the age of the file."""
    policy = busy(3, MergeLimits(compact_files=3))
    load_days(tmp_path, policy, [0] * 2)
    table = tmp_path / "tables" / RAW
    for file in table.glob("event_date=*/*.parquet"):
        os.utime(file, (0, 0))
    load_days(tmp_path, policy, [0] * 5)

    assert len(list(table.glob("event_date=*/*.parquet"))) > sum(files_by_day(tmp_path).values())


def test_replaced_files_are_deleted_after_the_retention(tmp_path: Path) -> None:
    """Only the files of the newest version stay."""
    policy = busy(3, MergeLimits(compact_files=3), retention=NO_RETENTION)
    load_days(tmp_path, policy, [0] * 9)

    left = len(list((tmp_path / "tables" / RAW).glob("event_date=*/*.parquet")))
    assert left == sum(files_by_day(tmp_path).values())
    assert len(ids(tmp_path, RAW)) == 9


@pytest.mark.parametrize("name", ["part-0-orphan.parquet", "part-0.parquet#1"])
def test_files_of_failed_loads_are_deleted_after_the_retention(tmp_path: Path, name: str) -> None:
    """Files that are in no log entry, and unfinished files; young files stay."""
    load_days(tmp_path, Policy(), [0])
    folder = tmp_path / "tables" / RAW / "event_date=2026-11-22"
    old, young = folder / name, folder / f"young-{name}"
    for file in (old, young):
        file.write_bytes(b"x")
    os.utime(old, (time.time() - 7200,) * 2)

    load_days(tmp_path, busy(2), [0, 1])

    assert (old.exists(), young.exists()) == (False, True)


def test_search_for_unused_files_runs_once_per_retention(tmp_path: Path) -> None:
    """It is expensive, because it lists every folder of the table."""
    lake = lake_in(tmp_path, policy=busy(2))
    lake.start()
    for name in "abcd":
        load(lake, event(name))
    orphan = tmp_path / "tables" / EMAIL / "event_date=2026-11-22" / "part-0-orphan.parquet"
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))

    for name in "efgh":
        load(lake, event(name))
    lake.close()

    assert orphan.exists()


def test_changed_policy_changes_the_table_properties(tmp_path: Path) -> None:
    """Other programs then use the same retention."""
    load_days(tmp_path, Policy(), [0])

    load_days(tmp_path, Policy(retention=timedelta(hours=3)), [0])

    settings = DeltaTable(tmp_path / "tables" / RAW).metadata().configuration
    assert settings["delta.logRetentionDuration"] == "interval 10800 seconds"


def test_merge_rewrites_only_the_planned_files(tmp_path: Path) -> None:
    """The file with most rows of the day stays."""
    policy = busy(5, MergeLimits(compact_files=3), chores_seconds=60)
    lake = lake_in(tmp_path, policy=policy)
    lake.start()
    load(lake, *(event(f"first{number}", recipient=random_text(number)) for number in range(300)))
    (first,) = DeltaTable(tmp_path / "tables" / RAW).file_uris()
    for name in "abc":
        load(lake, event(name))
    lake.close()

    left = DeltaTable(tmp_path / "tables" / RAW).file_uris()
    assert (first in left, len(left)) == (True, 2)
    assert len(ids(tmp_path, RAW)) == 303


def test_small_files_with_many_bytes_are_merged_early(tmp_path: Path) -> None:
    """Otherwise a hundred files of large batches would be rewritten at once."""
    load_days(tmp_path, busy(5, MergeLimits(compact_bytes=1)), [0] * 4)

    assert files_by_day(tmp_path) == {"2026-11-22": 1}


def test_load_without_time_does_one_part_of_a_chore(tmp_path: Path) -> None:
    """Tables that are due at the same time take turns in the next loads."""
    lake = lake_in(tmp_path, policy=busy(5, MergeLimits(compact_files=4), chores_seconds=0))
    lake.start()

    def files() -> int:
        tables = (DeltaTable(tmp_path / "tables" / name) for name in (RAW, EMAIL))
        return sum(len(table.file_uris()) for table in tables)

    counts = []
    for name in "abcd" + "a" * 20:
        load(lake, event(name))
        counts.append(files())
    lake.close()

    assert counts[:5] == [2, 4, 6, 8, 8]
    assert max(before - after for before, after in pairwise(counts)) == 3
    assert counts[-1] == 2


def test_only_one_table_is_merged_at_a_time(tmp_path: Path) -> None:
    """A begun merge uses memory, so the next one begins after its end."""
    lake = lake_in(tmp_path, policy=busy(5, MergeLimits(compact_files=4), chores_seconds=0))
    lake.start()
    begun = []
    for name in "abcd" + "a" * 20:
        load(lake, event(name))
        on_disk = len(list((tmp_path / "tables").glob("*/event_date=*/merged-*")))
        named = sum("merged-" in uri for table in (RAW, EMAIL) for uri in uris(tmp_path, table))
        begun.append(on_disk - named)
    lake.close()

    assert max(begun) == 1


def test_stop_during_a_merge_leaves_no_file(tmp_path: Path) -> None:
    """It begins again after the next start."""
    lake = lake_in(tmp_path, policy=busy(5, MergeLimits(compact_files=4), chores_seconds=0))
    lake.start()
    for name in "abcd":
        load(lake, event(name))

    lake.close()

    on_disk = list((tmp_path / "tables").glob("*/event_date=*/*"))
    listed = [uri for table in (RAW, EMAIL) for uri in uris(tmp_path, table)]
    assert len(on_disk) == len(listed)


@pytest.mark.parametrize(("size", "commits"), [(0, 10), (80_000, 10), (200_000, 24), (10**7, 40)])
def test_large_checkpoint_is_written_less_often(size: int, commits: int) -> None:
    """The bytes of checkpoint per commit stay the same, up to the greatest interval."""
    assert Policy().checkpoint_interval(size) == commits


def test_size_of_the_last_checkpoint_decides_when_the_next_is_due(tmp_path: Path) -> None:
    """Also after a restart."""
    policy = Policy(checkpoint_every=2, checkpoint_every_at_most=6, checkpoint_bytes=1)
    load_days(tmp_path, policy, [0] * 4)
    load_days(tmp_path, policy, [0] * 9)

    names = [name for name in log_names(tmp_path) if "checkpoint." in name]
    assert names == ["1.checkpoint.parquet", "7.checkpoint.parquet"]


def test_log_has_statistics_of_few_columns(tmp_path: Path) -> None:
    """Statistics of all columns would be most of the log, which every commit reads."""
    load_days(tmp_path, Policy(), [0])

    actions = pa.table(DeltaTable(tmp_path / "tables" / RAW).get_add_actions(flatten=True))

    bounds = {name for name in actions.column_names if name.startswith(("min.", "max."))}
    wanted = ("event_id", "event_timestamp", "received_at", "loaded_at")
    assert bounds == {f"{end}.{name}" for end in ("min", "max") for name in wanted}


def uris(folder: Path, table: str) -> list[str]:
    """Data files of the newest version."""
    return DeltaTable(folder / "tables" / table).file_uris()


def random_text(seed: int) -> str:
    """Text that cannot be compressed; the same in each run."""
    return Random(seed).randbytes(200).hex()
