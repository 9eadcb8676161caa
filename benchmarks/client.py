"""A client whose requests come by a schedule, whatever becomes of those before.

    python -m benchmarks.client PORT RATE SECONDS CONNECTIONS [JOURNAL]

Arrivals are at even distances. A request takes a free connection, else opens one, else waits for
one; its latency counts from the moment it was due. One that has no answer 4 s after that is given
up with its connection, as Customer.io does; one that was still not sent by then is counted apart,
for the server never saw it. High rates are shared among processes. Prints one JSON object; the
journal gets a line with id and due time (Unix seconds) of each event that was answered 200.
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
_FAIR_SECONDS = 2.0  # what is sent later leaves the server too little of the 4 s
_SHAPES = 2000
_PROCESS_RATE = 5000.0  # above it one process begins to send late
_MOST_PROCESSES = 4
_START_SECONDS = 0.5


def _bodies() -> Iterator[tuple[bytes, bytes]]:
    """Make ids and bodies of events of now, without end."""
    made = shapes(_SHAPES)
    random = Random()  # noqa: S311  # ids need be different, not secret
    while True:
        for shape in made:
            now = time.time()
            event_id = make_ulid(random, now).encode()
            yield event_id, shape.body(event_id, int(now))


@dataclass(frozen=True, slots=True)
class Report:
    """What a run saw.

    Attributes:
        outcomes: Answers by status; `timeout`, `reset`, `refused` where there was none; `unsent`
            where the client had no time or no connection to send it before it was given up,
            `late` where it sent it so late that no answer in time says nothing of the server.
        p50_ms: From due to answered, of all that were answered.
        p99_ms: The same.
        p999_ms: The same.
        late_p99_ms: From due to sent: the client's own delay, and the wait for a connection.
        sent_p99_ms: From sent to answered: without the client's own delay before it.
        connections: Most at once.
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
        """How many requests there were."""
        return sum(self.outcomes.values())


@dataclass(slots=True)
class Seen:
    """What one process saw.

    Attributes:
        outcomes: As in `Report`.
        latencies: Seconds from due to answered.
        late: Seconds from due to sent.
        service: Seconds from sent to answered.
        connections: Most at once.
        journal: Id and due time (Unix seconds) of what was acknowledged.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    service: list[float] = field(default_factory=list)
    connections: int = 0
    journal: list[tuple[bytes, float]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Call:
    """A request under way, or waiting for a connection."""

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
        port: On loopback.
        rate: Arrivals a second.
        seconds: How long they come.
        connections: Most at once.
        began: When the first one is due, by the clock `time.monotonic`.
        bodies: Ids and bodies to post.
    """

    port: int
    rate: float
    seconds: float
    connections: int
    began: float
    bodies: Iterator[tuple[bytes, bytes]] = field(default_factory=_bodies)
    _seen: Seen = field(default_factory=Seen)
    _free: list[socket.socket] = field(default_factory=list)
    _waiting: deque[_Call] = field(default_factory=deque)
    _under_way: deque[_Call] = field(default_factory=deque)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _poll: select.epoll = field(default_factory=select.epoll)
    _open: int = 0

    def run(self) -> Seen:
        """Post until the schedule is over and every request has its outcome."""
        next(self.bodies)  # makes the shapes
        began = self.began
        number, count = 0, int(self.rate * self.seconds)
        while number < count or self._under_way:
            now = time.monotonic()
            while number < count and began + number / self.rate <= now:
                call = _Call(began + number / self.rate)
                self._under_way.append(call)
                self._waiting.append(call)
                number += 1
            self._give_up(now)
            self._serve_waiting()
            for descriptor, _ in self._poll.poll(self._pause(began, number, count)):
                self._hear(descriptor)
        offset = time.time() - time.monotonic()
        self._seen.journal = [(event_id, due + offset) for event_id, due in self._seen.journal]
        return self._seen

    def _pause(self, began: float, number: int, count: int) -> float:
        due = began + number / self.rate if number < count else float("inf")
        if self._under_way:
            due = min(due, self._under_way[0].due + GIVE_UP_SECONDS)
        return max(0.0, min(1.0, due - time.monotonic()))

    def _serve_waiting(self) -> None:
        """Send what is due, first come, first served, while there are connections for it."""
        while self._waiting:
            call = self._waiting[0]
            wire = None if call.is_over else self._connection(call)
            if wire is None and not call.is_over:
                return
            self._waiting.popleft()
            if wire is not None:
                call.sent = time.monotonic()
                self._seen.late.append(call.sent - call.due)
                self._send(call, wire)

    def _connection(self, call: _Call) -> socket.socket | None:
        return self._free.pop() if self._free else self._connect(call)

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

    def _hear(self, descriptor: int) -> None:
        call = self._calls.get(descriptor)
        if call is None or call.wire is None:
            self._drop_idle(descriptor)
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
        while self._under_way and (
            self._under_way[0].is_over or self._under_way[0].due + GIVE_UP_SECONDS <= now
        ):
            call = self._under_way.popleft()
            if not call.is_over:
                self._finish(call, _given_up(call))
                if call.wire is not None:
                    self._close(call.wire)

    def _finish(self, call: _Call, outcome: str) -> None:
        call.is_over = True
        self._seen.outcomes[outcome] += 1

    def _drop_idle(self, descriptor: int) -> None:
        for wire in [one for one in self._free if one.fileno() == descriptor]:
            self._free.remove(wire)
            self._close(wire)

    def _close(self, wire: socket.socket) -> None:
        self._calls.pop(wire.fileno(), None)
        self._poll.unregister(wire)
        wire.close()
        self._open -= 1


def _given_up(call: _Call) -> str:
    if call.wire is None:
        return "unsent"
    return "timeout" if call.sent - call.due <= _FAIR_SECONDS else "late"


def report(seen: Sequence[Seen]) -> Report:
    """Put together what the processes of a run saw."""
    latencies = [one for part in seen for one in part.latencies]
    p50, p99, p999 = (percentile(latencies, share) * 1e3 for share in (0.5, 0.99, 0.999))
    late = percentile([one for part in seen for one in part.late], 0.99) * 1e3
    sent = percentile([one for part in seen for one in part.service], 0.99) * 1e3
    outcomes = sum((part.outcomes for part in seen), Counter[str]())
    most = sum(part.connections for part in seen)
    return Report(dict(outcomes), p50, p99, p999, late, sent, most)


def run(port: int, rate: float, seconds: float, connections: int) -> list[Seen]:
    """Post at a rate, from as many processes as it takes; they take turns."""
    number = max(1, min(_MOST_PROCESSES, math.ceil(rate / _PROCESS_RATE)))
    with ProcessPoolExecutor(number) as pool:
        began = time.monotonic() + _START_SECONDS
        parts = [
            pool.submit(
                _run, port, rate / number, seconds, connections // number, began + turn / rate
            )
            for turn in range(number)
        ]
        return [part.result() for part in parts]


def _run(port: int, rate: float, seconds: float, connections: int, began: float) -> Seen:
    return Client(port, rate, seconds, connections, began).run()


def main() -> None:
    """Run once and report."""
    port, rate, seconds, connections = map(float, sys.argv[1:5])
    seen = run(int(port), rate, seconds, int(connections))
    for path in sys.argv[5:]:
        journal = [line for part in seen for line in part.journal]
        Path(path).write_text("".join(f"{event_id.decode()} {due}\n" for event_id, due in journal))
    print(json.dumps(asdict(report(seen))))


if __name__ == "__main__":
    main()
