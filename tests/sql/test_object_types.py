"""Every object type is in every view that it belongs to; an invented one is added to prove it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.webhooks import specification
from core.webhooks.event_names import CHANNELS
from databricks_app.events.handlers import HANDLERS_BY_TABLE
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.lake.sql_dialect import statements, tables
from tests.support.new_object_type import NAME, add_to, files_of_contributing
from tests.support.paths import ROOT

# A view with fewer object types than all, and which. Every other view reads every typed table.
_MESSAGES = frozenset(HANDLERS_BY_TABLE) - {"webhook_customer_events"}
_ONLY = {
    "daily_email_engagement": frozenset({"webhook_email_events"}),
    "campaign_performance": _MESSAGES,
    "webhook_error_summary": _MESSAGES,
    "journey_performance": _MESSAGES,
}
_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+(webhook_\w+_events)\b")


def test_object_types_are_those_of_the_specification() -> None:
    """Handlers, tables and the names of subscriptions list the same types."""
    known = {event.object_type for event in specification.events()}

    assert {handler.object_type for handler in HANDLERS_BY_TABLE.values()} == known
    assert {table.name for table in tables()[1:]} == {f"webhook_{name}_events" for name in known}
    assert set(CHANNELS) == known


def test_every_view_reads_every_typed_table() -> None:
    """The views that lack one, by name."""
    lacking = {}
    for view in statements("views"):
        name = view.file.removesuffix(".sql")[3:]
        missing = _ONLY.get(name, frozenset(HANDLERS_BY_TABLE)) - set(_TABLE.findall(view.sql))
        if missing:
            lacking[name] = sorted(missing)

    assert lacking == {}


def run(code: Path, folder: Path) -> dict[str, dict[str, object]]:
    """Load and ask with the code of a copy of the project."""
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests/support/object_type_probe.py"), str(folder)],
        cwd=code,
        env={**os.environ, "PYTHONPATH": str(code)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with events of a type that this version does not know, in the inbox."""
    folder = tmp_path / "data"
    inbox = LocalInbox(folder / "inbox")
    for metric in ("sent", "delivered", "failed"):
        event = {
            "event_id": metric,
            "object_type": NAME,
            "metric": metric,
            "timestamp": 1_763_800_000,
            "data": {
                "identifiers": {"id": "7"},
                "delivery_id": "d",
                "campaign_id": 1,
                "journey_id": "j",
            },
        }
        body = json.dumps(event).encode()
        inbox.append(Record(body, datetime.now(UTC), "1", "0badf00d", len(body)), 5)
    inbox.close()
    return folder


def test_a_new_object_type_is_added_by_the_files_of_contributing(
    tmp_path: Path, folder: Path
) -> None:
    """Its earlier events leave the unrouted ones by a replay, and are in every view."""
    before = run(ROOT, folder)
    copy = tmp_path / "copy"
    for part in ("core", "databricks_app", "sql"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for path in files_of_contributing():
        add_to(copy, path)

    after = run(copy, folder)

    assert before["views"]["webhook_unrouted_events"] == 3
    assert after["views"] == {
        "webhook_unrouted_events": 0,
        "daily_email_engagement": 0,
        "campaign_performance": 1,
        "customer_engagement_summary": 1,
        "webhook_error_summary": 1,
        "journey_performance": 1,
    }
    assert after["verify"]["differences"] == []
    assert after["verify"]["rows"] == {
        **{table.name: 0 for table in tables()},
        "webhook_raw_events": 3,
        f"webhook_{NAME}_events": 3,
    }


def test_every_file_that_lists_the_object_types_is_named() -> None:
    """A module or a view with all of them by hand; the simulator lists what its samples send."""
    types = {handler.object_type for handler in HANDLERS_BY_TABLE.values()} - {"customer"}
    named = set(files_of_contributing())
    listing = set()
    for path in (
        *ROOT.glob("core/**/*.py"),
        *ROOT.glob("databricks_app/**/*.py"),
        *ROOT.glob("sql/views/*.sql"),
    ):
        text = path.read_text("utf-8")
        if all(re.search(rf"(?<![a-z]){name}(?![a-z])", text) for name in types):
            listing.add(path.relative_to(ROOT).as_posix())

    own = {path for path in listing if path.startswith("databricks_app/simulator/")}
    assert listing - own - named == set()
