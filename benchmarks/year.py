"""A year of tables on one disk, against two days of them, and against an earlier release.

`BENCHMARK_BEFORE` names the source tree of an earlier release, e.g. a git worktree. It is then
measured in turns with this one; its year has 30 files a day, as it leaves them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from benchmarks.harness.year_tables import RealDay
from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import ROOT

_DAYS, _FILES, _ROUNDS = 365, 30, 3
_LOADS_A_DAY = 86_400 // 2
_MEASURE = Path(__file__).parent / "harness/year_measure.py"
_COUNT = "SELECT count(*) FROM webhook_email_events"
_UNROUTED = "SELECT count(*) FROM webhook_unrouted_events"


@dataclass(frozen=True, slots=True)
class _Tree:
    """A release, its tables of few and of many days, and what was found."""

    name: str
    root: Path
    few: Path
    many: Path
    loads: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    checkpoints: list[float] = field(default_factory=list)

    def measure(self, plan: Plan, day: str) -> None:
        """Do one round."""
        count = plan.pick(self.loads, 2)
        few = _child(self.root, "loads", self.few, count)["seconds"]
        many = _child(self.root, "loads", self.many, count)
        self.seconds["few"].append(statistics.median(few))
        self.seconds["many"].append(statistics.median(many["seconds"]))
        self.seconds["slowest"].append(max(many["seconds"]))
        self.seconds["ratio"].append(self.seconds["many"][-1] / self.seconds["few"][-1])
        self.checkpoints.append(many["checkpoint_bytes"] / count * _LOADS_A_DAY / 1e9)
        sql = f"{_COUNT} WHERE event_date = DATE '{day}'"
        for name, asked, times in (("count", sql, 2), ("unrouted", _UNROUTED, 1)):
            found = _child(self.root, "ask", self.many, times, asked)
            self.seconds[name].append(min(found["seconds"]))


def run(plan: Plan) -> Section:
    """Make the tables, then measure the releases in turns."""
    around = Surroundings()
    days = plan.pick(_DAYS, 4)
    real = RealDay(plan.folder / "day", plan.pick(_FILES, 2))
    trees = [_tree(plan, real, "now", ROOT, days, loads=82, is_merged=True)]
    if before := os.environ.get("BENCHMARK_BEFORE"):
        trees.insert(0, _tree(plan, real, "before", Path(before), days, loads=20, is_merged=False))
    asked = (real.day - timedelta(days=days // 2)).isoformat()
    for _ in range(min(plan.rounds, _ROUNDS)):
        around.look()
        for tree in trees:
            tree.measure(plan, asked)
    old = plan.folder / "old"
    real.write(old, days, is_merged=False)
    around.look()
    moved = [_child(ROOT, "loads", old, plan.pick(50, 2)) for _ in range(plan.pick(3, 1))]
    return Section("year", "A year on one disk", _lines(plan, trees, moved), around)


def _tree(
    plan: Plan, real: RealDay, name: str, root: Path, days: int, *, loads: int, is_merged: bool
) -> _Tree:
    few, many = plan.folder / f"{name}-few", plan.folder / f"{name}-many"
    real.write(few, 2, is_merged=is_merged)
    real.write(many, days, is_merged=is_merged)
    return _Tree(name, root, few, many, loads)


def _child(root: Path, task: str, folder: Path, *arguments: object) -> dict[str, list[float]]:
    command = [sys.executable, str(_MEASURE), task, str(folder), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _lines(plan: Plan, trees: list[_Tree], moved: list[dict[str, list[float]]]) -> list[str]:
    rows = [
        ("a load, 2 days, ms", *(_ms(tree, "few") for tree in trees)),
        ("a load, the year, ms", *(_ms(tree, "many") for tree in trees)),
        ("ratio (goal 1.5)", *(spread(tree.seconds["ratio"], 2) for tree in trees)),
        ("slowest load of the year, ms", *(_ms(tree, "slowest") for tree in trees)),
        ("count of one day, ms (goal 500)", *(_ms(tree, "count") for tree in trees)),
        ("webhook_unrouted_events, ms", *(_ms(tree, "unrouted") for tree in trees)),
        (
            "checkpoints, GB a day at a load each 2 s",
            *(spread(tree.checkpoints, 1) for tree in trees),
        ),
    ]
    seconds = [one for part in moved for one in part["seconds"]]
    files = [f"{part['files']:,}" for part in moved]
    days = plan.pick(_DAYS, 4)
    loads = " and ".join(f"{plan.pick(tree.loads, 2)} ({tree.name})" for tree in trees)
    return [
        f"Stand-in tables: the files of one real day (12,000 events in {plan.pick(_FILES, 2)} "
        f"loads, nine tables) linked under {days} dates. Batches of 400 new events of today "
        f"through `LocalLake.load`, durable, upkeep as in service; {loads} a round, "
        f"{len(trees[0].checkpoints)} rounds in turns. A year of now is as upkeep leaves it, one "
        "file for each closed day; a year of before (an earlier release) has 30 files a day. "
        "Median (range).",
        "",
        *table(("", *(tree.name for tree in trees)), rows),
        "",
        f"A year of before under the code of now, {len(seconds)} loads one right after the other, "
        f"in which closed days are merged: median {statistics.median(seconds) * 1e3:,.0f} ms, "
        f"slowest {max(seconds) * 1e3:,.0f} ms (goal 2,000). Files of all tables after each "
        f"{len(moved[0]['seconds'])} loads: {', '.join(files)}.",
    ]


def _ms(tree: _Tree, name: str) -> str:
    return spread(one * 1e3 for one in tree.seconds[name])
