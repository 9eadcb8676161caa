"""Durable events per second of `ciolake serve` on two cores, while wrk and the loader run too."""

from __future__ import annotations

from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import (
    Throughput,
    await_empty_inbox,
    cpu_seconds,
    saturate,
    serving,
    write_requests,
)
from benchmarks.shapes import shapes
from databricks_app.ingest.inbox.local_reader import pending


def run(plan: Plan) -> Section:
    """Measure the throughput of a whole receiver."""
    around = Surroundings()
    found: list[Throughput] = []
    left, loader = [], []
    requests = plan.folder / "requests"
    seconds = plan.pick(8, 1)
    for turn in range(plan.rounds):
        around.look()
        write_requests(requests, shapes(5000), plan.pick(80_000, 2000), seed=turn)
        with serving(plan.folder / f"beside-{turn}") as server:
            [pid] = server.pids("databricks_app.loading.loader")
            await_empty_inbox(server)
            saturate(server, requests, seconds=1)
            used = cpu_seconds(pid)
            found.append(saturate(server, requests, seconds=seconds))
            loader.append((cpu_seconds(pid) - used) / found[-1].seconds)
            left.append(pending(server.folder / "data" / "inbox").events / found[-1].rate)
    rows = [
        ("durable events/s (goal 2,000)", spread(one.rate for one in found)),
        ("p50 ms", spread((one.p50_ms for one in found), 1)),
        ("p99 ms", spread((one.p99_ms for one in found), 1)),
        ("answers that were not 200", sum(one.others for one in found)),
        ("CPU of all processes, µs an event", spread(one.cpu_us for one in found)),
        ("cores that the loader used", spread(loader, 2)),
        ("backlog at the end, in seconds of receiving", spread(left, 1)),
    ]
    lines = [
        f"`ciolake serve`, default settings: two gunicorn workers and the loader, on the cores "
        f"below; wrk with 32 kept connections beside them, {seconds} s a round after a second of "
        f"warming up, {plan.rounds} rounds, signed events that are all different. Median (range).",
        "",
        *table(("", ""), rows),
    ]
    return Section("beside", "Receiving while the loader runs", lines, around)
