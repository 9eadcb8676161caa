"""A process is killed at each crash point; after the next load each event is stored once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from databricks_app.events.workspaces import with_rows
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.merge_plan import MergeLimits
from databricks_app.lake.local.verify import check
from databricks_app.lake.renaming import Rename
from databricks_app.runtime import crash_points
from tests.support.lake_events import EMAIL, RAW, SMS, event, ids, lake_in, load, rows

# Every upkeep at every load, and nothing kept longer than needed.
BUSY = Policy(
    checkpoint_every=1,
    checkpoint_every_at_most=1,
    limits=MergeLimits(compact_files=2),
    retention=timedelta(0),
    chores_seconds=60,
)
FIRST = [event("a"), event("b", "sms/sent"), event("c", days_ago=1)]
SECOND = [*FIRST, event("d"), event("e", "sms/sent"), event("f", days_ago=1), event("g", "x/y")]

# Where the server of the children begins: what they need is imported once.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["databricks_app.lake.local.store", "tests.support.lake_events"])

AT_START = ["lake.after_create", "lake.after_create:2"]
IN_LOAD = [
    "lake.before_raw_append",
    "lake.after_raw_append",
    "lake.after_raw_sync",
    "lake.before_typed_append",
    "lake.before_typed_append:2",
    "lake.after_typed_append",
    "lake.after_typed_append:2",
    "lake.after_typed_sync",
    "lake.after_typed_sync:2",
]
IN_UPKEEP = [
    "lake.after_merge",
    "lake.after_merge:2",
    "lake.after_compact",
    "lake.after_compact:2",
    "lake.after_compact_sync",
    "lake.after_checkpoint",
    "lake.after_checkpoint_sync",
    "lake.after_checkpoint_sync:2",
    "lake.after_log_cleanup",
    "lake.after_vacuum",
]

# One point of each kind; lake/test_contract.py has those of a load, too.
OFTEN = {
    "lake.after_raw_sync",
    "lake.after_typed_append:2",
    "lake.after_merge",
    "lake.after_vacuum",
    "lake.before_raw_rename",
    "lake.after_typed_rename:2",
}


def sample(points: Sequence[str], *more: object) -> Iterator[object]:
    """Yield a case for each crash point; most are slow."""
    for point in points:
        yield pytest.param(point, *more, marks=() if point in OFTEN else pytest.mark.slow)


def die(folder: Path, point: str, policy: Policy) -> None:
    """In a child process: load, and be killed at the crash point."""
    crash_points.arm(point)
    lake = lake_in(folder, policy=policy)
    lake.start()
    load(lake, *SECOND)
    lake.close()


def killed(folder: Path, point: str, *more: object, target: Callable[..., None] = die) -> bool:
    """Whether the child process was killed there."""
    child = _SERVER.Process(target=target, args=(folder, point, *more))
    child.start()
    child.join()
    code = child.exitcode
    child.close()
    return code == -9


@pytest.mark.parametrize(
    ("point", "policy"),
    [*sample(IN_LOAD, Policy()), *sample(IN_UPKEEP, BUSY)],
)
def test_next_load_completes_a_killed_load(tmp_path: Path, point: str, policy: Policy) -> None:
    """No row is lost or repeated, and nothing had to be repaired."""
    lake = lake_in(tmp_path, policy=policy)
    lake.start()
    load(lake, *FIRST)
    lake.close()
    assert killed(tmp_path, point, policy)

    problems = lake.start().problems
    load(lake, *SECOND)
    lake.close()

    assert problems == ()
    assert ids(tmp_path, RAW) == ["a", "b", "c", "d", "e", "f", "g"]
    assert ids(tmp_path, EMAIL) == ["a", "c", "d", "f"]
    assert ids(tmp_path, SMS) == ["b", "e"]
    verdict = check(tmp_path, [EMAIL, SMS])
    assert (verdict.differences, verdict.unrouted) == ((), 1)


@pytest.mark.parametrize("point", AT_START)
def test_next_start_completes_a_killed_start(tmp_path: Path, point: str) -> None:
    """The tables exist, are empty, and accept rows."""
    assert killed(tmp_path, point, Policy())

    lake = lake_in(tmp_path)
    lake.start()
    load(lake, *FIRST)
    lake.close()

    assert ids(tmp_path, RAW) == ["a", "b", "c"]


def test_killed_loader_does_not_keep_the_lock(tmp_path: Path) -> None:
    """The next loader starts immediately."""
    assert killed(tmp_path, "lake.after_raw_append", Policy())

    lake = lake_in(tmp_path)
    lake.start()
    lake.close()


def test_rows_of_a_killed_load_keep_its_batch_id(tmp_path: Path) -> None:
    """Stored rows are not written again; only new rows get the new batch id."""
    assert killed(tmp_path, "lake.after_raw_sync", Policy())

    lake = lake_in(tmp_path)
    lake.start()
    load(lake, *SECOND, batch_id="again")
    lake.close()

    assert rows(tmp_path, RAW, "DISTINCT batch_id") == [("batch",)]
    assert rows(tmp_path, SMS, "DISTINCT batch_id") == [("again",)]


IN_RENAME = [
    "lake.before_typed_rename",
    "lake.after_typed_rename",
    "lake.before_typed_rename:2",
    "lake.before_raw_rename",
    "lake.after_raw_rename",
    "lake.before_raw_rename:2",
]
RENAME = Rename("default", "shop", frozenset({"0a1b2c3d"}))


def die_renaming(folder: Path, point: str) -> None:
    """In a child process: rename, and be killed at the crash point."""
    crash_points.arm(point)
    lake = lake_in(folder)
    lake.start()
    lake.rename(RENAME)


@pytest.mark.parametrize("point", [*sample(IN_RENAME)])
def test_next_rename_completes_a_killed_rename(tmp_path: Path, point: str) -> None:
    """Also for rows that were loaded in between with the old name."""
    lake = lake_in(tmp_path)
    lake.start()
    load(lake, *FIRST)
    lake.close()
    assert killed(tmp_path, point, target=die_renaming)

    problems = lake.start().problems
    held = lake.workspaces_of({"0a1b2c3d"})
    assert with_rows({"0a1b2c3d": "shop"}, held).of("0a1b2c3d") == "default"
    load(lake, *SECOND)
    lake.rename(RENAME)
    lake.close()

    assert problems == ()
    for table, found in ((RAW, 7), (EMAIL, 4), (SMS, 2)):
        assert rows(tmp_path, table, "DISTINCT workspace, count(*) OVER ()") == [("shop", found)]
    assert check(tmp_path, [EMAIL, SMS]).differences == ()
