"""A whole instance within the limits of the Files API: 10 concurrent calls, 100 a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Report
from benchmarks.harness.databricks_double import (
    DatabricksDouble,
    await_loaded,
    databricks_double,
)
from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import reported, schedule, serving

PUT_SECONDS = 0.15
RATES = (20, 200, 1000)
_WORKERS = (2, 4)
_CONNECTIONS = 512
# The loader loads again and again, so that it makes as many calls as it can.
_LOAD_SECONDS = "2"
_DRAIN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Run:
    """One run at a steady rate.

    Attributes:
        report: The client's results.
        seconds: How long the client posted.
        puts: Puts of the inbox, of staged files and of the lease while the client posted.
        refused: Calls that the workspace refused with 429, until all events were loaded.
        most: Highest number of concurrent calls.
        behind_seconds: Seconds from the last answer until all events were loaded.
    """

    report: Report
    seconds: int
    puts: int
    refused: int
    most: int
    behind_seconds: float


def run(plan: Plan) -> Section:
    """Run each rate and number of workers once a round, with a new server and workspace."""
    around = Surroundings()
    seconds = plan.pick(30, 2)
    rates = RATES if not plan.is_smallest else RATES[:1]
    found: dict[tuple[int, int], list[_Run]] = {}
    for turn in range(plan.rounds):
        around.look()
        for workers in _WORKERS:
            for rate in rates:
                folder = plan.folder / f"{turn}-{workers}-{rate}"
                with databricks_double(folder / "double") as double:
                    one = _measure(double, folder / "app", workers, rate, seconds)
                found.setdefault((workers, rate), []).append(one)
    title = "An instance within the limits of the Files API"
    return Section("files_limits", title, _lines(found, plan, seconds), around)


def _measure(double: DatabricksDouble, folder: Path, workers: int, rate: int, seconds: int) -> _Run:
    variables = double.variables | {
        "CIO_WEB_WORKERS": str(workers),
        "CIO_FLUSH_INTERVAL_SECONDS": _LOAD_SECONDS,
        "CIO_FRESHNESS_SECONDS": _LOAD_SECONDS,
    }
    with serving(folder, **variables) as server:
        await_loaded(double)  # so that the loader has created its tables
        double.set("latency", operation="files.put", seconds=PUT_SECONDS)
        before = double.counts().get("files.put", 0)
        client = schedule(server, rate=rate, seconds=seconds, connections=_CONNECTIONS)
        report = reported(client)
        ended = time.perf_counter()
        puts = double.counts().get("files.put", 0) - before
        await_loaded(double, _DRAIN_SECONDS)
        behind = time.perf_counter() - ended
        limits = double.limits()
    return _Run(report, seconds, puts, limits["refused"], limits["max_current"], behind)


def _lines(found: dict[tuple[int, int], list[_Run]], plan: Plan, seconds: int) -> list[str]:
    rows = [
        (
            workers,
            rate,
            sum(one.refused for one in runs),
            max(one.most for one in runs),
            spread((one.report.p50_ms for one in runs), 0),
            spread((one.report.p99_ms for one in runs), 0),
            sum(one.report.total - one.report.outcomes.get("200", 0) for one in runs),
            spread((one.puts / one.seconds for one in runs), 1),
            spread((one.behind_seconds for one in runs), 1),
        )
        for (workers, rate), runs in found.items()
    ]
    heads = (
        *("Web workers", "events/s sent", "calls refused", "most calls at once"),
        *("p50 ms", "p99 ms", "not 200", "puts/s", "loaded after the last answer, s"),
    )
    return [
        "`ciolake serve` with its loader, against the double of a workspace on the same cores, "
        "which refuses more than 10 concurrent calls or 100 a second with 429, and whose puts take "
        f"{PUT_SECONDS * 1e3:.0f} ms. Arrivals at even distances for {seconds} s, over at most "
        f"{_CONNECTIONS} connections; latency counts from the moment a request was due. The "
        f"loader loads every {_LOAD_SECONDS} s; its warehouse is the double's, on the same cores. "
        "Puts are those of the inbox, the staged files and the lease. "
        f"{plan.rounds} rounds. Goals: no call refused and p99 under 1,000 ms at 200 events/s; at "
        "1,000 events/s the loader keeps up. Median (range).",
        "",
        *table(heads, rows),
    ]
