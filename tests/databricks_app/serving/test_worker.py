"""The web worker: no client blocks another one."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.errors import ConfigError
from structlog.testing import capture_logs

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.wire import Answer, Wire, connect
from databricks_app.runtime.status import RUN_DIR
from databricks_app.serving.acceptor import Acceptor
from databricks_app.serving.http.parser import HEAD_BYTES
from databricks_app.serving.http.pool import Limits
from databricks_app.serving.kernel import share_of_files
from databricks_app.serving.server import _Log
from databricks_app.serving.worker import ReceiverWorker

StartResponse = Callable[[str, list[tuple[str, str]]], object]
HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"
GOOD = HEAD + b"Content-Length: 2\r\n\r\nok"
LARGE = HEAD + b"Content-Length: 400000\r\n\r\n"
QUICK_SECONDS = 2.0


class _App:
    """What gunicorn asks for the WSGI app; answers how long the body was.

    Attributes:
        gate: `/wait` is answered when it opens.
        entered: Set when a request for `/wait` is in progress.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()

    def wsgi(self) -> Callable[..., Iterable[bytes]]:
        """Return it."""
        return self._answer

    def _answer(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        status, body = "200 OK", b"unread"
        if environ["PATH_INFO"] == "/wait":
            self.entered.set()
            self.gate.wait(10)
        if environ["PATH_INFO"] != "/unread":
            try:
                body = b"%d" % len(environ["wsgi.input"].read())
            except OSError:
                status, body = "408 Request Timeout", b""
        start(status, [("Content-Length", str(len(body)))])
        return [body]


class _Worker(ReceiverWorker):
    """A worker in a thread of the test, which cannot handle signals.

    Attributes:
        address: Where it listens.
        client_socket: A client's socket.
        received: For each connection that was released, whether that client had received bytes.
    """

    address: tuple[str, int]
    client_socket: socket.socket | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.received: list[bool] = []

    def init_signals(self) -> None:
        """Keep the signals of the tests."""

    def _release(self, number: int) -> None:
        """Record what the client has received by now."""
        self.received.append(
            self.client_socket is not None
            and bool(select.select([self.client_socket], [], [], 0)[0])
        )
        super()._release(number)

    def stop(self) -> None:
        """Stop it like SIGTERM."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self.handle_exit, None, None)

    def good(self) -> tuple[int, float]:
        """Send a good request; return the status and the seconds that it took."""
        started = time.monotonic()
        with connect(self.address) as wire:
            status = wire.send(GOOD).answer().status
        return status, time.monotonic() - started


@contextlib.contextmanager
def working(settings: dict[str, object] | None = None, **limits: object) -> Iterator[_Worker]:
    """Run a worker on a free loopback port.

    Args:
        settings: gunicorn's, if they differ.
        limits: The worker's, if they differ.
    """
    cfg = Config()
    chosen = {"threads": 2, "keepalive": 30, "worker_connections": 300, "graceful_timeout": 4}
    for name, value in (chosen | (settings or {})).items():
        cfg.set(name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kind = type("_Limited", (_Worker,), {"limits": type("_Limits", (Limits,), limits)})
        worker: _Worker = kind(1, os.getppid(), [_Listener(listener)], _App(), 30, cfg, _Log(cfg))
        worker.address = listener.getsockname()
        thread = threading.Thread(target=worker.init_process)
        thread.start()
        try:
            yield worker
        finally:
            worker.app.gate.set()
            worker.stop()
            thread.join()
            worker.tmp.close()
            if worker._channel is not None:
                worker._channel.close()
            for descriptor in worker.PIPE:
                os.close(descriptor)


class _Listener:
    """What gunicorn wraps a listening socket in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def fileno(self) -> int:
        return self.sock.fileno()


@pytest.fixture(scope="module")
def shared() -> Iterator[_Worker]:
    """Run one worker for the tests that do not change it."""
    with working() as worker:
        yield worker


def answers(worker: _Worker, data: bytes, number: int) -> list[Answer]:
    """Send bytes on one connection and wait for `number` answers."""
    with connect(worker.address) as wire:
        wire.send(data)
        return [wire.answer() for _ in range(number)]


def test_worker_answers_many_requests_on_one_connection(shared: _Worker) -> None:
    """A sender may reuse its connection."""
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
def test_worker_closes_the_connection_if_the_client_wants_it(
    shared: _Worker, request_bytes: bytes
) -> None:
    """The answer says so."""
    with connect(shared.address) as wire:
        answer = wire.send(request_bytes).answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_ended()


def test_worker_answers_requests_sent_ahead_in_order(shared: _Worker) -> None:
    """One after the other."""
    data = b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % n + b"x" * n for n in range(5))

    assert [b"%d" % n for n in range(5)] == [one.body for one in answers(shared, data, 5)]


