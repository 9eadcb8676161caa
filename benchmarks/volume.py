"""Receiving into a volume whose puts are slow, as in a real workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.databricks_double import DatabricksDouble, databricks_double
from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import Throughput, saturate, serving, write_requests
from benchmarks.shapes import shapes
from databricks_app.ingest.inbox.put_spacing import PutSpacing

PUT_SECONDS = 0.15
GOAL = 0.8
_CONNECTIONS = (64, 256)
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class _Run:
    """The throughput of the clients, and the number of puts in that time."""

    throughput: Throughput
    puts: int


def run(plan: Plan) -> Section:
    """Run each number of connections once a round, with a new server."""
    requests = plan.folder / "requests"
    write_requests(requests, shapes(plan.pick(5000, 200)), plan.pick(20_000, 500), seed=1)
    found: dict[int, list[_Run]] = {connections: [] for connections in _CONNECTIONS}
    around = Surroundings()
    with databricks_double(plan.folder / "workspace") as double:
        double.set("latency", operation="files.put", seconds=PUT_SECONDS)
        for turn in range(plan.rounds):
            around.look()
            for connections, runs in found.items():
                folder = plan.folder / f"{connections}-{turn}"
                runs.append(_measure(double, folder, requests, connections, plan.pick(6, 1)))
    return Section("volume", "Receiving into a volume", _lines(found, plan), around)


def _measure(
    double: DatabricksDouble, folder: Path, requests: Path, connections: int, seconds: int
) -> _Run:
    with serving(
        folder, "benchmarks.rival", "ours", CIO_WEB_WORKERS=_WORKERS, **double.variables
    ) as one:
        saturate(one, requests, seconds=1, clients=connections)
        before = _puts(double)
        throughput = saturate(one, requests, seconds=seconds, clients=connections)
        return _Run(throughput, _puts(double) - before)


def _puts(double: DatabricksDouble) -> int:
    return double.counts().get("files.put", 0)


def _lines(found: dict[int, list[_Run]], plan: Plan) -> list[str]:
    seconds = PutSpacing(processes=_WORKERS).seconds + PUT_SECONDS
    expected = {count: count / seconds for count in found}
    rows = [
        (
            connections,
            spread(one.throughput.rate for one in runs),
            spread((one.throughput.rate / expected[connections] for one in runs), 2),
            spread((one.throughput.p50_ms for one in runs), 0),
            spread((one.throughput.p99_ms for one in runs), 0),
            spread((one.puts / one.throughput.seconds for one in runs), 1),
            sum(one.throughput.others for one in runs),
        )
        for connections, runs in found.items()
    ]
    heads = (
        "Connections",
        "events/s",
        "of connections / (spacing + put)",
        "p50 ms",
        "p99 ms",
    )
    return [
        f"The receiver without its loader, {_WORKERS} workers; a double of a workspace on the same "
        f"cores whose puts take {PUT_SECONDS * 1e3:.0f} ms; wrk, kept connections, each of which "
        "waits for its answer. While more than one request waits, the puts of a worker are spaced "
        f"by {seconds - PUT_SECONDS:g} s, because each put costs money. "
        f"{plan.rounds} rounds, each a fresh server. Goal: {GOAL}. Median (range).",
        "",
        *table((*heads, "puts/s", "not 200"), rows),
    ]
