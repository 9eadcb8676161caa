"""Upkeep: short logs, few files, and nothing deleted too early."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
from deltalake import DeltaTable

from databricks_app.lake.local.maintenance import Policy, crowded, merge_bytes
from tests.support.lake_events import EMAIL, RAW, event, ids, lake_in, load

NO_RETENTION = timedelta(0)


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
    policy = Policy(checkpoint_every=4)
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
    load_days(tmp_path, Policy(checkpoint_every=3, retention=NO_RETENTION), [0] * 9)

    assert len(log_names(tmp_path)) < 7
    assert len(ids(tmp_path, RAW)) == 9


def test_a_date_with_many_small_files_is_compacted(tmp_path: Path) -> None:
    """Only that date; no row changes."""
    load_days(tmp_path, Policy(checkpoint_every=3, compact_files=5), [0] * 9 + [1] * 2)

    files = files_by_day(tmp_path)
    assert (files["2026-11-21"], files["2026-11-22"] < 5) == (2, True)
    assert ids(tmp_path, RAW) == [f"e{number:03}" for number in range(11)]


def test_old_dates_are_compacted_earlier_one_at_a_time(tmp_path: Path) -> None:
    """Hardly any more files come, and years of them would slow every opening."""
    policy = Policy(checkpoint_every=7, compact_files=50, compact_files_of_old_dates=2)
    load_days(tmp_path, policy, [3, 3, 2, 2, 1, 1])

    assert files_by_day(tmp_path) == {"2026-11-19": 1, "2026-11-20": 2, "2026-11-21": 2}


def test_large_files_are_left_as_they_are(tmp_path: Path) -> None:
    """Compaction of what is large already would rewrite a day for each late event."""
    policy = Policy(checkpoint_every=3, compact_files=2, small_bytes=1)
    load_days(tmp_path, policy, [0] * 6)

    assert files_by_day(tmp_path) == {"2026-11-22": 6}


def test_replaced_files_are_kept_for_readers_until_the_retention_is_over(tmp_path: Path) -> None:
    """However old a file is: the time since it was replaced counts."""
    policy = Policy(checkpoint_every=3, compact_files=3)
    load_days(tmp_path, policy, [0] * 2)
    table = tmp_path / "tables" / RAW
    for file in table.glob("event_date=*/*.parquet"):
        os.utime(file, (0, 0))
    load_days(tmp_path, policy, [0] * 5)

    assert len(list(table.glob("event_date=*/*.parquet"))) > sum(files_by_day(tmp_path).values())


def test_replaced_files_go_when_the_retention_is_over(tmp_path: Path) -> None:
    """Then only the newest version's files are left."""
    policy = Policy(checkpoint_every=3, compact_files=3, retention=NO_RETENTION)
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

    load_days(tmp_path, Policy(checkpoint_every=2), [0, 1])

    assert (old.exists(), young.exists()) == (False, True)


def test_the_search_for_superfluous_files_is_rare(tmp_path: Path) -> None:
    """Once a retention: it reads every folder of the table."""
    lake = lake_in(tmp_path, policy=Policy(checkpoint_every=2))
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


@pytest.mark.parametrize(
    ("sizes", "small_bytes", "merged"),
    [
        ([], 100, 0),
        ([7], 100, 0),
        ([7, 7], 100, 14),
        ([7, 7, 28], 100, 42),
        ([7, 7, 29], 100, 14),
        ([40, 1, 2, 9], 100, 3),
        ([40, 1, 2, 9, 100, 300], 100, 3),
        ([50, 50, 50], 100, 150),
        ([50, 50, 50, 120], 100, 119),
    ],
)
def test_a_merge_takes_what_is_not_much_larger_than_the_rest(
    sizes: list[int], small_bytes: int, merged: int
) -> None:
    """A file of twice the others' bytes together is left alone, and a large one always."""
    assert merge_bytes(sizes, small_bytes) == merged


def test_rows_are_rewritten_a_logarithm_of_times() -> None:
    """20,000 commits of one day, counted in files of a commit each, with upkeep as in service."""
    policy = Policy(compact_files=100, small_bytes=1 << 20)
    day, files, rewritten = date(2026, 11, 22), list[int](), 0
    for _ in range(2000):
        files += [1] * policy.checkpoint_every
        if crowded({day: files}, policy):
            target = merge_bytes(files, policy.small_bytes)
            merged = [size for size in files if size <= target]
            files = [size for size in files if size > target] + [sum(merged)]
            rewritten += sum(merged)

    assert rewritten / 20_000 < 8
    assert len(files) < policy.compact_files + 12


def test_the_engine_merges_what_was_chosen_and_no_more(tmp_path: Path) -> None:
    """The file that holds most of the day stays as it is."""
    policy = Policy(checkpoint_every=5, compact_files=3, chores_seconds=60)
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
    load_days(tmp_path, Policy(checkpoint_every=5, compact_bytes=1), [0] * 4)

    assert files_by_day(tmp_path) == {"2026-11-22": 1}


def test_a_load_does_one_chore_when_time_is_short(tmp_path: Path) -> None:
    """Tables that are due together take turns over the loads that follow."""
    policy = Policy(checkpoint_every=5, compact_files=4, chores_seconds=0)
    lake = lake_in(tmp_path, policy=policy)
    lake.start()

    def files() -> int:
        tables = (DeltaTable(tmp_path / "tables" / name) for name in (RAW, EMAIL))
        return sum(len(table.file_uris()) for table in tables)

    counts = []
    for name in "abcd" + "a":
        load(lake, event(name))
        counts.append(files())
    lake.close()

    assert counts == [2, 4, 6, 5, 2]


def random_text(seed: int) -> str:
    """Text that cannot be compressed, the same each time."""
    return Random(seed).randbytes(200).hex()
