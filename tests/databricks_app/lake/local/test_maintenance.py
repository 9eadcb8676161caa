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
    """Upkeep each so many commits, however large a checkpoint is."""
    return Policy(
        checkpoint_every=commits,
        checkpoint_every_at_most=commits,
        limits=limits or MergeLimits(),
        **options,
    )


def load_days(folder: Path, policy: Policy, days_ago: list[int]) -> None:
    """One load an event, on these days; time is never short."""
    lake = lake_in(folder, policy=replace(policy, chores_seconds=60))
    lake.start()
    for number, days in enumerate(days_ago):
        load(lake, event(f"e{number:03}", days_ago=days))
    lake.close()


def files_by_day(folder: Path) -> dict[str, int]:
    """How many files the newest version of raw has for each date."""
    files = [Path(uri).parent.name for uri in DeltaTable(folder / "tables" / RAW).file_uris()]
    return {day.removeprefix("event_date="): files.count(day) for day in sorted(set(files))}


def log_names(folder: Path) -> list[str]:
    """Names in the log folder of raw, without leading zeros."""
    return sorted(
        path.name.lstrip("0") for path in (folder / "tables" / RAW / "_delta_log").iterdir()
    )


def test_a_checkpoint_is_made_every_so_many_commits(tmp_path: Path) -> None:
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


def test_log_entries_past_the_retention_are_deleted(tmp_path: Path) -> None:
    """What a checkpoint made superfluous; the newest version stays complete."""
    load_days(tmp_path, busy(3, retention=NO_RETENTION), [0] * 9)

    assert len(log_names(tmp_path)) < 7
    assert len(ids(tmp_path, RAW)) == 9


def test_a_date_with_many_small_files_is_compacted(tmp_path: Path) -> None:
    """Only that date; no row changes."""
    load_days(tmp_path, busy(3, MergeLimits(compact_files=5)), [0] * 9 + [1] * 2)

    files = files_by_day(tmp_path)
    assert (files["2026-11-21"], files["2026-11-22"] < 5) == (2, True)
    assert ids(tmp_path, RAW) == [f"e{number:03}" for number in range(11)]


def test_closed_days_become_one_file_each(tmp_path: Path) -> None:
    """Hardly any more files come, and years of them would slow every load and query."""
    load_days(tmp_path, busy(9), [3, 3, 2, 2, 2, 1, 1, 0])

    assert files_by_day(tmp_path) == {
        "2026-11-19": 1,
        "2026-11-20": 1,
        "2026-11-21": 2,
        "2026-11-22": 1,
    }
    assert len(ids(tmp_path, RAW)) == 8


def test_large_files_are_left_as_they_are(tmp_path: Path) -> None:
    """Compaction of what is large already would rewrite a day for each late event."""
    policy = busy(3, MergeLimits(compact_files=2, small_bytes=1))
    load_days(tmp_path, policy, [0] * 6)

    assert files_by_day(tmp_path) == {"2026-11-22": 6}


def test_replaced_files_are_kept_for_readers_until_the_retention_is_over(tmp_path: Path) -> None:
    """However old a file is: the time since it was replaced counts."""
    policy = busy(3, MergeLimits(compact_files=3))
    load_days(tmp_path, policy, [0] * 2)
    table = tmp_path / "tables" / RAW
    for file in table.glob("event_date=*/*.parquet"):
        os.utime(file, (0, 0))
    load_days(tmp_path, policy, [0] * 5)

    assert len(list(table.glob("event_date=*/*.parquet"))) > sum(files_by_day(tmp_path).values())


def test_replaced_files_go_when_the_retention_is_over(tmp_path: Path) -> None:
    """Then only the newest version's files are left."""
    policy = busy(3, MergeLimits(compact_files=3), retention=NO_RETENTION)
    load_days(tmp_path, policy, [0] * 9)

    left = len(list((tmp_path / "tables" / RAW).glob("event_date=*/*.parquet")))
    assert left == sum(files_by_day(tmp_path).values())
    assert len(ids(tmp_path, RAW)) == 9


