"""A loss of power breaks the newest commit; the real loader process repairs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.crashes import loader_process, problems
from benchmarks.harness.events import event, store
from benchmarks.harness.exactly_once import is_empty
from benchmarks.harness.process_table import wait_until
from tests.support.exactly_once import assert_exactly_once

RAW, EMAIL = "webhook_raw_events", "webhook_email_events"
NAMES = ["a", "b", "c"]


def cut(file: Path) -> None:
    """Keep the first half."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def empty(file: Path) -> None:
    """Keep only the name."""
    file.write_bytes(b"")


def newest_entry(table: Path) -> Path:
    """Log entry of the newest commit."""
    return max((table / "_delta_log").glob("*.json"))


def data_file(table: Path) -> Path:
    """The newest data file."""
    return max(table.glob("event_date=*/*.parquet"), key=lambda file: file.stat().st_mtime_ns)


def killed_before_it_deleted(folder: Path) -> None:
    """Run a loader that dies between its last commit and the deletion of the segment."""
    store(folder / "data", map(event, NAMES))
    with loader_process(folder, CIO_CRASH_POINT="loader.before_delete") as process:
        assert process.wait(60) == -9


DAMAGES = [(RAW, newest_entry, cut)]
OTHER_DAMAGES = [
    (EMAIL, data_file, empty),
    (RAW, newest_entry, empty),
    (RAW, data_file, cut),
    (RAW, data_file, empty),
    (EMAIL, newest_entry, cut),
    (EMAIL, newest_entry, empty),
    (EMAIL, data_file, cut),
]


@pytest.mark.parametrize(
    ("table", "which", "damage"),
    [*DAMAGES, *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHER_DAMAGES)],
)
def test_a_broken_newest_commit_is_undone_and_loaded_from_the_inbox_again(
    tmp_path: Path, table: str, which: Callable[[Path], Path], damage: Callable[[Path], None]
) -> None:
    """The start finds it, `/readyz` reports it, and no manual repair is needed."""
    killed_before_it_deleted(tmp_path)
    damage(which(tmp_path / "data/tables" / table))

    with loader_process(tmp_path):
        wait_until(lambda: is_empty(tmp_path / "data"), 60)
        wait_until(lambda: f"{table}: version 1 was undone" in problems(tmp_path))

    assert_exactly_once(tmp_path / "data", NAMES)


@pytest.mark.slow
def test_a_broken_older_commit_is_reported_and_the_inbox_keeps_all_events(tmp_path: Path) -> None:
    """A loss of power cannot cause it: the loader names the file to restore, and waits."""
    data = tmp_path / "data"
    store(data, map(event, NAMES))
    with loader_process(tmp_path):
        wait_until(lambda: is_empty(data), 60)
        store(data, [event("d")])
        wait_until(lambda: is_empty(data), 60)
    older = data / "tables" / RAW / "_delta_log" / f"{1:020}.json"
    content = older.read_bytes()
    cut(older)
    store(data, [event("e")])

    with loader_process(tmp_path) as process:
        wait_until(lambda: "Restore the file from a backup" in problems(tmp_path))
        is_alive, waiting = process.poll() is None, not is_empty(data)
        older.write_bytes(content)
        wait_until(lambda: is_empty(data), 60)

    assert (is_alive, waiting) == (True, True)
    assert_exactly_once(data, [*NAMES, "d", "e"])
