"""Damage by a power cut to the newest commits, and how `start` repairs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from databricks_app.errors import LakeError
from databricks_app.lake import StartReport
from databricks_app.lake.local.maintenance import Policy
from tests.support.lake_events import EMAIL, RAW, event, ids, lake_in, load

EVERY_THREE = Policy(checkpoint_every=3)


def loaded(folder: Path, events: int, policy: Policy | None = None) -> Path:
    """Make a lake with one commit per event and close it; return the folder of its raw table."""
    lake = lake_in(folder, policy=policy)
    lake.start()
    for number in range(events):
        load(lake, event(f"e{number}"))
    lake.close()
    return folder / "tables" / RAW


def started(folder: Path) -> StartReport:
    """Start the lake and close it."""
    lake = lake_in(folder)
    report = lake.start()
    lake.close()
    return report


def entry(table: Path, version: int) -> Path:
    """The log entry of a version."""
    return table / "_delta_log" / f"{version:020}.json"


def newest_file(table: Path) -> Path:
    """The data file of the newest commit."""
    return max(table.glob("event_date=*/*.parquet"), key=lambda file: file.stat().st_mtime_ns)


def cut(file: Path) -> None:
    """Keep the first half."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def empty(file: Path) -> None:
    """Make the file empty."""
    file.write_bytes(b"")


def zero(file: Path) -> None:
    """Overwrite the file with zeros; the length stays."""
    file.write_bytes(bytes(file.stat().st_size))


DAMAGES = pytest.mark.parametrize("damage", [cut, empty, zero])


@DAMAGES
def test_start_quarantines_a_broken_newest_log_entry_and_the_events_load_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """The commit and its file are moved to quarantine, and the next load writes the rows again."""
    table = loaded(tmp_path, 3)
    damage(entry(table, 3))

    lake = lake_in(tmp_path)
    problems = lake.start().problems
    report = load(lake, *(event(f"e{number}") for number in range(3)))
    lake.close()

    (problem,) = problems
    assert f"{RAW}: version 3 was undone (its log entry is empty or cut)" in problem
    assert (tmp_path / "quarantine" / RAW / entry(table, 3).name).exists()
    assert (report.inserted, report.duplicates) == ({RAW: 1}, {RAW: 2, EMAIL: 3})
    assert ids(tmp_path, RAW) == ids(tmp_path, EMAIL) == ["e0", "e1", "e2"]


