"""Throughput and tail latency of `ciolake serve`, with and without slow clients."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import Server, Throughput, saturate, serving, write_requests
from benchmarks.shapes import request, shapes

_CLIENTS = 32
_SLOW_CLIENTS = 200
Found = dict[bool, list[Throughput]]


def run(plan: Plan) -> Section:
    """Run a new server in each round, first without and then with slow clients."""
    seconds = plan.pick(3, 1)
    requests = plan.folder / "requests"
    write_requests(requests, shapes(plan.pick(5000, 200)), plan.pick(20_000, 500), seed=1)
    found: Found = {False: [], True: []}
    around = Surroundings()
    for turn in range(plan.rounds):
        around.look()
        with serving(plan.folder / f"server-{turn}") as server:
            saturate(server, requests, seconds=1, clients=_CLIENTS)
            found[False].append(saturate(server, requests, seconds=seconds, clients=_CLIENTS))
            with slow_connections(server, _SLOW_CLIENTS):
                found[True].append(saturate(server, requests, seconds=seconds, clients=_CLIENTS))
    return Section("slow_clients", "Slow clients", _lines(found, plan), around)


@contextlib.contextmanager
def slow_connections(server: Server, number: int) -> Iterator[None]:
    """Keep connections open that have sent nothing, half a head or half a body."""
    body = b'{"event_id": "never", "metric": "' + b"x" * 500 + b'"}'
    whole = request(body, int(time.time()))
    starts = (b"", whole[:60], whole[:-300])
    with contextlib.ExitStack() as stack:
        for n in range(number):
            wire = socket.create_connection(("127.0.0.1", server.port), 4)
            stack.enter_context(wire).sendall(starts[n % len(starts)])
        yield


def _lines(found: Found, plan: Plan) -> list[str]:
    rows = [
        (
            f"{_SLOW_CLIENTS} slow" if slow else "none",
            spread(one.rate for one in runs),
            spread(one.cpu_us for one in runs),
            spread((one.p50_ms for one in runs), 1),
            spread((one.p99_ms for one in runs), 1),
            sum(one.others for one in runs),
        )
        for slow, runs in found.items()
    ]
    ratios = [
        beside.rate / alone.rate
        for alone, beside in zip(found[False], found[True], strict=True)
        if alone.rate
    ]
    heads = ("other clients", "events/s", "server CPU, µs an event")
    return [
        f"`ciolake serve` with its loader, two workers of 16 threads; wrk on the same cores, "
        f"{_CLIENTS} kept connections, signed simulated events; {plan.rounds} rounds, "
        "each a fresh server, first alone, then beside clients that sent nothing, half a head or "
        "half a body. Median (range).",
        "",
        *table((*heads, "p50 ms", "p99 ms", "not 200"), rows),
        "",
        f"- beside slow clients / alone: x {spread(ratios, 2)}",
    ]
