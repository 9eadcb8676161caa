"""The web worker: only whole requests reach its threads, whatever clients do or leave undone."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from structlog.testing import capture_logs

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.wire import Answer, Wire, connect
from databricks_app.runtime.status import RUN_DIR
from databricks_app.serving.acceptor import Acceptor
from databricks_app.serving.gunicorn.connection import COLLECT_BYTES, HEAD_BYTES
from databricks_app.serving.gunicorn.server import _Log
from databricks_app.serving.gunicorn.worker import LARGE_THREADS, ReceiverWorker

StartResponse = Callable[[str, list[tuple[str, str]]], object]
HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"
GOOD = HEAD + b"Content-Length: 2\r\n\r\nok"
LARGE = HEAD + b"Content-Length: 400000\r\n\r\n"
QUICK_SECONDS = 2.0


class _App:
    """What gunicorn asks for the WSGI app; answers how long the body was.

    Attributes:
        gate: `/wait` is answered when it opens.
        entered: Set when a request for `/wait` is in hand.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()

    def wsgi(self) -> Callable[..., Iterable[bytes]]:
        """Return it."""
        return self._answer

    def _answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        status, said = "200 OK", b"unread"
        if environ["PATH_INFO"] == "/wait":
            self.entered.set()
            self.gate.wait(10)
        if environ["PATH_INFO"] != "/unread":
            try:
                said = b"%d" % len(environ["wsgi.input"].read())
            except OSError:
                status, said = "408 Request Timeout", b""
        start(status, [("Content-Length", str(len(said)))])
        return [said]


class _Worker(ReceiverWorker):
    """A worker in a thread of a test, where it can take no signals."""

    address: tuple[str, int]

    def init_signals(self) -> None:
        """Leave those of the tests alone."""

    def good(self) -> tuple[int, float]:
        """Send a good request; return the status and the seconds that it took."""
        started = time.monotonic()
        with connect(self.address) as wire:
            status = wire.send(GOOD).answer().status
        return status, time.monotonic() - started


def make(
    listener: socket.socket, settings: dict[str, object] | None = None, **limits: object
) -> _Worker:
    """Make a worker that has not begun.

    Args:
        listener: What it accepts from.
        settings: gunicorn's, where they differ.
        limits: Attributes of the class, where they differ.
    """
    cfg = Config()
    chosen = {"threads": 2, "keepalive": 30, "worker_connections": 300, "graceful_timeout": 4}
    for name, value in (chosen | (settings or {})).items():
        cfg.set(name, value)
    kind = type("_Limited", (_Worker,), limits)
    worker: _Worker = kind(1, os.getppid(), [listener], _App(), 30, cfg, _Log(cfg))
    worker.address = listener.getsockname()
    return worker


