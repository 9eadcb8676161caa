"""An open-loop client: it sends requests by a schedule, also if earlier ones have no answer yet.

    python -m benchmarks.client PORT RATE SECONDS CONNECTIONS [JOURNAL]

Requests are due at equal intervals. A request uses a free connection, or opens one, or waits for
one. Its latency counts from the time at which it was due. A request without an answer 4 s after
that time is given up, and its connection is closed, as Customer.io does. A request that was not
sent by then is counted separately, because the server never saw it. Several processes share a high
rate. The client prints one JSON object. The journal gets a line with the id and the due time (Unix
seconds) of each event that was answered 200.
"""

from __future__ import annotations

import json
import math
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from benchmarks.outcome import percentile
from benchmarks.shapes import request, shapes
from databricks_app.simulator.events.payload import make_ulid

GIVE_UP_SECONDS = 4.0
_FAIR_SECONDS = 2.0  # a request sent later than this leaves the server too little of the 4 s
_SHAPES = 2000
_PROCESS_RATE = 5000.0  # above this rate one process sends late
_MAX_PROCESSES = 4
_START_SECONDS = 0.5


def _bodies() -> Iterator[tuple[bytes, bytes]]:
    """Yield ids and bodies of events that happen now, without end."""
    made = shapes(_SHAPES)
    random = Random()  # noqa: S311  # ids must be different, not secret
    while True:
        for shape in made:
            now = time.time()
            event_id = make_ulid(random, now).encode()
            yield event_id, shape.body(event_id, int(now))


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run.

    Attributes:
        outcomes: Answers by status; without an answer `timeout`, `reset` or `refused`; `unsent` if
            the client could not send the request before it was given up; `late` if it sent it so
            late that the missing answer says nothing about the server.
        p50_ms: Median time from due to answered, of the answered requests.
        p99_ms: The 99th percentile of the same time.
        p999_ms: The 99.9th percentile of the same time.
        late_p99_ms: Time from due to sent: the client's delay and the wait for a connection.
        sent_p99_ms: Time from sent to answered, without the client's delay.
        connections: Highest number of open connections.
    """

    outcomes: dict[str, int]
    p50_ms: float
    p99_ms: float
    p999_ms: float
    late_p99_ms: float
    sent_p99_ms: float
    connections: int

    @property
    def total(self) -> int:
        """Number of requests."""
        return sum(self.outcomes.values())


@dataclass(slots=True)
class Seen:
    """The results of one process.

    Attributes:
        outcomes: As in `Report`.
        latencies: Seconds from due to answered.
        late: Seconds from due to sent.
        service: Seconds from sent to answered.
        connections: Highest number of open connections.
        journal: Id and due time (Unix seconds) of the acknowledged events.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    service: list[float] = field(default_factory=list)
    connections: int = 0
    journal: list[tuple[bytes, float]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Call:
    """A request that waits for a connection or for its answer."""

    due: float
    sent: float = 0.0
    event_id: bytes = b""
    wire: socket.socket | None = None
    answer: bytes = b""
    is_over: bool = False


@dataclass(slots=True)
class Client:
    """One process of a run.

    Attributes:
        port: Port of the server on loopback.
        rate: Requests per second.
        seconds: Duration of the schedule.
        connections: Maximum number of open connections.
        started: When the first request is due, by the clock `time.monotonic`.
        bodies: Ids and bodies to post.
    """

    port: int
    rate: float
    seconds: float
    connections: int
    started: float
    bodies: Iterator[tuple[bytes, bytes]] = field(default_factory=_bodies)
    _seen: Seen = field(default_factory=Seen)
    _free: list[socket.socket] = field(default_factory=list)
    _waiting: deque[_Call] = field(default_factory=deque)
    _running: deque[_Call] = field(default_factory=deque)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _poll: select.epoll = field(default_factory=select.epoll)
    _open: int = 0

    def run(self) -> Seen:
        """Post until the schedule has ended and every request has an outcome."""
        next(self.bodies)  # makes the shapes before the first request is due
        started = self.started
        number, count = 0, int(self.rate * self.seconds)
        while number < count or self._running:
            now = time.monotonic()
            while number < count and started + number / self.rate <= now:
                call = _Call(started + number / self.rate)
                self._running.append(call)
                self._waiting.append(call)
                number += 1
            self._give_up(now)
            self._serve_waiting()
            for descriptor, _ in self._poll.poll(self._pause(started, number, count)):
                self._receive(descriptor)
        offset = time.time() - time.monotonic()
        self._seen.journal = [(event_id, due + offset) for event_id, due in self._seen.journal]
        return self._seen

    def _pause(self, started: float, number: int, count: int) -> float:
        due = started + number / self.rate if number < count else float("inf")
        if self._running:
            due = min(due, self._running[0].due + GIVE_UP_SECONDS)
        return max(0.0, min(1.0, due - time.monotonic()))

    def _serve_waiting(self) -> None:
        """Send the waiting requests, oldest first, while there are connections."""
        while self._waiting:
            call = self._waiting[0]
            wire = None
            if not call.is_over:
                wire = self._free.pop() if self._free else self._connect(call)
            if wire is None and not call.is_over:
                return
            self._waiting.popleft()
            if wire is not None:
                call.sent = time.monotonic()
                self._seen.late.append(call.sent - call.due)
                self._send(call, wire)

    def _connect(self, call: _Call) -> socket.socket | None:
        if self._open >= self.connections:
            return None
        try:
            wire = socket.create_connection(("127.0.0.1", self.port), GIVE_UP_SECONDS)
        except ConnectionRefusedError:
            self._finish(call, "refused")
            return None
        except OSError:
            self._finish(call, "timeout")
            return None
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setblocking(False)
        self._poll.register(wire, select.EPOLLIN)
        self._open += 1
        self._seen.connections = max(self._seen.connections, self._open)
        return wire

    def _send(self, call: _Call, wire: socket.socket) -> None:
        call.event_id, body = next(self.bodies)
        call.wire = wire
        self._calls[wire.fileno()] = call
        try:
            wire.sendall(request(body, int(time.time())))
        except OSError:
            self._finish(call, "reset")
            self._close(wire)

    def _receive(self, descriptor: int) -> None:
        call = self._calls.get(descriptor)
        if call is None or call.wire is None:
            # The server has closed an idle connection.
            for wire in [one for one in self._free if one.fileno() == descriptor]:
                self._free.remove(wire)
                self._close(wire)
            return
        try:
            piece = call.wire.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        call.answer += piece
        if not piece:
            self._finish(call, "reset")
            self._close(call.wire)
        elif call.answer.endswith(b"\r\n\r\n"):  # no answer has a body
            self._answered(call, call.wire)

    def _answered(self, call: _Call, wire: socket.socket) -> None:
        now = time.monotonic()
        self._seen.latencies.append(now - call.due)
        self._seen.service.append(now - call.sent)
        status = call.answer[9:12].decode()
        self._finish(call, status)
        if status == "200":
            self._seen.journal.append((call.event_id, call.due))
        if b"connection: close" in call.answer.lower():
            self._close(wire)
        else:
            del self._calls[wire.fileno()]
            self._free.append(wire)

    def _give_up(self, now: float) -> None:
        while self._running and (
            self._running[0].is_over or self._running[0].due + GIVE_UP_SECONDS <= now
        ):
            call = self._running.popleft()
            if call.is_over:
                continue
            if call.wire is None:
                self._finish(call, "unsent")
            else:
                is_fair = call.sent - call.due <= _FAIR_SECONDS
                self._finish(call, "timeout" if is_fair else "late")
                self._close(call.wire)

    def _finish(self, call: _Call, outcome: str) -> None:
        call.is_over = True
        self._seen.outcomes[outcome] += 1

    def _close(self, wire: socket.socket) -> None:
        self._calls.pop(wire.fileno(), None)
        self._poll.unregister(wire)
        wire.close()
        self._open -= 1


def report(seen: Sequence[Seen]) -> Report:
    """Combine the results of the processes of a run."""
    latencies = [one for part in seen for one in part.latencies]
    p50, p99, p999 = (percentile(latencies, share) * 1e3 for share in (0.5, 0.99, 0.999))
    late = percentile([one for part in seen for one in part.late], 0.99) * 1e3
    sent = percentile([one for part in seen for one in part.service], 0.99) * 1e3
    outcomes = sum((part.outcomes for part in seen), Counter[str]())
    most = sum(part.connections for part in seen)
    return Report(dict(outcomes), p50, p99, p999, late, sent, most)


def run(port: int, rate: float, seconds: float, connections: int) -> list[Seen]:
    """Post at a rate, from as many processes as the rate needs; their requests alternate."""
    number = max(1, min(_MAX_PROCESSES, math.ceil(rate / _PROCESS_RATE)))
    with ProcessPoolExecutor(number) as pool:
        started = time.monotonic() + _START_SECONDS
        parts = [
            pool.submit(
                _run, port, rate / number, seconds, connections // number, started + turn / rate
            )
            for turn in range(number)
        ]
        return [part.result() for part in parts]


def _run(port: int, rate: float, seconds: float, connections: int, started: float) -> Seen:
    return Client(port, rate, seconds, connections, started).run()


def main() -> None:
    """Run once and print the results."""
    port, rate, seconds, connections = map(float, sys.argv[1:5])
    seen = run(int(port), rate, seconds, int(connections))
    for path in sys.argv[5:]:
        journal = [line for part in seen for line in part.journal]
        Path(path).write_text("".join(f"{event_id.decode()} {due}\n" for event_id, due in journal))
    print(json.dumps(asdict(report(seen))))


if __name__ == "__main__":
    main()
