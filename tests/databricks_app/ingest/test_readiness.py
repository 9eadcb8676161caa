"""Status files of the processes, and the content of `/readyz`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.readiness import readiness
from databricks_app.runtime.sender_pace import CallSums
from databricks_app.runtime.status import (
    RUN_DIR,
    LoaderStatus,
    WarehouseStatus,
    read,
    read_problems,
    run_dir,
    unreadable,
    write,
    write_problems,
)

NOW = 1_700_000_000.0
WRITER = LoaderStatus(NOW - 1, "2023-11-14T22:13:00+00:00")
EMPTY = Pending(0, 0, None)


def said(**changes: Any) -> dict[str, object]:
    """The content of `/readyz` for a receiver without problems, with these changes."""
    parts: dict[str, Any] = {
        "trouble": None,
        "pending": EMPTY,
        "loader": WRITER,
        "processes": (),
        "unknown": (),
        "stale_requests": 0.0,
        "stale_policy": "reject",
        "expects_stale": False,
        "suspects": (),
        "signature_faults": (),
        "verified_at": {},
        "stall_seconds": 600.0,
        "freshness_setting": "CIO_FRESHNESS_SECONDS",
        "calls": CallSums(),
        "now": NOW,
    }
    return readiness(**{**parts, **changes})


def test_the_last_written_status_is_read(tmp_path: Path) -> None:
    """With every field."""
    write(tmp_path, LoaderStatus(1.0))
    warehouse = WarehouseStatus(12.5, 600.0, "nothing waits", 900.0)
    last = LoaderStatus(2.5, "2023-11-14T22:13:00+00:00", ("one", "two"), 1, "x", warehouse)

    write(tmp_path, last)

    assert read(tmp_path) == last
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_status_file_there_is_no_status(tmp_path: Path) -> None:
    """With a plain WSGI server, or before the first status of the loader."""
    assert read(None) is None
    assert read(tmp_path) is None
    assert read(tmp_path / "missing") is None


BROKEN_FILES = ("", "{", "[]", "7", "{}", '{"problems": 3}')


def test_a_broken_status_file_is_no_status(tmp_path: Path) -> None:
    """It raises no error, so that `/readyz` still answers."""
    read_from = {}
    for text in (*BROKEN_FILES, '{"at": 1}'):
        (tmp_path / "writer.json").write_text(text)
        read_from[text] = read(tmp_path)

    assert set(read_from.values()) == {None}, read_from


def test_the_supervisors_problems_are_read(tmp_path: Path) -> None:
    """The last written ones; no file means no problem."""
    assert read_problems(None) == ()
    assert read_problems(tmp_path) == ()
    write_problems(tmp_path, ("the loader died 3 times",))
    assert read_problems(tmp_path) == ("the loader died 3 times",)
    write_problems(tmp_path, ())
    assert read_problems(tmp_path) == ()


def test_a_broken_file_of_the_supervisor_has_no_problems(tmp_path: Path) -> None:
    """It raises no error."""
    read_from = {}
    for text in BROKEN_FILES:
        (tmp_path / "supervisor.json").write_text(text)
        read_from[text] = read_problems(tmp_path)

    assert set(read_from.values()) == {()}, read_from


def test_an_unreadable_run_folder_is_reported_with_the_reason(tmp_path: Path) -> None:
    """A readable folder, or no folder at all, is no problem."""
    (tmp_path / "file").touch()

    assert (unreadable(None), unreadable(tmp_path)) == (None, None)
    assert "No such file or directory" in (unreadable(tmp_path / "missing") or "")
    assert "Not a directory" in (unreadable(tmp_path / "file") or "")


def test_the_environment_names_the_run_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ciolake serve` sets the variable; without it there is no run folder."""
    monkeypatch.setenv(RUN_DIR, "/run/ciolake")
    assert run_dir() == Path("/run/ciolake")
    monkeypatch.setenv(RUN_DIR, "")
    assert run_dir() is None
    monkeypatch.delenv(RUN_DIR)
    assert run_dir() is None


def test_a_receiver_without_problems_is_ok() -> None:
    """Nothing is pending, and the loader has just reported."""
    assert said() == {
        "status": "ok",
        "inbox_pending_events": 0,
        "inbox_pending_bytes": 0,
        "oldest_pending_seconds": None,
        "signature_faults": [],
        "last_load_at": "2023-11-14T22:13:00+00:00",
        "verified_keys": {},
        "sender": None,
        "problems": [],
    }


def test_readiness_shows_when_each_key_last_verified_a_request() -> None:
    """By its fingerprint; null for one that has not since the start."""
    assert said(verified_at={"0a1b2c3d": NOW, "11111111": None})["verified_keys"] == {
        "0a1b2c3d": "2023-11-14T22:13:20+00:00",
        "11111111": None,
    }


