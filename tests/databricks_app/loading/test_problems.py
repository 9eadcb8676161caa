"""The problems of the loader are in its status, with what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.harness.events import record
from databricks_app.events.workspaces import WorkspaceNames
from databricks_app.loading.problems import LoaderProblems
from tests.support.lake_events import body, event, reading_of
from tests.support.loading import LoaderUnderTest, stopping_when

NOTHING = LoaderProblems(0, 0, 0, 0, -1.0, WorkspaceNames())


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"damaged": 2}, ["2 damaged", "quarantine"]),
        ({"isolated": 1}, ["1 event ", "replay --unrouted"]),
        ({"conflicts": 3}, ["3 events", "key_conflict", "ciolake verify"]),
        ({"unreadable": 4}, ["4 ", "cannot be read", "disk or volume"]),
        ({"clock_seconds_ahead": 3600.0}, ["3600 s ahead", "NTP"]),
        (
            {"workspaces": WorkspaceNames({"0a1b2c3d": "shop"}, {"0a1b2c3d": "default"})},
            ["ciolake workspaces rename default shop"],
        ),
    ],
)
def test_each_problem_is_a_sentence_with_what_to_do(
    found: dict[str, object], words: list[str]
) -> None:
    """Without a problem there is no sentence."""
    (problem,) = replace(NOTHING, **found).sentences()  # type: ignore[arg-type]  # by name

    assert all(word in problem for word in words)
    assert NOTHING.sentences() == ()


def run_once(under_test: LoaderUnderTest) -> tuple[str, ...]:
    """Start, load everything that is ready, and stop; return the problems."""
    stopping_when(under_test.loader, lambda: not under_test.loader.reader.pending().events).run()
    return under_test.statuses[-1].problems


def test_an_event_with_the_key_of_another_one_is_reported(tmp_path: Path) -> None:
    """In the status, and in the counter of unrouted events."""
    under_test = LoaderUnderTest(tmp_path)
    under_test.store(record(body("a", "email/sent")), record(body("a", "sms/sent")))

    (problem,) = run_once(under_test)

    assert "key_conflict" in problem
    assert under_test.sample("unrouted_events_total", reason="key_conflict") == 1


def test_rows_with_a_future_loaded_at_are_reported(tmp_path: Path) -> None:
    """The clock of another machine was ahead, or the clock of this one went back."""
    under_test = LoaderUnderTest(tmp_path)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    under_test.lake.start()
    under_test.lake.load([event("a")], batch_id="b", loaded_at=tomorrow)
    under_test.lake.close()
    under_test.store(record(body("b")))

    (problem,) = run_once(under_test)

    assert "ahead" in problem


def test_a_key_keeps_the_workspace_default_until_its_rows_are_renamed(tmp_path: Path) -> None:
    """So a message that was sent before and opened after belongs to one workspace."""
    under_test = LoaderUnderTest(tmp_path)
    sent = reading_of(body("a", "email/sent", delivery_id="d"))
    under_test.lake.start()
    under_test.lake.load([sent], batch_id="b", loaded_at=datetime.now(UTC))
    under_test.lake.close()
    opened = record(body("b", "email/opened", delivery_id="d"))
    opened = replace(opened, key_fingerprint="0a1b2c3d")
    other = replace(record(body("c", "email/sent", delivery_id="e")), key_fingerprint="4e5f6a7b")
    under_test.loader.workspaces = WorkspaceNames({"0a1b2c3d": "shop", "4e5f6a7b": "brand"})
    under_test.store(opened, other)

    (problem,) = run_once(under_test)

    asked = "SELECT delivery_id, workspace, count(*) FROM webhook_email_events GROUP BY ALL"
    assert sorted(under_test.rows(asked)) == [("d", "default", 2), ("e", "brand", 1)]
    assert "ciolake workspaces rename default shop" in problem
