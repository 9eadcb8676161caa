"""The command `ciolake verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from deltalake import DeltaTable

from databricks_app.cli.verify import verify
from databricks_app.lake.local.store import LocalLake
from tests.support.lake_events import EMAIL, RAW, SMS, event, load, reading_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All tables, three events: one in a table, one unrouted, one replayed, one id twice."""
    lake = LocalLake(tmp_path)
    lake.start()
    load(lake, event("a"), event("a", days_ago=1), reading_of(b"{"))
    lake.close()
    return tmp_path


def test_verify_of_sound_tables_exits_with_zero(folder: Path) -> None:
    """And says so, with the rows of each table and what is worth knowing."""
    result = CliRunner().invoke(verify, ["--data-dir", str(folder)])

    assert result.exit_code == 0
    assert "Every event is in the tables exactly once" in result.output
    assert "1 event id came with two different dates" in result.output
    assert "1 event is only in the raw table" in result.output
    row = next(line for line in result.output.splitlines() if RAW in line)
    assert row.split() == [RAW, "3", "ok"]


def test_verify_names_differences_and_exits_with_one(folder: Path) -> None:
    """The table, how many, which, and what to do."""
    DeltaTable(folder / "tables" / EMAIL).delete()

    result = CliRunner().invoke(verify, ["--data-dir", str(folder)])

    assert result.exit_code == 1
    assert (
        f"{EMAIL}: 2 events are missing, although the raw row names this table "
        "(load them again with `ciolake replay`): a" in result.output
    )
    assert "exactly once" not in result.output


def test_verify_names_a_missing_file_and_what_to_do(folder: Path) -> None:
    """Its path, how many events it held, and that it is restored before anything else."""
    file = min((folder / "tables" / EMAIL).glob("event_date=*/*.parquet"))
    file.unlink()

    result = CliRunner().invoke(verify, ["--data-dir", str(folder)])

    assert result.exit_code == 1
    assert f"the data file {file} is missing (1 event; restore it from a backup)" in result.output
    assert f"{EMAIL}: 1 event is missing" in result.output
    assert "First restore the missing files" in result.output


def test_verify_as_json_is_one_object(folder: Path) -> None:
    """For programs: the same facts, the same exit codes."""
    DeltaTable(folder / "tables" / EMAIL).delete()

    result = CliRunner().invoke(verify, ["--data-dir", str(folder), "--format", "json"])

    said = json.loads(result.stdout)
    assert result.exit_code == 1
    assert said["rows"][RAW] == 3
    assert said["differences"] == [
        {"kind": "missing", "table": EMAIL, "events": 2, "event_ids": ["a", "a"], "file": None}
    ]
    assert (said["unrouted"], said["two_dates_ids"], said["is_loading"]) == (1, ["a"], False)


def test_verify_that_cannot_check_exits_with_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder comes from the settings if it is not given."""
    monkeypatch.setenv("CIO_DATA_DIR", str(tmp_path / "nowhere"))

    result = CliRunner().invoke(verify, [])

    assert result.exit_code == 2
    assert "No table webhook_raw_events in" in result.stderr
    assert str(tmp_path / "nowhere") in result.stderr


def test_verify_says_that_a_loader_works_and_counts_replayed_events(tmp_path: Path) -> None:
    """What is still in flight is no difference."""
    from dataclasses import replace

    unrouted = {**event("r").raw, "target_table": None, "unrouted_reason": "unknown_metric"}
    lake = LocalLake(tmp_path)
    lake.start()
    load(lake, replace(event("r"), raw=unrouted, table=None, typed=None))
    load(lake, event("r"), event("s", "sms/sent"))

    result = CliRunner().invoke(verify, ["--data-dir", str(tmp_path)])
    lake.close()

    assert result.exit_code == 0
    assert "newest batch was left out" in result.output
    assert "1 raw event reached the typed table in a later load" in result.output
    assert SMS in result.output
