"""A client whose requests come by a schedule, whatever becomes of those before.

    python -m benchmarks.client PORT RATE SECONDS CONNECTIONS [JOURNAL]

Arrivals are at even distances. A request takes a free connection, else opens one, else waits for
one; its latency counts from the moment it was due. One that has no answer 4 s after that is given
up with its connection, as Customer.io does. Prints one JSON object; the journal gets a line with
id and due time (Unix seconds) of each event that was answered 200.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from benchmarks.outcome import percentile
from benchmarks.shapes import request, shapes
from databricks_app.simulation.events import make_ulid

GIVE_UP_SECONDS = 4.0
_SHAPES = 2000


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
        outcomes: Answers by status, and `timeout`, `reset`, `refused` where there was none.
        p50_ms: From due to answered, of all that were answered.
        p99_ms: The same.
        p999_ms: The same.
        late_p99_ms: From due to sent: the client's own delay, and the wait for a connection.
        connections: Most at once.
    """

    outcomes: dict[str, int]
    p50_ms: float
    p99_ms: float
    p999_ms: float
    late_p99_ms: float
    connections: int

    @property
    def total(self) -> int:
        """How many requests there were."""
        return sum(self.outcomes.values())


@dataclass(slots=True, eq=False)
class _Call:
    """A request under way, or waiting for a connection."""

    due: float
    event_id: bytes = b""
    wire: socket.socket | None = None
    answer: bytes = b""
    is_over: bool = False


@dataclass(slots=True)
class Client:
    """One run.

    Attributes:
        port: On loopback.
        rate: Arrivals a second.
        seconds: How long they come.
        connections: Most at once.
        journal: Id and due time of what was acknowledged.
        bodies: Ids and bodies to post.
    """

    port: int
    rate: float
    seconds: float
    connections: int
    journal: list[tuple[bytes, float]] = field(default_factory=list)
    bodies: Iterator[tuple[bytes, bytes]] = field(default_factory=_bodies)
    _outcomes: Counter[str] = field(default_factory=Counter)
    _latencies: list[float] = field(default_factory=list)
    _late: list[float] = field(default_factory=list)
    _free: list[socket.socket] = field(default_factory=list)
    _waiting: deque[_Call] = field(default_factory=deque)
    _under_way: deque[_Call] = field(default_factory=deque)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _poll: select.epoll = field(default_factory=select.epoll)
    _open: int = 0
    _most: int = 0

    def run(self) -> Report:
        """Post until the schedule is over and every request has its outcome."""
        next(self.bodies)
        began = time.monotonic()
        offset = time.time() - began
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
        self.journal = [(event_id, due + offset) for event_id, due in self.journal]
        return self._report()

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
                self._late.append(time.monotonic() - call.due)
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
        self._most = max(self._most, self._open)
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
        self._latencies.append(time.monotonic() - call.due)
        status = call.answer[9:12].decode()
        self._finish(call, status)
        if status == "200":
            self.journal.append((call.event_id, call.due))
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
                self._finish(call, "timeout")
                if call.wire is not None:
                    self._close(call.wire)

    def _finish(self, call: _Call, outcome: str) -> None:
        call.is_over = True
        self._outcomes[outcome] += 1

    def _drop_idle(self, descriptor: int) -> None:
        for wire in [one for one in self._free if one.fileno() == descriptor]:
            self._free.remove(wire)
            self._close(wire)

    def _close(self, wire: socket.socket) -> None:
        self._calls.pop(wire.fileno(), None)
        self._poll.unregister(wire)
        wire.close()
        self._open -= 1

    def _report(self) -> Report:
        p50, p99, p999 = (percentile(self._latencies, share) * 1e3 for share in (0.5, 0.99, 0.999))
        late = percentile(self._late, 0.99) * 1e3
        return Report(dict(self._outcomes), p50, p99, p999, late, self._most)


def main() -> None:
    """Run once and report."""
    port, rate, seconds, connections = map(float, sys.argv[1:5])
    client = Client(int(port), rate, seconds, int(connections))
    report = client.run()
    for path in sys.argv[5:]:
        lines = [f"{event_id.decode()} {due}\n" for event_id, due in client.journal]
        Path(path).write_text("".join(lines))
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main()
