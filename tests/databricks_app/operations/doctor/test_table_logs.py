"""Faults of a table's log: doctor names what is gone, and what it says to do works."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from databricks_app.cli import ciolake
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.local.fsync import log_entry
from databricks_app.lake.local.store import LocalLake
from databricks_app.loading.loader import Loader
from databricks_app.operations.doctor import run
from databricks_app.operations.doctor.result import CheckResult
from databricks_app.operations.doctor.run import Check
from databricks_app.runtime.metrics import Metrics
from tests.support.doctoring import context_of, found, wrong
from tests.support.lake_events import EMAIL, RAW, event, ids, load


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with six loaded events; each load is a commit."""
    lake = LocalLake(tmp_path)
    lake.start()
    for number in range(6):
        load(lake, event(f"e{number}"))
    lake.close()
    return tmp_path


def first_commit(table: Path) -> Path:
    """Delete the first commit; return what is to be restored."""
    log_entry(table, 0).unlink()
    return log_entry(table, 0)


def middle_commit(table: Path) -> Path:
    """Delete a commit in the middle."""
    log_entry(table, 2).unlink()
    return log_entry(table, 2)


def cut_commit(table: Path) -> Path:
    """Cut an old commit."""
    log_entry(table, 0).write_text("{")
    return log_entry(table, 0)


def whole_log(table: Path) -> Path:
    """Delete the whole log: without a word, a restart would make an empty table."""
    shutil.rmtree(table / "_delta_log")
    return table / "_delta_log"


@pytest.mark.parametrize("damage", [first_commit, middle_commit, cut_commit, whole_log])
@pytest.mark.parametrize("name", [EMAIL, RAW])
def test_a_lost_part_of_a_log_is_named_and_is_to_be_restored(
    data: Path, damage: Callable[[Path], Path], name: str
) -> None:
    """Nothing else is wrong, no check has an error of its own, and none says to restart."""
    gone = damage(data / "tables" / name)

    results = {
        check: found(context_of(data), check)
        for check in ("commits", "files", "tables", "properties", "loaded-at", "workspaces")
    }

    assert results["commits"].state == "failure"
    assert results["commits"].says.startswith(f"{name}: ")
    assert str(gone) in results["commits"].fix
    assert "backup" in results["commits"].fix
    assert ("replay --table" in results["commits"].fix) is (name == EMAIL)
    assert results["tables"].state == "failure"
    for check, result in results.items():
        assert "please report" not in result.fix, check
        assert "restart" not in result.fix, check
    assert {results[one].fix for one in ("tables", "properties")} == {"see the check commits"}


def test_a_typed_table_without_its_first_commit_comes_back_as_doctor_says(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Move it away, start, replay: every event is there again, once, and doctor is content."""
    first_commit(data / "tables" / EMAIL)
    shutil.move(data / "tables" / EMAIL, tmp_path_factory.mktemp("away"))

    start_and_load(data)
    env = {"CIO_DATA_DIR": str(data), "CIO_WEBHOOK_SIGNING_KEYS": "a key of the tests"}
    replayed = CliRunner().invoke(ciolake, ["replay", "--table", EMAIL], env=env)
    start_and_load(data)

    assert replayed.exit_code == 0
    assert ids(data, EMAIL) == [f"e{number}" for number in range(6)] == ids(data, RAW)
    assert not {"commits", "files", "tables", "properties"} & wrong(context_of(data)).keys()


def start_and_load(data: Path) -> None:
    """Start the loader, load what is in the inbox, and stop it."""
    lake = LocalLake(data)
    lake.start()
    Loader(SegmentReader(data / "inbox"), lake, Metrics(), 1, lambda _: None).drain()
    lake.close()


def test_old_commits_behind_a_checkpoint_are_not_needed(tmp_path: Path) -> None:
    """Clean-up deletes them."""
    lake = LocalLake(tmp_path)
    lake.start()
    for number in range(12):
        load(lake, event(f"e{number}"))
    lake.close()
    for name in (EMAIL, RAW):
        first_commit(tmp_path / "tables" / name)

    assert found(context_of(tmp_path), "commits").state == "ok"
    assert found(context_of(tmp_path), "tables").state == "ok"


def test_a_file_that_cannot_be_read_is_named_with_who_should_read_it(data: Path) -> None:
    """An error of the system is no error of the check."""

    def look(_: object) -> CheckResult:
        raise PermissionError(13, "Permission denied", str(data / "tables"))

    result = run.run_check(Check("any", look), context_of(data))

    assert result.state == "failure"
    assert result.says == f"{data / 'tables'}: Permission denied"
    assert "chown" in result.fix