@pytest.mark.parametrize("name", ["part-0-orphan.parquet", "part-0.parquet#1"])
def test_what_failed_loads_left_goes_after_the_retention(tmp_path: Path, name: str) -> None:
    """Files that no log entry names, and files that were never finished; young ones stay."""
    load_days(tmp_path, Policy(), [0])
    folder = tmp_path / "tables" / RAW / "event_date=2026-11-22"
    old, young = folder / name, folder / f"young-{name}"
    for file in (old, young):
        file.write_bytes(b"x")
    os.utime(old, (time.time() - 7200,) * 2)

    load_days(tmp_path, busy(2), [0, 1])

    assert (old.exists(), young.exists()) == (False, True)


def test_the_search_for_superfluous_files_is_rare(tmp_path: Path) -> None:
    """Once a retention: it reads every folder of the table."""
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


def test_a_changed_policy_reaches_the_table(tmp_path: Path) -> None:
    """Other programs that keep the table up obey the same retention."""
    load_days(tmp_path, Policy(), [0])

    load_days(tmp_path, Policy(retention=timedelta(hours=3)), [0])

    settings = DeltaTable(tmp_path / "tables" / RAW).metadata().configuration
    assert settings["delta.logRetentionDuration"] == "interval 10800 seconds"


def test_the_engine_merges_what_was_chosen_and_no_more(tmp_path: Path) -> None:
    """The file that holds most of the day stays as it is."""
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


def test_small_files_are_merged_early_where_their_bytes_are_many(tmp_path: Path) -> None:
    """Otherwise a hundred files of large batches would be rewritten at once."""
    load_days(tmp_path, busy(5, MergeLimits(compact_bytes=1)), [0] * 4)

    assert files_by_day(tmp_path) == {"2026-11-22": 1}


def test_a_load_does_one_part_of_a_chore_when_time_is_short(tmp_path: Path) -> None:
    """Tables that are due together take turns over the loads that follow."""
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


def test_one_table_is_merged_at_a_time(tmp_path: Path) -> None:
    """A merge that has begun holds memory; the next one begins when it has ended."""
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


def test_a_merge_that_is_under_way_at_the_stop_leaves_no_file(tmp_path: Path) -> None:
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
def test_a_large_checkpoint_is_written_more_rarely(size: int, commits: int) -> None:
    """What a commit costs in checkpoints stays the same, until the log would grow too long."""
    assert Policy().checkpoint_interval(size) == commits


def test_the_last_checkpoint_says_when_the_next_is_due(tmp_path: Path) -> None:
    """Also after a restart."""
    policy = Policy(checkpoint_every=2, checkpoint_every_at_most=6, checkpoint_bytes=1)
    load_days(tmp_path, policy, [0] * 4)
    load_days(tmp_path, policy, [0] * 9)

    names = [name for name in log_names(tmp_path) if "checkpoint." in name]
    assert names == ["1.checkpoint.parquet", "7.checkpoint.parquet"]


def test_the_log_keeps_bounds_of_few_columns(tmp_path: Path) -> None:
    """Those of all columns are most of a log, which every commit reads."""
    load_days(tmp_path, Policy(), [0])

    actions = pa.table(DeltaTable(tmp_path / "tables" / RAW).get_add_actions(flatten=True))

    bounds = {name for name in actions.column_names if name.startswith(("min.", "max."))}
    wanted = ("event_id", "event_timestamp", "received_at", "loaded_at")
    assert bounds == {f"{end}.{name}" for end in ("min", "max") for name in wanted}


def uris(folder: Path, table: str) -> list[str]:
    """Data files of the newest version."""
    return DeltaTable(folder / "tables" / table).file_uris()


def random_text(seed: int) -> str:
    """Text that cannot be compressed, the same each time."""
    return Random(seed).randbytes(200).hex()
