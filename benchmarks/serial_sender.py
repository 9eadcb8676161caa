"""One connection, one request at a time: the rate of a sender that waits for every answer."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.databricks_double import databricks_double
from benchmarks.outcome import Plan, Section, Surroundings, percentile, spread, table
from benchmarks.processes import Server, serving
from benchmarks.shapes import events, request, shapes
from benchmarks.volume import PUT_SECONDS

GOAL = 1000
_RIVAL = "benchmarks.rival"
# Title, and the command; no command is `ciolake serve`.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "local": ("`ciolake serve`, local inbox", ()),
    "unsynced": ("the same without its sync and loader, not durable", (_RIVAL, "unsynced")),
    "nothing": ("the same with nothing stored", (_RIVAL, "nothing")),
    "volume": ("`ciolake serve`, volume inbox", ()),
}
_ANSWER_SECONDS = 10.0
_ANSWER_BYTES = 4096
_FRAME_BYTES = 1000


@dataclass(frozen=True, slots=True)
class _Run:
    """The answers that one sender got.

    Attributes:
        rate: Events per second that were answered 200.
        latencies: Seconds from each request to its answer.
        others: Other answers.
    """

    rate: float
    latencies: Sequence[float]
    others: int

    def milliseconds(self, share: float) -> float:
        """Return a percentile of the latency."""
        return percentile(self.latencies, share) * 1e3


def run(plan: Plan) -> Section:
    """Run each kind once a round, with a new server, in rotating order."""
    count = plan.pick(20_000, 200)
    seconds = plan.pick(10, 1)
    found: dict[str, list[_Run]] = {kind: [] for kind in KINDS}
    syncs: list[list[float]] = []
    around = Surroundings()
    for turn in range(plan.rounds):
        around.look()
        syncs.append(_syncs(plan.folder / "alone", plan.pick(2000, 50)))
        kinds = list(found)
        for kind in kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]:
            requests = _requests(count, turn)
            found[kind].append(_measure(kind, plan.folder / f"{kind}-{turn}", requests, seconds))
    return Section("serial_sender", "One serial sender", _lines(found, syncs, plan), around)


def _requests(count: int, seed: int) -> list[bytes]:
    second = int(time.time())
    made = events(shapes(1000), start=second - 5, seconds=5, count=count, seed=seed)
    return [request(one.body, second) for one in made]


def _measure(kind: str, folder: Path, requests: Sequence[bytes], seconds: float) -> _Run:
    is_volume = kind == "volume"
    double = databricks_double(folder / "workspace") if is_volume else nullcontext()
    with double as workspace:
        variables: dict[str, str] = {}
        if workspace is not None:
            workspace.set("latency", operation="files.put", seconds=PUT_SECONDS)
            variables = workspace.variables
        with serving(folder / "receiver", *KINDS[kind][1], **variables) as server:
            _post(server, requests, min(1.0, seconds / 2))  # warm-up
            return _post(server, requests, seconds)


def _post(server: Server, requests: Sequence[bytes], seconds: float) -> _Run:
    """Post over one kept connection; each request waits for the answer before it."""
    latencies = []
    others = 0
    with socket.create_connection(("127.0.0.1", server.port), _ANSWER_SECONDS) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = now = time.perf_counter()
        while now - began < seconds:
            wire.sendall(requests[len(latencies) % len(requests)])
            # An answer has no body and is one segment on loopback.
            answer = wire.recv(_ANSWER_BYTES)
            others += not answer.startswith(b"HTTP/1.1 200 ")
            before, now = now, time.perf_counter()
            latencies.append(now - before)
            if not answer.endswith(b"\r\n\r\n"):
                raise RuntimeError("the receiver has closed the connection")
    return _Run((len(latencies) - others) / (now - began), latencies, others)


def _syncs(path: Path, count: int) -> list[float]:
    """Return how long the disk alone takes to store as much as one event has, in seconds."""
    found = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for _ in range(count):
            began = time.perf_counter()
            os.write(descriptor, bytes(_FRAME_BYTES))
            os.fdatasync(descriptor)
            found.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return found


def _lines(found: dict[str, list[_Run]], syncs: Sequence[list[float]], plan: Plan) -> list[str]:
    rows = [
        (
            KINDS[kind][0],
            spread(one.rate for one in runs),
            spread((one.milliseconds(0.5) for one in runs), 2),
            spread((one.milliseconds(0.99) for one in runs), 1),
            sum(one.others for one in runs),
        )
        for kind, runs in found.items()
    ]
    disk = [len(times) / sum(times) for times in syncs]
    ratios = (one.rate / alone for one, alone in zip(found["local"], disk, strict=True))
    return [
        "One kept connection; the sender posts the next event only after the answer, as "
        "Customer.io may do it for each webhook. So its rate is 1 / latency, and no group of "
        "requests shares a sync. Sender, receiver and loader share the cores; loopback adds no "
        f"network. Two web workers. The volume is a double whose puts take "
        f"{PUT_SECONDS * 1e3:.0f} ms. {plan.rounds} rounds, each a fresh server, in rotating "
        f"order. Goal: {GOAL:,} events/s with the local inbox. Median (range).",
        "",
        *table(("Inbox", "events/s", "p50 ms", "p99 ms", "not 200"), rows),
        "",
        f"- the disk alone, {_FRAME_BYTES:,} bytes appended and `fdatasync`, before each round: "
        f"{spread(disk)} a second, p50 {spread((percentile(one, 0.5) * 1e3 for one in syncs), 2)} "
        f"ms; the local inbox / the disk alone: x {spread(ratios, 2)}",
    ]