@contextlib.contextmanager
def working(settings: dict[str, object] | None = None, **limits: object) -> Iterator[_Worker]:
    """Run a worker on a free loopback port; see `make`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = make(listener, settings, **limits)
        thread = threading.Thread(target=worker.init_process)
        thread.start()
        try:
            yield worker
        finally:
            worker.app.gate.set()
            worker.handle_exit(None, None)
            thread.join()
            worker.tmp.close()
            if worker._held is not None:
                worker._held.close()
            for descriptor in worker.PIPE:
                os.close(descriptor)


@pytest.fixture(scope="module")
def shared() -> Iterator[_Worker]:
    """Run one worker for the tests that leave it as it was."""
    with working() as worker:
        yield worker


def answers(worker: _Worker, data: bytes, number: int) -> list[Answer]:
    """Send bytes on one connection and wait for so many answers."""
    with connect(worker.address) as wire:
        wire.send(data)
        return [wire.answer() for _ in range(number)]


def test_worker_answers_many_requests_on_one_connection(shared: _Worker) -> None:
    """A sender may use its connection again."""
    with connect(shared.address) as wire:
        seen = [wire.send(GOOD).answer() for _ in range(3)]

    assert [answer.body for answer in seen] == [b"2"] * 3
    assert "close" not in {answer.headers.get("connection") for answer in seen}


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n", id="asked to"),
        pytest.param(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok", id="HTTP/1.0"),
    ],
)
def test_worker_ends_the_connection_where_the_client_expects_it(
    shared: _Worker, request_bytes: bytes
) -> None:
    """The answer says so, and the end comes in order."""
    with connect(shared.address) as wire:
        answer = wire.send(request_bytes).answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_ended()


def test_worker_answers_requests_sent_ahead_in_their_order(shared: _Worker) -> None:
    """Requests that came together are answered one after the other."""
    data = b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % n + b"x" * n for n in range(5))

    assert [b"%d" % n for n in range(5)] == [one.body for one in answers(shared, data, 5)]


def test_worker_answers_all_that_was_sent_before_the_client_ended(shared: _Worker) -> None:
    """A client that has nothing more to say still hears every answer."""
    with connect(shared.address) as wire:
        wire.send(GOOD + GOOD).socket.shutdown(socket.SHUT_WR)

        assert [wire.answer().status for _ in range(3)] == [200, 200, 0]


def test_worker_ends_a_request_whose_client_has_gone(shared: _Worker) -> None:
    """A head, a part of the body and the end: nothing is waited for."""
    with connect(shared.address) as wire:
        wire.send(GOOD[:-1]).socket.shutdown(socket.SHUT_WR)

        assert wire.is_ended()


def test_worker_reads_a_chunked_body(shared: _Worker) -> None:
    """A body need not announce its length."""
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"

    assert [one.body for one in answers(shared, data + GOOD, 2)] == [b"8", b"2"]


def test_worker_says_that_it_awaits_the_body(shared: _Worker) -> None:
    """A client that asks first is told to go on."""
    with connect(shared.address) as wire:
        wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        first = wire.answer().status
        second = wire.send(b"ok").answer()

    assert (first, second.status, second.body) == (100, 200, b"2")


def test_worker_reads_a_large_body_and_ends_the_connection(shared: _Worker) -> None:
    """Sixty megabytes are read to their end; the answer says that the connection ends."""
    size = 60 << 20
    with connect(shared.address) as wire:
        answer = wire.send(HEAD + b"Content-Length: %d\r\n\r\n" % size + bytes(size)).answer()

    assert (b"%d" % size, "close") == (answer.body, answer.headers["connection"])


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"secret\r\n\r\n", 400, id="no request line"),
        pytest.param(b"GET / HTTP/9.9\r\nHost: secret\r\n\r\n", 400, id="version"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nse cret: 1\r\n\r\n", 400, id="header name"),
        pytest.param(HEAD + b"Content-Length: secret\r\n\r\n", 400, id="length"),
        pytest.param(HEAD + b"Content-Length: 1\r\n" * 2 + b"\r\nx", 400, id="two lengths"),
        pytest.param(HEAD + b"Transfer-Encoding: secret\r\n\r\nzz\r\n", 501, id="coding"),
        pytest.param(HEAD + b"X: " + b"secret" * 2000 + b"\r\n\r\n", 431, id="long header"),
        pytest.param(HEAD + b"X: 1\r\n" * 150 + b"\r\n", 431, id="many headers"),
        pytest.param(HEAD + b"X: " + b"s" * HEAD_BYTES, 431, id="endless header"),
        pytest.param(b"GET /" + b"s" * 5000 + b" HTTP/1.1\r\n\r\n", 414, id="long line"),
        pytest.param(b"GET /" + b"s" * HEAD_BYTES, 414, id="endless line"),
    ],
)
def test_worker_refuses_what_is_no_request_and_quotes_nothing_of_it(
    shared: _Worker, request_bytes: bytes, status: int
) -> None:
    """The status says why; neither answer nor log repeats what was sent."""
    with capture_logs() as lines, connect(shared.address) as wire:
        answer = wire.send(request_bytes).answer()
        ended = wire.is_ended()

    assert (status, True) == (answer.status, ended)
    assert answer.body == b""
    assert "secret" not in repr((answer, lines))


def test_worker_keeps_its_promise_after_a_body_that_nobody_read(shared: _Worker) -> None:
    """An answer without `Connection: close` means that the next request is answered."""
    unread = b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)

    assert [one.body for one in answers(shared, unread + GOOD, 2)] == [b"unread", b"2"]


def test_worker_answers_a_large_body_that_nobody_reads(shared: _Worker) -> None:
    """The client hears the answer, not a reset, though it sends on for a while."""
    size = 20 << 20
    data = b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    with connect(shared.address) as wire:
        answer = wire.send(data).answer()

        assert (answer.body, answer.headers["connection"]) == (b"unread", "close")
        assert wire.is_ended()


def test_worker_answers_once_though_the_unread_body_is_broken(shared: _Worker) -> None:
    """After the answer nothing more is said, and the connection ends."""
    data = b"POST /unread HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with connect(shared.address) as wire:
        answer = wire.send(data).answer()

        assert answer.body == b"unread"
        assert wire.is_ended()


def test_worker_outlives_a_client_that_resets_at_once(shared: _Worker) -> None:
    """Connections that are gone before they are looked at do no harm."""
    for _ in range(20):
        with connect(shared.address) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert shared.good()[0] == 200


@contextlib.contextmanager
def dripping(worker: _Worker, start: bytes, number: int) -> Iterator[list[Wire]]:
    """Hold connections open that begin a request and go on with a byte now and then."""
    ending = threading.Event()
    wires = [connect(worker.address) for _ in range(number)]

    def drip() -> None:
        while not ending.wait(0.1):
            for wire in wires:
                with contextlib.suppress(OSError):
                    wire.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        for wire in wires:
            wire.send(start)
        yield wires
    finally:
        ending.set()
        thread.join()
        for wire in wires:
            wire.socket.close()


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD, id="half a head"),
        pytest.param(HEAD + b"Content-Length: 1000\r\n\r\n", id="half a body"),
        pytest.param(HEAD + b"Content-Length: 0000000000000000000001000\r\n\r\n", id="digits"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n100\r\n0\r\n\r\n", id="looks like the end"
        ),
        pytest.param(HEAD + b"".join(b"X%d: %6000d\r\n" % (n, n) for n in range(10)), id="heads"),
        pytest.param(LARGE, id="large body"),
        pytest.param(HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", id="asks first"),
    ],
)
def test_worker_answers_quickly_beside_clients_that_dawdle(start: bytes) -> None:
    """Fifty that send a byte now and then occupy no thread that others need."""
    with working() as worker, dripping(worker, start, 50):
        status, seconds = worker.good()

    assert status == 200
    assert seconds < QUICK_SECONDS


@pytest.mark.parametrize(
    ("start", "status"),
    [
        pytest.param(HEAD, 408, id="half a head"),
        pytest.param(HEAD + b"Content-Length: 1000\r\n\r\n", 408, id="half a body"),
        pytest.param(LARGE, 408, id="large body"),
    ],
)
def test_worker_ends_a_request_that_takes_too_long(start: bytes, status: int) -> None:
    """It is answered and the connection ends, though bytes keep coming."""
    with working(request_seconds=0.3) as worker, dripping(worker, start, 1) as wires:
        answer = wires[0].answer()

        assert answer.status == status
        assert wires[0].is_ended()


def test_worker_ends_a_connection_that_says_nothing() -> None:
    """It is answered too, for its first word may be under way just then."""
    with working(request_seconds=0.3) as worker, connect(worker.address) as wire:
        assert wire.answer().status == 503
        assert wire.is_ended()


def test_worker_frees_the_threads_of_large_bodies() -> None:
    """Clients that drip large bodies are ended, and the next one is read."""
    with working(request_seconds=0.5) as worker, dripping(worker, LARGE, LARGE_THREADS):
        answer = answers(worker, LARGE + bytes(400_000), 1)[0]

    assert answer.body == b"400000"


def test_worker_drops_the_oldest_when_too_much_is_unfinished() -> None:
    """What unfinished requests keep in memory is bounded; new ones are served."""
    half = COLLECT_BYTES // 4
    part = HEAD + b"Content-Length: %d\r\n\r\n" % (2 * half) + bytes(half)
    with working(buffered_bytes=2 * len(part)) as worker, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(connect(worker.address)) for _ in range(3)]
        for wire in wires:
            wire.send(part)

        assert wires[0].answer().status == 408
        assert worker.good()[0] == 200
        for wire in wires[1:]:
            assert wire.send(bytes(half)).answer().status == 200


def test_worker_drops_a_connection_that_is_ready_in_the_same_turn() -> None:
    """What was dropped for another connection is not read in the same turn of the loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = make(listener, {"worker_connections": 4, "threads": 1})
        worker.poller = selectors.DefaultSelector()
        worker.set_accept_enabled(True)
        with contextlib.ExitStack() as stack:
            wires = []
            for _ in range(3):
                wires.append(stack.enter_context(connect(worker.address)))
                worker.wait_for_and_dispatch_events(1)
            stack.enter_context(connect(worker.address))
            wires[0].socket.close()

            worker.wait_for_and_dispatch_events(1)

            assert len(worker.pending_conns) == 3
            for conn in worker.pending_conns:
                conn.close()
        worker.poller.close()
        worker.tmp.close()