def test_pending_events_alone_are_no_problem() -> None:
    """They are shown with the age of the oldest one, which is never negative."""
    oldest = datetime.fromtimestamp(NOW - 12.3456, UTC)
    ahead = datetime.fromtimestamp(NOW + 5, UTC)

    shown = said(pending=Pending(3, 700, oldest))

    assert shown["status"] == "ok"
    assert shown["inbox_pending_events"] == 3
    assert shown["inbox_pending_bytes"] == 700
    assert shown["oldest_pending_seconds"] == 12.346
    assert said(pending=Pending(3, 700, ahead))["oldest_pending_seconds"] == 0


def test_an_inbox_that_cannot_be_counted_is_degraded_with_null() -> None:
    """An unknown number is not 0, and the reason comes before other problems."""
    shown = said(pending=None, unknown=("the disk does not tell",), processes=("the loader died",))

    assert shown["status"] == "degraded"
    assert shown["problems"] == ["the disk does not tell", "the loader died"]
    assert (shown["inbox_pending_events"], shown["inbox_pending_bytes"]) == (None, None)
    assert shown["oldest_pending_seconds"] is None


def test_a_receiver_that_would_refuse_is_refusing() -> None:
    """The reason comes before all other problems."""
    shown = said(trouble="the disk is full", loader=None)

    assert shown["status"] == "refusing"
    problems = shown["problems"]
    assert isinstance(problems, list)
    assert problems[0] == "the disk is full"
    assert "loader has not reported yet" in problems[1]


def test_a_loader_that_never_reported_is_degraded() -> None:
    """The receiver still accepts events."""
    shown = said(loader=None)

    assert shown["status"] == "degraded"
    assert shown["last_load_at"] is None


def test_problems_of_the_supervisor_are_degraded() -> None:
    """They come before the problems of the loader."""
    shown = said(processes=("the loader died 3 times",), loader=LoaderStatus(NOW, problems=("x",)))

    assert shown["status"] == "degraded"
    assert shown["problems"] == ["the loader died 3 times", "x"]


@pytest.mark.parametrize(("seconds", "status"), [(60, "ok"), (60.5, "degraded")])
def test_a_loader_that_is_silent_for_a_minute_is_degraded(seconds: float, status: str) -> None:
    """Exactly a minute is still ok."""
    assert said(loader=LoaderStatus(NOW - seconds))["status"] == status


def test_the_loaders_own_problems_are_shown() -> None:
    """Unchanged; if the loader is silent, after that problem."""
    silent, own = said(loader=LoaderStatus(NOW - 99, problems=("loading fails",)))["problems"]  # type: ignore[misc]

    assert "not reported for 99 s" in silent
    assert own == "loading fails"
    assert said(loader=LoaderStatus(NOW, problems=("x",)))["problems"] == ["x"]


def test_stale_timestamps_are_degraded_with_advice() -> None:
    """The problem has the number and what to do."""
    shown = said(stale_requests=3.0)

    (problem,) = shown["problems"]  # type: ignore[misc]
    assert shown["status"] == "degraded"
    assert problem.startswith("3 requests")
    assert "check the clock" in problem
    assert "set CIO_STALE_TIMESTAMPS=second_sight" in problem


def test_accepted_stale_timestamps_are_reported_without_that_advice() -> None:
    """The clock must still be checked."""
    (problem,) = said(stale_requests=3.0, stale_policy="accept")["problems"]  # type: ignore[misc]

    assert "were accepted" in problem
    assert "check the clock" in problem
    assert "set CIO" not in problem


def test_readiness_says_what_second_sight_does_now() -> None:
    """Before a body came twice, and after."""
    (once,) = said(stale_requests=1.0, stale_policy="second_sight")["problems"]  # type: ignore[misc]
    (twice,) = said(stale_requests=2.0, stale_policy="second_sight", expects_stale=True)["problems"]  # type: ignore[misc]

    assert "refused the first time" in once
    assert "the same body came twice" in twice
    assert all("check the clock" in text for text in (once, twice))


def test_a_key_that_may_be_wrong_is_a_problem_with_the_workspaces() -> None:
    """Degraded: the receiver itself can store."""
    shown = said(suspects=("blog", "shop"))

    (problem,) = shown["problems"]  # type: ignore[misc]
    assert shown["status"] == "degraded"
    assert "blog, shop" in problem
    assert "CIO_WEBHOOK_SIGNING_KEYS" in problem


def test_a_sender_that_waits_for_us_is_named_and_is_no_problem() -> None:
    """With the rate that it can reach at most."""
    serial = CallSums(100, 0, 100, answer_seconds=15.0, pause_seconds=1.0)

    content = said(calls=serial)

    assert content["status"] == "ok"
    assert content["sender"] == "Customer.io waits for us: at most 6.2 events/s"
    assert said()["sender"] is None


def test_a_warehouse_is_shown_with_the_seconds_of_the_day() -> None:
    """For a local store there is nothing to show."""
    warehouse = WarehouseStatus(65.0, 3600.0, "nothing waits", 900.0)

    shown = said(loader=replace(WRITER, warehouse=warehouse))

    assert shown["warehouse_seconds_today_estimate"] == 65.0
    assert shown["warehouse_seconds_ceiling"] == 3600.0
    assert shown["loads_within_seconds"] == 900.0
    assert shown["status"] == "ok"
    assert "warehouse_seconds_ceiling" not in said()
