"""Status: what the loader leaves is read whole or not at all, and put into words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.readiness import readiness
from databricks_app.runtime.status import (
    RUN_DIR,
    LoaderStatus,
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
    """What `/readyz` says of a receiver in order, with these changes."""
    parts: dict[str, Any] = {
        "trouble": None,
        "pending": EMPTY,
        "loader": WRITER,
        "processes": (),
        "unknown": (),
        "stale_requests": 0.0,
        "takes_stale": False,
        "stall_seconds": 600.0,
        "now": NOW,
    }
    return readiness(**{**parts, **changes})


def test_what_is_told_is_read(tmp_path: Path) -> None:
    """Every field comes back; the last word counts."""
    write(tmp_path, LoaderStatus(1.0))
    told = LoaderStatus(2.5, "2023-11-14T22:13:00+00:00", ("one", "two"))

    write(tmp_path, told)

    assert read(tmp_path) == told
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_run_folder_nothing_is_read(tmp_path: Path) -> None:
    """A bare WSGI server, or a loader that has not spoken yet."""
    assert read(None) is None
    assert read(tmp_path) is None
    assert read(tmp_path / "missing") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"at": 1}', '{"problems": 3}'])
def test_what_is_not_a_status_is_not_read(tmp_path: Path, text: str) -> None:
    """A file that cannot be understood is no reason to call the receiver closed."""
    (tmp_path / "writer.json").write_text(text)

    assert read(tmp_path) is None


def test_the_supervisors_problems_are_read(tmp_path: Path) -> None:
    """The last word counts; none at all is no problem."""
    assert read_problems(None) == ()
    assert read_problems(tmp_path) == ()
    write_problems(tmp_path, ("the loader died 3 times",))
    assert read_problems(tmp_path) == ("the loader died 3 times",)
    write_problems(tmp_path, ())
    assert read_problems(tmp_path) == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"problems": 3}'])
def test_what_the_supervisor_did_not_write_is_not_read(tmp_path: Path, text: str) -> None:
    """Nor is a file of its name that cannot be understood."""
    (tmp_path / "supervisor.json").write_text(text)

    assert read_problems(tmp_path) == ()


def test_a_run_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With the reason; one that can be read, or none at all, is no problem."""
    (tmp_path / "file").touch()

    assert (unreadable(None), unreadable(tmp_path)) == (None, None)
    assert "No such file or directory" in (unreadable(tmp_path / "missing") or "")
    assert "Not a directory" in (unreadable(tmp_path / "file") or "")


def test_the_run_folder_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set by `ciolake serve`; absent or empty elsewhere."""
    monkeypatch.setenv(RUN_DIR, "/run/ciolake")
    assert run_dir() == Path("/run/ciolake")
    monkeypatch.setenv(RUN_DIR, "")
    assert run_dir() is None
    monkeypatch.delenv(RUN_DIR)
    assert run_dir() is None


def test_all_in_order_is_ok() -> None:
    """Nothing pending, a loader that spoke just now."""
    assert said() == {
        "status": "ok",
        "inbox_pending_events": 0,
        "inbox_pending_bytes": 0,
        "oldest_pending_seconds": None,
        "last_load_at": "2023-11-14T22:13:00+00:00",
        "problems": [],
    }


def test_pending_events_are_no_problem_by_themselves() -> None:
    """They are shown with the age of the oldest, never below zero."""
    oldest = datetime.fromtimestamp(NOW - 12.3456, UTC)
    ahead = datetime.fromtimestamp(NOW + 5, UTC)

    shown = said(pending=Pending(3, 700, oldest))

    assert shown["status"] == "ok"
    assert shown["inbox_pending_events"] == 3
    assert shown["inbox_pending_bytes"] == 700
    assert shown["oldest_pending_seconds"] == 12.346
    assert said(pending=Pending(3, 700, ahead))["oldest_pending_seconds"] == 0


def test_what_could_not_be_read_is_degraded_and_null() -> None:
    """A number that is not known is no zero, and the reason comes before other problems."""
    shown = said(pending=None, unknown=("the disk does not tell",), processes=("the loader died",))

    assert shown["status"] == "degraded"
    assert shown["problems"] == ["the disk does not tell", "the loader died"]
    assert (shown["inbox_pending_events"], shown["inbox_pending_bytes"]) == (None, None)
    assert shown["oldest_pending_seconds"] is None


def test_a_door_that_would_refuse_is_refusing() -> None:
    """Its reason comes before all others."""
    shown = said(trouble="the disk is full", loader=None)

    assert shown["status"] == "refusing"
    assert shown["problems"] == [
        "the disk is full",
        "the loader has not reported yet: events are kept in the inbox",
    ]


def test_a_loader_that_never_spoke_is_degraded() -> None:
    """Events are taken all the same."""
    shown = said(loader=None)

    assert shown["status"] == "degraded"
    assert shown["last_load_at"] is None


def test_what_the_supervisor_says_is_degraded() -> None:
    """A process that keeps dying is shown before what the loader says."""
    shown = said(processes=("the loader died 3 times",), loader=LoaderStatus(NOW, problems=("x",)))

    assert shown["status"] == "degraded"
    assert shown["problems"] == ["the loader died 3 times", "x"]


@pytest.mark.parametrize(("seconds", "status"), [(60, "ok"), (60.5, "degraded")])
def test_a_loader_that_is_silent_for_a_minute_is_degraded(seconds: float, status: str) -> None:
    """A minute is still in order."""
    assert said(loader=LoaderStatus(NOW - seconds))["status"] == status


def test_the_loaders_own_problems_are_shown() -> None:
    """As it said them, after its silence if it is silent."""
    shown = said(loader=LoaderStatus(NOW - 99, problems=("loading fails",)))

    assert shown["problems"] == [
        "the loader has been silent for 99 s: see its log",
        "loading fails",
    ]
    assert said(loader=LoaderStatus(NOW, problems=("x",)))["problems"] == ["x"]


def test_stale_timestamps_are_degraded_with_advice() -> None:
    """The number and what to do."""
    shown = said(stale_requests=3.0)

    assert shown["status"] == "degraded"
    assert shown["problems"] == [
        "3 rightly signed requests came outside the time window: check the clock here; if it is "
        "right, set CIO_STALE_TIMESTAMPS=accept"
    ]


def test_stale_timestamps_that_are_taken_are_told_without_that_advice() -> None:
    """The clock is still worth a look."""
    (words,) = said(stale_requests=3.0, takes_stale=True)["problems"]  # type: ignore[misc]

    assert words.endswith("and were taken, as CIO_STALE_TIMESTAMPS says: check the clock here")
