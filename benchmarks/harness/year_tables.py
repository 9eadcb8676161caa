"""Stand-in tables of many days: the files of one real day, linked under every date.

A key is an id together with a date, so the rows of two days are different events.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks.shapes import Made, events, record, shapes
from databricks_app.events.decoding import read
from databricks_app.lake.local.fsync import LOG, fsync
from databricks_app.lake.local.maintenance import Policy
from databricks_app.lake.local.merge import merge
from databricks_app.lake.local.merge_plan import PlannedMerge
from databricks_app.lake.local.store import LocalLake
from databricks_app.lake.local.table_handle import TableHandle

BATCH_ROWS = 400
_NEVER = 1_000_000


class _Before(Policy):
    """As a table was kept before: the log has the bounds of every column, nothing is merged."""

    def table_properties(self) -> dict[str, str]:
        """See `Policy`."""
        mine = super().table_properties()
        return {name: value for name, value in mine.items() if "StatsColumns" not in name}


@dataclass(frozen=True, slots=True)
class _Day:
    """One table's files of the real day: log actions."""

    head: str
    loose: list[dict[str, Any]]
    closed: dict[str, Any]


class RealDay:
    """A day that was loaded in some batches, and the same day merged.

    Attributes:
        folder: Its data folder.
        day: Its date.
        tables: What the log says, by table.
    """

    def __init__(self, folder: Path, files: int) -> None:
        """Load it into a folder of its own."""
        self.folder = folder
        self.day = datetime.now(UTC).date() - timedelta(days=1)
        lake = LocalLake(folder, policy=_Before(_NEVER, _NEVER))
        lake.start()
        batches = day_batches(self.day, files)
        for batch in batches:
            now = datetime.now(UTC)
            readings = [read(record(one, now)) for one in batch]
            lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=now)
        lake.close()
        logs = sorted(folder.glob(f"tables/*/{LOG}"))
        self.tables = {log.parent.name: self._table(log.parent) for log in logs}

    def _table(self, path: Path) -> _Day:
        texts = [entry.read_text() for entry in sorted((path / LOG).glob("*.json"))]
        loose = [one for text in texts for one in _added(text)]
        handle = TableHandle(path, -1)
        files = tuple(handle.stored_files()[self.day])
        for _ in merge(handle, [PlannedMerge(self.day, files, closes_day=True)], fsync):
            pass
        newest = path / LOG / f"{handle.version:020}.json"
        return _Day(texts[0], loose, _added(newest.read_text())[0])

    def write(self, folder: Path, days: int, *, is_merged: bool) -> None:
        """Make tables of so many days that end yesterday.

        Args:
            folder: The new data folder, on the same disk.
            days: How many.
            is_merged: Whether all but the newest two days are one file each.
        """
        for name, one in self.tables.items():
            path = folder / "tables" / name
            (path / LOG).mkdir(parents=True)
            (path / LOG / f"{0:020}.json").write_text(one.head)
            actions: list[dict[str, Any]] = [{"commitInfo": {"timestamp": 1, "operation": "WRITE"}}]
            for ago in range(days):
                day = self.day - timedelta(days=ago)
                chosen = [one.closed] if is_merged and ago > 1 else one.loose
                actions += [self._linked(path, day, action) for action in chosen]
            text = "".join(json.dumps(action) + "\n" for action in actions)
            (path / LOG / f"{1:020}.json").write_text(text)
            DeltaTable(path).create_checkpoint()

    def _linked(self, path: Path, day: date, action: dict[str, Any]) -> dict[str, Any]:
        file = Path(action["path"]).name
        target = path / f"event_date={day}" / file
        target.parent.mkdir(exist_ok=True)
        os.link(self.folder / "tables" / path.name / action["path"], target)
        where = {"path": f"{target.parent.name}/{file}"}
        return {"add": {**action, **where, "partitionValues": {"event_date": day.isoformat()}}}


def _added(text: str) -> list[dict[str, Any]]:
    actions = [json.loads(line) for line in text.splitlines()]
    return [action["add"] for action in actions if "add" in action]


def day_batches(day: date, batches: int, seed: int = 0) -> Iterator[list[Made]]:
    """Make batches of new events over one day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    seconds = min(86_399.0, max(60.0, time.time() - start))
    count = batches * BATCH_ROWS
    made = events(shapes(5000), start=start, seconds=seconds, count=count, seed=seed)
    for _ in range(batches):
        yield list(islice(made, BATCH_ROWS))
