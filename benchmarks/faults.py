"""Kill processes a thousand times, and count lost and duplicated events.

    python -m benchmarks.faults --cycles 1000            700 kills between two steps of a load,
                                                         200 of single processes, 100 of all
    python -m benchmarks.faults --cycles 100 --parts groups
    python -m benchmarks.faults --minutes 10             10 minutes for each part
    python -m benchmarks.faults --store databricks       with the double of a workspace
    python -m benchmarks.faults --store databricks --inbox local
                                                         two machines with local inboxes and one
                                                         warehouse
    python -m benchmarks.faults --week                   1,000,000 events without a loader

Prints Markdown for RESULTS.md. Exit code 1 if an event was lost or duplicated.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

from benchmarks import faults_databricks, faults_local, faults_machines
from benchmarks.harness.kills import Outcome
from benchmarks.outcome import machine
from databricks_app.setting_values import Inbox, Store

SHARES = {"points": 0.7, "singles": 0.2, "groups": 0.1}
_WEEK = 1_000_000
_ROOT = Path(__file__).resolve().parents[1]

Run = Callable[[Outcome, Path, random.Random], None]
RUNS: dict[tuple[Store, Inbox], dict[str, Run]] = {
    ("local", "local"): {
        "points": faults_local.points,
        "singles": faults_local.singles,
        "groups": faults_local.groups,
    },
    ("databricks", "volume"): {
        "points": faults_databricks.points,
        "singles": faults_databricks.singles,
        "groups": faults_databricks.groups,
    },
    ("databricks", "local"): {
        "points": faults_machines.points,
        "singles": faults_machines.singles,
        "groups": faults_machines.groups,
    },
}


def lines(name: str, outcome: Outcome) -> Iterable[str]:
    """Write the results of one part as Markdown."""
    where = ", ".join(f"{place} {times}" for place, times in sorted(outcome.where.items()))
    answers = ", ".join(f"{one} {times:,}" for one, times in sorted(outcome.answers.items()))
    yield (
        f"- {name}: {outcome.kills:,} kills in {outcome.seconds:,.0f} s; {len(outcome.sent):,} "
        f"acknowledged events: {outcome.lost} lost, {outcome.doubled} doubled."
        + (f" Where: {where}." if where else "")
        + (f" Senders saw: {answers}." if answers else "")
    )


def main() -> int:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--parts", nargs="+", choices=[*SHARES], default=[*SHARES])
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--store", choices=get_args(Store), default="local")
    parser.add_argument("--inbox", choices=get_args(Inbox), help="Default: that of the store.")
    parser.add_argument("--week", action="store_true")
    chosen = parser.parse_args()
    inbox = chosen.inbox or ("volume" if chosen.store == "databricks" else "local")
    if (chosen.store, inbox) not in RUNS:
        parser.error("--inbox volume needs --store databricks")
    runs = RUNS[chosen.store, inbox]
    whole = sum(SHARES[name] for name in chosen.parts)
    is_bad = False
    with tempfile.TemporaryDirectory(prefix="ciolake-faults-") as parent:
        if chosen.week:
            report = faults_local.week(Path(parent), _WEEK)
            is_bad = "NOT" in report[0]
            print("\n".join(report), flush=True)
            runs = {}
        for name in [name for name in chosen.parts if name in runs]:
            folder = Path(parent) / name
            folder.mkdir()
            cycles = round(chosen.cycles * SHARES[name] / whole)
            started = time.perf_counter()
            outcome = Outcome(started + chosen.minutes * 60, cycles)
            runs[name](outcome, folder, random.Random(chosen.seed))  # noqa: S311  # no secret
            outcome.seconds = time.perf_counter() - started
            is_bad |= bool(outcome.lost or outcome.doubled)
            print("\n".join(lines(name, outcome)), flush=True)
            shutil.rmtree(folder)
        print(f"\n{machine(Path(parent))}")
    return int(is_bad)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(_ROOT)
    sys.exit(main())
