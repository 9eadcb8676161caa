"""Latency at half of the sustainable rate, and the answers at twice that rate."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.client import Report
from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import (
    Server,
    await_empty_inbox,
    reported,
    resident_megabytes,
    saturate,
    schedule,
    serving,
    write_requests,
)
from benchmarks.shapes import shapes
from databricks_app.ingest.inbox.local_reader import pending

_CONNECTIONS = 512
_LOOK_SECONDS = 0.25


@dataclass(slots=True)
class Run:
    """One run at a steady rate.

    Attributes:
        rate: Requests per second.
        report: The client's results.
        pending: Events in the inbox, sampled during the run.
        megabytes: Resident memory of the largest web worker, sampled during the run.
    """

    rate: float
    report: Report
    pending: list[int] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Mean backlog of the last third of the run, divided by that of the third before."""
        third = max(1, len(self.pending) // 3)
        last, before = self.pending[-third:], self.pending[-2 * third : -third]
        return (sum(last) + 1) / (sum(before) + 1)


def run(plan: Plan) -> Section:
    """Find the sustainable rate, then run at half of it and at twice it."""
    around = Surroundings()
    seconds = plan.pick(8, 1)
    requests = plan.folder / "requests"
    found: dict[float, list[Run]] = {0.5: [], 2.0: []}
    rates = []
    for turn in range(plan.rounds):
        around.look()
        write_requests(requests, shapes(2000), plan.pick(40_000, 500), seed=turn)
        with serving(plan.folder / f"rate-{turn}") as server:
            await_empty_inbox(server)
            saturate(server, requests, seconds=1)
            rate = saturate(server, requests, seconds=plan.pick(4, 1)).rate
        rates.append(rate)
        for share, runs in found.items():
            with serving(plan.folder / f"open-{share}-{turn}") as server:
                runs.append(steady(server, rate * share, seconds))
    return Section("open_loop", "Open-loop load", _lines(plan, rates, found, seconds), around)


def steady(server: Server, rate: float, seconds: float) -> Run:
    """Post at a rate, and sample backlog and memory during the run."""
    await_empty_inbox(server)  # so that the loader has created its tables
    client = schedule(server, rate=rate, seconds=seconds, connections=_CONNECTIONS)
    workers = server.workers()
    backlog, megabytes = [], []
    while client.poll() is None:
        backlog.append(pending(server.folder / "data" / "inbox").events)
        megabytes.append(max(map(resident_megabytes, workers)))
        time.sleep(_LOOK_SECONDS)
    return Run(rate, reported(client), backlog, megabytes)


def _lines(
    plan: Plan, rates: list[float], found: dict[float, list[Run]], seconds: float
) -> list[str]:
    rows = []
    for share, runs in found.items():
        outcomes = sum((Counter(one.report.outcomes) for one in runs), Counter[str]())
        rows.append(
            (
                f"{share:g} x",
                spread(one.rate for one in runs),
                spread((one.report.p50_ms for one in runs), 1),
                spread((one.report.p99_ms for one in runs), 1),
                spread((one.report.p999_ms for one in runs), 1),
                spread((one.report.late_p99_ms for one in runs), 1),
                spread((one.report.sent_p99_ms for one in runs), 1),
                ", ".join(f"{name}: {number:,}" for name, number in sorted(outcomes.items())),
                spread(max(one.megabytes) for one in runs),
                spread((one.growth for one in runs), 2),
            )
        )
    return [
        f"`ciolake serve`, default settings (two workers, loader beside them). The sustainable "
        f"rate is what wrk reaches with 32 connections right before: {spread(rates)} events/s. "
        f"Then {seconds:g} s of arrivals at even distances, over at most {_CONNECTIONS} "
        "connections; latency counts from the moment a request was due; no answer within 4 s is a "
        "time-out; what the client had not sent by then is `unsent`, what it sent after half of "
        "them `late`: neither says anything of the server. "
        f"{plan.rounds} rounds, client on the same cores. Goals: p99 50 ms at half; at "
        "twice no status but 200 and 503, memory bounded. Median (range).",
        "",
        *table(
            (
                *("Rate", "arrivals/s", "p50 ms", "p99 ms", "p99.9 ms", "sent late, p99 ms"),
                *(
                    "from sent, p99 ms",
                    "outcomes, all rounds",
                    "largest worker, MB",
                    "backlog, last third / before",
                ),
            ),
            rows,
        ),
    ]
