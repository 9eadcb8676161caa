"""Memory of the web workers during a million events; `load` measures that of the loader."""

from __future__ import annotations

from benchmarks.outcome import Plan, Section, Surroundings, table
from benchmarks.processes import Server, resident_megabytes, saturate, serving, write_requests
from benchmarks.shapes import shapes

_STEPS = 10


def run(plan: Plan) -> Section:
    """Post until two web workers have acknowledged all events, and record their memory."""
    around = Surroundings()
    around.look()
    count = plan.pick(1_000_000, 2000)
    requests = plan.folder / "requests"
    write_requests(requests, shapes(5000), plan.pick(40_000, 500), seed=5)
    done = others = 0
    with serving(plan.folder / "memory", "benchmarks.rival", "ours") as server:
        rows = [_row(server, done)]
        while done < count:
            found = saturate(server, requests, seconds=plan.pick(10, 1))
            done, others = done + found.acknowledged, others + found.others
            if done >= count * len(rows) // _STEPS:
                rows.append(_row(server, done))
    lines = [
        "Two web workers as `ciolake serve` runs them, without the loader; wrk posted over 32 kept "
        f"connections until {count:,} events were durable; once. Not answered 200: {others}. "
        "Goal: 120 MB a worker, flat. The loader's memory is under Loading.",
        "",
        *table(("events acknowledged", "resident, MB, of each worker"), rows),
    ]
    return Section("memory", "Memory of the web workers", lines, around)


def _row(server: Server, done: int) -> tuple[str, str]:
    megabytes = ", ".join(f"{resident_megabytes(pid):.1f}" for pid in server.workers())
    return (f"{done:,}", megabytes)