def test_worker_answers_all_requests_before_the_end_of_the_client(shared: _Worker) -> None:
    """A client that has shut down its write side still gets every answer."""
    with connect(shared.address) as wire:
        wire.send(GOOD + GOOD).socket.shutdown(socket.SHUT_WR)

        assert [wire.answer().status for _ in range(3)] == [200, 200, 0]


def test_worker_ends_a_request_whose_client_has_gone(shared: _Worker) -> None:
    """After a head and a part of the body."""
    with connect(shared.address) as wire:
        wire.send(GOOD[:-1]).socket.shutdown(socket.SHUT_WR)

        assert wire.is_ended()


def test_worker_reads_a_chunked_body(shared: _Worker) -> None:
    """A body needs no length."""
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"

    assert [one.body for one in answers(shared, data + GOOD, 2)] == [b"8", b"2"]


def test_worker_answers_expect_100_continue(shared: _Worker) -> None:
    """Before the body comes."""
    with connect(shared.address) as wire:
        wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        first = wire.answer().status
        second = wire.send(b"ok").answer()

    assert (first, second.status, second.body) == (100, 200, b"2")


def test_worker_reads_a_large_body_and_the_next_request(shared: _Worker) -> None:
    """Sixty megabytes are read completely, and the connection stays open."""
    size = 60 << 20
    with connect(shared.address) as wire:
        answer = wire.send(HEAD + b"Content-Length: %d\r\n\r\n" % size + bytes(size)).answer()
        following = wire.send(GOOD).answer()

    assert (answer.body, following.body) == (b"%d" % size, b"2")


NOT_REQUESTS: dict[str, tuple[bytes, int]] = {
    "no request line": (b"secret\r\n\r\n", 400),
    "version": (b"GET / HTTP/9.9\r\nHost: secret\r\n\r\n", 400),
    "header name": (b"GET / HTTP/1.1\r\nHost: h\r\nse cret: 1\r\n\r\n", 400),
    "length": (HEAD + b"Content-Length: secret\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 1\r\n" * 2 + b"\r\nx", 400),
    "coding": (HEAD + b"Transfer-Encoding: secret\r\n\r\nzz\r\n", 501),
    "tunnel": (b"CONNECT secret:1 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
    "two hosts": (HEAD + b"Host: secret\r\n\r\n", 400),
    "chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nsecret\r\n", 400),
    "long header": (HEAD + b"X: " + b"secret" * 2000 + b"\r\n\r\n", 431),
    "many headers": (HEAD + b"X: 1\r\n" * 150 + b"\r\n", 431),
    "endless header": (HEAD + b"X: " + b"s" * HEAD_BYTES, 431),
    "long line": (b"GET /" + b"s" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
    "endless line": (b"GET /" + b"s" * HEAD_BYTES, 414),
}


def test_worker_refuses_invalid_requests_and_quotes_nothing_from_them() -> None:
    """The status says why and the connection ends; neither answer nor log repeats the bytes."""
    wrong = {}
    # A worker of its own: a kind of refusal is logged once, so another test must not be first.
    with capture_logs() as lines, working() as worker:
        for name, (data, status) in NOT_REQUESTS.items():
            with connect(worker.address) as wire:
                answer = wire.send(data).answer()
                found = (answer.status, answer.body, wire.is_ended())
            if found != (status, b"", True) or "secret" in repr(answer):
                wrong[name] = found

    assert wrong == {}
    assert "secret" not in repr(lines)
    assert {"malformed: syntax", "malformed: target"} <= {line.get("reason") for line in lines}


def test_worker_keeps_the_connection_after_an_unread_body(shared: _Worker) -> None:
    """Without `Connection: close` the next request is answered."""
    unread = b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)

    assert [one.body for one in answers(shared, unread + GOOD, 2)] == [b"unread", b"2"]


def test_worker_answers_a_large_unread_body(shared: _Worker) -> None:
    """The client gets the answer, not a reset, although it continues to send."""
    size = 20 << 20
    data = b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    with connect(shared.address) as wire:
        answer = wire.send(data).answer()

        assert answer.body == b"unread"


def test_worker_answers_once_if_the_unread_body_is_invalid(shared: _Worker) -> None:
    """After the answer the connection ends."""
    data = b"POST /unread HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with connect(shared.address) as wire:
        answer = wire.send(data + GOOD).answer()

        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert wire.is_ended()


def test_worker_answers_the_request_before_invalid_bytes(shared: _Worker) -> None:
    """In order: the request first, then the refusal."""
    with connect(shared.address) as wire:
        wire.send(GOOD + b"secret\r\n\r\n")

        assert [wire.answer().status for _ in range(2)] == [200, 400]
        assert wire.is_ended()