def test_worker_answers_a_request_that_meets_the_end_of_an_idle_connection() -> None:
    """A sender that uses its connection just as it ends hears 503, not a reset."""
    with working({"keepalive": 1}) as worker, connect(worker.address) as wire:
        wire.send(GOOD).answer()
        wait_until(lambda: len(worker.keepalived_conns) == 1)
        wait_until(lambda: not worker.keepalived_conns)

        answer = wire.send(GOOD).answer()

        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert wire.is_ended()


def test_worker_finishes_what_is_in_hand_when_it_stops() -> None:
    """A request in hand is answered, one that is unfinished and an idle connection get 503."""
    with working() as worker, contextlib.ExitStack() as stack:
        busy, idle, half = (stack.enter_context(connect(worker.address)) for _ in range(3))
        idle.send(GOOD).answer()
        half.send(HEAD)
        busy.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        worker.app.entered.wait(5)
        wait_until(lambda: len(worker.pending_conns) == 1)
        worker.handle_exit(None, None)
        worker.app.gate.set()

        first, second = busy.answer(), busy.send(GOOD).answer()

        assert (first.status, second.status, second.headers["connection"]) == (200, 200, "close")
        assert [wire.answer().status for wire in (idle, half)] == [503, 503]


def test_worker_without_its_master_says_that_connections_end() -> None:
    """An orphan stops in order: it does not cut off connections that it promised to keep."""
    with working() as worker, connect(worker.address) as wire:
        wire.send(GOOD).answer()
        worker.ppid = 0
        wait_until(lambda: not worker.alive)

        answer = wire.send(GOOD).answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_worker_takes_its_connections_from_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections come from there, and nothing is left there once they have ended."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public)
        acceptor.start()
        with working() as worker:
            worker.address = public.getsockname()
            seen = [worker.good()[0] for _ in range(20)]
            with connect(worker.address) as wire:
                wire.send(GOOD + GOOD)
                seen += [wire.answer().status for _ in range(2)]
        acceptor.stop()

    assert seen == [200] * 22


def test_worker_stops_when_the_supervisor_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the supervisor no connection can come any more."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public)
        acceptor.start()
        with working() as worker:
            worker.address = public.getsockname()
            worker.good()
            acceptor.stop()

            wait_until(lambda: not worker.alive)
