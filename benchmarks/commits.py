"""The time of a batch after many commits, compared with after few."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from benchmarks.outcome import Plan, Section, Surroundings, percentile, spread, table
from benchmarks.shapes import Made, events, record, shapes
from databricks_app.events.decoding import read
from databricks_app.lake.local.store import LocalLake

BATCH_ROWS = 400  # two seconds at 200 events a second
_WINDOW = 10  # batches in a measurement: one of them writes a checkpoint
_FEW, _MANY = 20, 2000


class Aged:
    """A lake into which small batches are loaded, one after the other.

    Attributes:
        seconds: Duration of every load so far.
    """

    def __init__(self, data_dir: Path, made: Iterator[Made]) -> None:
        self.seconds: list[float] = []
        self._lake = LocalLake(data_dir)
        self._made = made
        self._lake.start()

    def load(self, batches: int) -> list[float]:
        """Load batches; returns the seconds of each."""
        for _ in range(batches):
            now = datetime.now(UTC)
            batch = islice(self._made, BATCH_ROWS)
            readings = [read(record(one, now)) for one in batch]
            started = time.perf_counter()
            self._lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=now)
            self.seconds.append(time.perf_counter() - started)
        return self.seconds[-batches:]

    def close(self) -> None:
        """Close the tables."""
        self._lake.close()


def run(plan: Plan) -> Section:
    """Load many batches into one lake, then compare it with lakes with few batches."""
    around = Surroundings()
    few, many = plan.pick(_FEW, 1), plan.pick(_MANY, 3)
    window = plan.pick(_WINDOW, 1)
    count = (many + few + 2 * window * plan.rounds + window) * BATCH_ROWS
    # At 200 events a second that end now, so that there are few dates, as in production.
    seconds = count / 200
    made = events(shapes(5000), start=time.time() - seconds, seconds=seconds, count=count)
    young, old = plan.folder / "young", plan.folder / "old"
    start = Aged(young, made)
    start.load(few)
    start.close()
    aged = Aged(old, made)
    aged.load(many)
    old_seconds, young_seconds = [], []
    for turn in range(plan.rounds):
        around.look()
        copy = plan.folder / f"young-{turn}"
        shutil.copytree(young, copy)
        fresh = Aged(copy, made)
        # They alternate batch by batch, so that other load on the machine affects both.
        pairs = [(fresh.load(1)[0], aged.load(1)[0]) for _ in range(window)]
        fresh.close()
        young_seconds.append([one for one, _ in pairs])
        old_seconds.append([one for _, one in pairs])
    aged.close()
    lines = _lines(plan, young_seconds, old_seconds, aged.seconds)
    return Section("commits", "A batch after 2,000 commits", lines, around)


def _lines(
    plan: Plan, young: list[list[float]], old: list[list[float]], life: list[float]
) -> list[str]:
    rows = []
    for name, measure in (
        ("middle batch", lambda window: percentile(window, 0.5)),
        ("whole window, upkeep included", sum),
    ):
        mine = [measure(one) * 1e3 for one in young]
        aged = [measure(one) * 1e3 for one in old]
        ratio = [later / sooner for sooner, later in zip(mine, aged, strict=True)]
        rows.append((name, spread(mine), spread(aged), spread(ratio, 2)))
    slow = (f"slowest batch of {len(life):,}", "", f"{max(life) * 1e3:,.0f}", "")
    return [
        f"Batches of {BATCH_ROWS} new events (two seconds at 200/s) through `LocalLake.load`, "
        f"durable, all tables, upkeep as in service: after {plan.pick(_FEW, 1)} commits and after "
        f"{plan.pick(_MANY, 3):,}; windows of {plan.pick(_WINDOW, 1)} batches, batch by batch in "
        f"turns, {plan.rounds} rounds. Goal: 2 x. Median (range).",
        "",
        *table(("ms", "after few", "after many", "ratio"), [*rows, slow]),
    ]