def test_worker_survives_a_client_that_resets_at_once(shared: _Worker) -> None:
    """The connection is closed before the worker looks at it."""
    for _ in range(20):
        with connect(shared.address) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert shared.good()[0] == 200


@contextlib.contextmanager
def dripping(worker: _Worker, start: bytes, number: int) -> Iterator[list[Wire]]:
    """Open connections that begin a request and then send a byte now and then."""
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


UNFINISHED = {
    "nothing": b"",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 1000\r\n\r\n",
    "digits": HEAD + b"Content-Length: 0000000000000000000001000\r\n\r\n",
    "looks like the end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n100\r\n0\r\n\r\n",
    "a long head": HEAD + b"".join(b"X%d: %6000d\r\n" % (n, n) for n in range(10)),
    "large body": LARGE,
    "waits for 100 Continue": HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
}


def test_worker_answers_quickly_beside_slow_clients() -> None:
    """Fifty of each kind occupy no thread that others need."""
    slow = {}
    for name, start in UNFINISHED.items():
        with working() as worker, dripping(worker, start, 50):
            status, seconds = worker.good()
        if status != 200 or seconds >= QUICK_SECONDS:
            slow[name] = (status, seconds)

    assert slow == {}


@pytest.mark.parametrize(
    ("start", "status"),
    [
        pytest.param(HEAD, 408, id="half a head"),
        pytest.param(HEAD + b"Content-Length: 1000\r\n\r\n", 408, id="half a body"),
        pytest.param(LARGE, 408, id="large body"),
    ],
)
def test_worker_ends_a_request_that_takes_too_long(start: bytes, status: int) -> None:
    """It is answered and the connection ends, although bytes continue to come."""
    with working(request_seconds=0.3) as worker, dripping(worker, start, 1) as wires:
        answer = wires[0].answer()

        assert answer.status == status
        assert wires[0].is_ended()


def test_worker_ends_a_connection_without_a_request() -> None:
    """With an answer, because a request may be on its way just then."""
    with working(request_seconds=0.3) as worker, connect(worker.address) as wire:
        assert wire.answer().status == 503
        assert wire.is_ended()


def test_worker_drops_the_oldest_unfinished_request_when_memory_is_full() -> None:
    """New requests are served."""
    half = 64 << 10
    part = HEAD + b"Content-Length: %d\r\n\r\n" % (half + 9) + bytes(half)
    with working(buffered_bytes=2 * half + 4000) as worker, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(connect(worker.address)) for _ in range(3)]
        for wire in wires:
            wire.send(part)

        assert wires[0].answer().status == 408
        assert worker.good()[0] == 200
        for wire in wires[1:]:
            assert wire.send(bytes(9)).answer().status == 200


def test_worker_ends_the_oldest_idle_connection_for_a_new_one() -> None:
    """The idle client gets 503."""
    with working({"worker_connections": 32}) as worker, contextlib.ExitStack() as stack:
        wires, seen = [], []
        for _ in range(40):
            wires.append(stack.enter_context(connect(worker.address)))
            seen.append(wires[-1].send(GOOD).answer().status)

        assert seen == [200] * 40
        assert (wires[0].answer().status, wires[1].answer().status) == (503, 503)
        assert wires[-1].send(GOOD).answer().status == 200


def test_worker_serves_new_clients_among_many_that_never_finish() -> None:
    """If no connection is idle, the oldest unfinished request is dropped."""
    with working({"worker_connections": 32}) as worker, dripping(worker, HEAD, 60):
        status, seconds = worker.good()

    assert status == 200
    assert seconds < QUICK_SECONDS


def test_worker_answers_a_request_at_the_end_of_an_idle_connection() -> None:
    """A sender that reuses the connection just then gets 503, not a reset."""
    with working({"keepalive": 1}) as worker, connect(worker.address) as wire:
        wire.send(GOOD).answer()
        wait_until(lambda: len(worker._pool.idle) == 1)
        wait_until(lambda: not worker._pool.idle)

        answer = wire.send(GOOD).answer()

        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert wire.is_ended()


def test_worker_finishes_requests_when_it_stops() -> None:
    """A request in progress is answered; an unfinished one and an idle connection get 503."""
    with working() as worker, contextlib.ExitStack() as stack:
        busy, idle, half = (stack.enter_context(connect(worker.address)) for _ in range(3))
        idle.send(GOOD).answer()
        half.send(HEAD)
        busy.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        worker.app.entered.wait(5)
        wait_until(lambda: len(worker._pool.arriving) == 1)
        worker.stop()
        worker.app.gate.set()

        answer = busy.answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert [wire.answer().status for wire in (idle, half)] == [503, 503]


