"""Run the benchmarks and write the results into RESULTS.md.

python -m benchmarks                   runs all; takes almost two hours
python -m benchmarks receive start     runs only these
python -m benchmarks --smallest        checks in a minute that all of them work; writes nothing
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import (
    beside,
    commits,
    files_limits,
    freshness,
    large_events,
    load,
    memory,
    merge,
    open_loop,
    outcome,
    receive,
    serial_sender,
    slow_clients,
    staging,
    start,
    volume,
    warehouse,
    warehouse_days,
    year,
)
from benchmarks.outcome import Benchmark, Plan

BENCHMARKS: dict[str, Benchmark] = {
    "start": start.run,
    "receive": receive.run,
    "serial_sender": serial_sender.run,
    "slow_clients": slow_clients.run,
    "open_loop": open_loop.run,
    "beside": beside.run,
    "freshness": freshness.run,
    "load": load.run,
    "large_events": large_events.run,
    "commits": commits.run,
    "merge": merge.run,
    "memory": memory.run,
    "volume": volume.run,
    "files_limits": files_limits.run,
    "warehouse": warehouse.run,
    "staging": staging.run,
    "warehouse_days": warehouse_days.run,
    "year": year.run,
}
# A separate script, because it installs the clients that it compares with.
SCRIPTS = {"pipelines_queue": Path(__file__).with_name("pipelines_queue.py")}


def main() -> int:
    """Run the benchmarks that the command line names."""
    names = [*BENCHMARKS, *SCRIPTS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(names))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smallest", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    for name in arguments.names or names:
        if name in SCRIPTS:
            if not arguments.smallest:
                subprocess.run([sys.executable, SCRIPTS[name], "--write"], check=True)
            continue
        with tempfile.TemporaryDirectory(prefix="ciolake-benchmark-") as folder:
            rounds = 1 if arguments.smallest else arguments.rounds
            plan = Plan(Path(folder), rounds, arguments.smallest)
            text = BENCHMARKS[name](plan).text(plan.folder)
        print(text, end="\n\n", flush=True)
        if not arguments.smallest:
            outcome.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