@pytest.mark.parametrize("damage", [cut, empty, zero, Path.unlink])
def test_start_quarantines_a_commit_with_a_broken_data_file(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """The file is missing, cut, or has the right length but only zeros."""
    table = loaded(tmp_path, 2)
    file = newest_file(table)
    damage(file)

    (problem,) = started(tmp_path).problems

    assert f"version 2 was undone (its data file event_date=2026-11-22/{file.name}" in problem
    assert ids(tmp_path, RAW) == ["e0"]


def test_start_quarantines_a_broken_typed_commit_and_the_next_load_completes_it(
    tmp_path: Path,
) -> None:
    """The raw table has the events; the typed rows are made from it."""
    loaded(tmp_path, 2)
    empty(entry(tmp_path / "tables" / EMAIL, 2))

    lake = lake_in(tmp_path)
    lake.start()
    report = load(lake, event("e0"), event("e1"))
    lake.close()

    assert (report.inserted, report.duplicates) == ({EMAIL: 1}, {RAW: 2, EMAIL: 1})


def test_start_creates_a_table_again_if_its_creation_was_interrupted(tmp_path: Path) -> None:
    """Version 0 contains only the definition."""
    table = loaded(tmp_path, 0)
    cut(entry(table, 0))

    report = started(tmp_path)

    assert report.created == (RAW,)
    assert "version 0 was undone" in report.problems[0]


def test_quarantine_keeps_the_files_of_repeated_damage(tmp_path: Path) -> None:
    """No file in quarantine is overwritten."""
    table = loaded(tmp_path, 0)
    for _ in range(2):
        empty(entry(table, 0))
        started(tmp_path)

    kept = sorted(path.name for path in (tmp_path / "quarantine" / RAW).iterdir())
    assert kept == [entry(table, 0).name, entry(table, 0).name + ".1"]


@DAMAGES
def test_start_refuses_a_broken_commit_with_newer_rows_after_it(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """A power cut is not the cause, and the newer rows are no longer in the inbox."""
    table = loaded(tmp_path, 3)
    damage(entry(table, 2))

    with pytest.raises(
        LakeError, match=rf"{RAW}: version 2 is damaged .*although version 3 was loaded after it"
    ):
        lake_in(tmp_path).start()
    assert entry(table, 3).exists()


def test_start_undoes_a_compaction_that_followed_a_broken_commit(tmp_path: Path) -> None:
    """The compaction added no rows, so nothing is lost."""
    table = loaded(tmp_path, 2)
    DeltaTable(table).optimize.compact()
    empty(entry(table, 2))

    problems = started(tmp_path).problems

    assert ["version 3 was undone (it follows a broken one)" in problems[0]] == [True]
    assert "version 2 was undone" in problems[1]
    assert ids(tmp_path, RAW) == ["e0"]


def test_start_undoes_only_a_broken_compaction(tmp_path: Path) -> None:
    """The replaced files still exist."""
    table = loaded(tmp_path, 2)
    DeltaTable(table).optimize.compact()
    newest_file(table).unlink()

    (problem,) = started(tmp_path).problems

    assert "version 3 was undone" in problem
    assert ids(tmp_path, RAW) == ["e0", "e1"]


def test_start_refuses_a_log_with_a_gap(tmp_path: Path) -> None:
    """The error names the missing entry."""
    table = loaded(tmp_path, 3)
    entry(table, 2).unlink()

    with pytest.raises(LakeError, match=rf"version 2 is missing .*{entry(table, 2)}"):
        lake_in(tmp_path).start()


@DAMAGES
def test_start_reads_the_log_if_the_newest_checkpoint_is_broken(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """An older checkpoint and the log are enough. The pointer to the broken one is moved too."""
    table = loaded(tmp_path, 7, EVERY_THREE)
    damage(table / "_delta_log" / f"{5:020}.checkpoint.parquet")

    problems = started(tmp_path).problems

    assert "the checkpoint of version 5 was broken" in problems[0]
    assert "the pointer to the newest checkpoint was broken" in problems[1]
    assert ids(tmp_path, RAW) == [f"e{number}" for number in range(7)]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"version": 4}', b'{"version": "x"}', b"\0\0\0\0"]
)
def test_start_quarantines_a_broken_pointer_to_the_checkpoint(
    tmp_path: Path, content: bytes
) -> None:
    """The engine then finds the checkpoint without it."""
    table = loaded(tmp_path, 4, EVERY_THREE)
    (table / "_delta_log" / "_last_checkpoint").write_bytes(content)

    (problem,) = started(tmp_path).problems

    assert "the pointer to the newest checkpoint was broken" in problem
    assert ids(tmp_path, RAW) == ["e0", "e1", "e2", "e3"]


def test_start_reports_a_missing_file_of_a_durable_commit(tmp_path: Path) -> None:
    """It was in a checkpoint, so a power cut is not the cause: it is reported, not undone."""
    table = loaded(tmp_path, 2, EVERY_THREE)
    newest_file(table).unlink()

    (problem,) = started(tmp_path).problems

    assert f"{RAW}: version 2 is damaged" in problem
    assert "Restore the file from a backup" in problem
    assert entry(table, 2).exists()


def test_start_ignores_old_log_entries_before_the_checkpoint(tmp_path: Path) -> None:
    """They may be deleted or broken, because nothing reads them."""
    table = loaded(tmp_path, 4, EVERY_THREE)
    empty(entry(table, 1))
    entry(table, 0).unlink()

    assert started(tmp_path).problems == ()


def test_quarantine_folder_is_durable_before_a_table_is_opened(tmp_path: Path) -> None:
    """Otherwise a broken commit could be lost together with the folder."""
    table = loaded(tmp_path, 3)
    empty(entry(table, 3))
    synced: list[Path] = []
    lake = lake_in(tmp_path, sync=synced.append)
    lake.start()
    lake.close()

    aside = tmp_path / "quarantine" / RAW
    named = synced.index(aside.parent)
    assert synced[named + 1] == tmp_path
    assert named < synced.index(aside) < synced.index(table)


def test_start_syncs_the_commits_of_a_killed_process(tmp_path: Path) -> None:
    """The next load finds their rows and writes nothing, so `start` must sync them."""
    loaded(tmp_path, 4, EVERY_THREE)
    synced: list[str] = []
    lake = lake_in(tmp_path, sync=lambda path: synced.append(path.name))
    lake.start()
    lake.close()

    for name in (
        f"{2:020}.checkpoint.parquet",
        "_last_checkpoint",
        f"{3:020}.json",
        f"{4:020}.json",
    ):
        assert name in synced
