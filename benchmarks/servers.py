"""The two web servers under `ciolake serve`: throughput, tail, and beside clients that dawdle."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import get_args

from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import Flood, Server, flood, serving, write_requests
from benchmarks.shapes import request, shapes
from databricks_app.setting_values import WebServer

SERVERS: tuple[WebServer, ...] = get_args(WebServer)
GOALS: dict[WebServer, int] = {"gunicorn": 2000, "granian": 6000}
_CLIENTS = 32
_DAWDLERS = 200
Found = dict[tuple[WebServer, bool], list[Flood]]


def run(plan: Plan) -> Section:
    """Let each server run once a round, first alone, then beside dawdlers."""
    seconds = plan.pick(3, 1)
    requests = plan.folder / "requests"
    write_requests(requests, shapes(plan.pick(5000, 200)), plan.pick(20_000, 500), seed=1)
    found: Found = {(name, slow): [] for name in SERVERS for slow in (False, True)}
    around = Surroundings()
    for turn in range(plan.rounds):
        around.look()
        for name in SERVERS[:: 1 if turn % 2 else -1]:
            with serving(plan.folder / f"{name}-{turn}", CIO_WEB_SERVER=name) as server:
                flood(server, requests, seconds=1, clients=_CLIENTS)
                alone = flood(server, requests, seconds=seconds, clients=_CLIENTS)
                found[name, False].append(alone)
                with dawdling(server, _DAWDLERS):
                    beside = flood(server, requests, seconds=seconds, clients=_CLIENTS)
                found[name, True].append(beside)
    return Section("servers", "Servers", _lines(found, plan), around)


@contextlib.contextmanager
def dawdling(server: Server, number: int) -> Iterator[None]:
    """Keep connections open that sent nothing, half a head or half a body."""
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
            name,
            f"{_DAWDLERS} dawdling" if slow else "none",
            spread(one.rate for one in runs),
            spread(one.cpu_us for one in runs),
            spread((one.p50_ms for one in runs), 1),
            spread((one.p99_ms for one in runs), 1),
            sum(one.others for one in runs),
        )
        for (name, slow), runs in found.items()
    ]
    pairs = zip(found["granian", False], found["gunicorn", False], strict=True)
    ratios = [fast.rate / usual.rate for fast, usual in pairs if usual.rate]
    heads = ("Server", "other clients", "events/s", "server CPU, µs an event")
    return [
        f"`ciolake serve` with its writer, two workers of 16 threads; wrk on the same cores, "
        f"{_CLIENTS} kept connections, signed simulated events; {plan.rounds} rounds in turns, "
        "each a fresh server, first alone, then beside clients that sent nothing, half a head or "
        f"half a body. granian {version('granian')}. Median (range).",
        "",
        *table((*heads, "p50 ms", "p99 ms", "not 200"), rows),
        "",
        f"- granian / gunicorn: x {spread(ratios, 2)}",
        *(f"- goal of {name}: {goal:,} events/s" for name, goal in GOALS.items()),
    ]