def test_worker_without_its_master_stops_gracefully() -> None:
    """It announces the end of connections that it had kept open."""
    with working() as worker, connect(worker.address) as wire:
        wire.send(GOOD).answer()
        worker.ppid = 0
        wait_until(lambda: not worker.alive)

        answer = wire.send(GOOD).answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_worker_takes_its_connections_from_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acceptor has none left when they have ended."""
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


def test_worker_stops_when_the_supervisor_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection can come any more."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public)
        acceptor.start()
        with working() as worker:
            worker.address = public.getsockname()
            worker.good()
            acceptor.stop()

            wait_until(lambda: not worker.alive)


def test_worker_releases_a_connection_before_its_last_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the acceptor would append a 503 if the worker is killed just then."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public)
        acceptor.start()
        with working() as worker:
            worker.address = public.getsockname()
            for last in (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), b"nonsense\r\n\r\n"):
                with connect(worker.address) as wire:
                    worker.client_socket = wire.socket
                    wire.send(last).answer()
                    assert wire.is_ended()
            worker.client_socket = None
        acceptor.stop()

    assert worker.received == [False, False]


def test_worker_does_not_release_a_connection_that_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the worker is killed, the acceptor answers the next request."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public)
        acceptor.start()
        with working() as worker, connect(public.getsockname()) as wire:
            wire.send(GOOD).answer()

            assert worker.received == []
        acceptor.stop()


@pytest.mark.slow
def test_worker_keeps_thousands_of_idle_connections() -> None:
    """They use only memory."""
    number = 1_000
    with working({"worker_connections": 4_000}) as worker, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(connect(worker.address)) for _ in range(number)]
        first = [wire.send(GOOD).answer().status for wire in wires]
        again = [wire.send(GOOD).answer().status for wire in wires]

    assert first == again == [200] * number


@pytest.mark.slow
def test_worker_does_not_collect_answers_that_nobody_reads() -> None:
    """It stops reading from such a client, and then ends the connection."""
    with working(request_seconds=1.0) as worker, connect(worker.address) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.socket.settimeout(1.0)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 400 << 20:
                sent += wire.socket.send(GOOD * 1000)

        assert sent < 100 << 20
        wait_until(lambda: not worker._pool.connections, 10)


def test_worker_limits_bytes_sent_ahead() -> None:
    """The request in progress is answered."""
    with working() as worker, connect(worker.address) as wire:
        wire.socket.settimeout(1.0)
        wire.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        worker.app.entered.wait(5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 400 << 20:
                sent += wire.socket.send(bytes(1 << 20))
        worker.app.gate.set()
        wire.socket.settimeout(10)

        assert sent < 100 << 20
        assert [wire.answer().status for _ in range(2)] == [200, 400]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_requests", 10),
        ("preload_app", True),
        ("reload", True),
        ("certfile", "/some/file"),
        ("proxy_protocol", True),
    ],
)
def test_worker_refuses_unsupported_settings(name: str, value: object) -> None:
    """At the start, with the setting and the reason."""
    cfg = Config()
    cfg.set(name, value)

    with pytest.raises(ConfigError, match="cannot be used"):
        ReceiverWorker.check_config(cfg, None)


def test_worker_accepts_gunicorns_defaults() -> None:
    """None of them is refused."""
    ReceiverWorker.check_config(Config(), None)


@pytest.mark.parametrize(("files", "workers", "share"), [(1100, 2, 500), (1100, 1, 1000)])
def test_a_worker_has_its_share_of_open_files(files: int, workers: int, share: int) -> None:
    """All together stay below the limit of the process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        assert share_of_files(workers) == share
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_worker_ends_a_connection_whose_bytes_were_dropped() -> None:
    """The request in progress is answered with `Connection: close`."""
    with working(buffered_bytes=10_000) as worker, connect(worker.address) as wire:
        wire.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        worker.app.entered.wait(5)
        wire.send(GOOD * 1000)
        wait_until(lambda: any(one._is_held_back for one in worker._pool.connections))
        worker.app.gate.set()
        answer = wire.answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_ended()


def test_worker_limits_the_memory_of_requests() -> None:
    """One too many is 503 and ends the connection."""
    with working(buffered_bytes=10_000) as worker, connect(worker.address) as wire:
        wire.send(
            b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 50
        )
        worker.app.entered.wait(5)
        worker.app.gate.set()
        seen = []
        while status := wire.answer().status:
            seen.append(status)

    assert seen[:2] == [200, 200]
    assert seen[-1] == 503
    assert len(seen) < 20


def test_worker_renews_the_deadline_of_a_fast_large_body() -> None:
    """For each megabyte that arrives in time."""
    size = 8 << 20
    with working(request_seconds=0.5) as worker, connect(worker.address) as wire:
        wire.send(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(8):
            wire.send(bytes(1 << 20))
            time.sleep(0.15)

        assert wire.answer().body == b"%d" % size
