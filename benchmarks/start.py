"""The time from the start of `ciolake serve` to its first 200."""

from __future__ import annotations

import shutil
import time

from benchmarks.outcome import Plan, Section, Surroundings, spread
from benchmarks.processes import Server, await_first_answer, end, free_port, start


def run(plan: Plan) -> Section:
    """Start receivers one after the other."""
    around = Surroundings()
    found = []
    for turn in range(plan.rounds):
        around.look()
        folder = plan.folder / f"start-{turn}"
        folder.mkdir(parents=True)
        port = free_port()
        started = time.perf_counter()
        process = start(folder, ("databricks_app", "serve"), PORT=port)
        try:
            await_first_answer(Server(process, folder, port))
            found.append(time.perf_counter() - started)
        finally:
            end(process)
            shutil.rmtree(folder)
    lines = [
        f"`ciolake serve` with default settings in an empty folder; {plan.rounds} starts. Goal: "
        f"2 s. Seconds to the first 200: {spread(found, 2)}."
    ]
    return Section("start", "Start", lines, around)
