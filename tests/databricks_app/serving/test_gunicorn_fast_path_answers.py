"""The web worker's way without threads: the same answers and records as the way with them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gunicorn.config import Config
from prometheus_client import generate_latest

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.wire import KEY, Answer, connect, request, signed
from databricks_app.app import create_app
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Appender
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.runtime.metrics import Metrics
from databricks_app.serving.gunicorn.server import _Log
from databricks_app.serving.gunicorn.worker import ReceiverWorker
from databricks_app.settings import Settings, from_environment


class _Threaded:
    """The same inbox without its way for event loops."""

    def __init__(self, inbox: LocalInbox) -> None:
        self.append, self.trouble, self.close = inbox.append, inbox.trouble, inbox.close


class _App:
    """What gunicorn asks for the WSGI app.

    Attributes:
        metrics: What it counts.
    """

    def __init__(self, settings: Settings, inbox: Appender) -> None:
        self.metrics = Metrics()
        self._app = create_app(settings, inbox=inbox, metrics=self.metrics)

    def wsgi(self) -> object:
        """Return it."""
        return self._app


class _Worker(ReceiverWorker):
    """A worker in a thread of a test, where it can take no signals."""

    address: tuple[str, int]

    def init_signals(self) -> None:
        """Leave those of the tests alone."""

    def post(self, *pieces: bytes, number: int = 1) -> list[Answer]:
        """Send bytes on one connection and wait for so many answers."""
        with connect(self.address) as wire:
            for piece in pieces:
                wire.send(piece)
            return [wire.answer() for _ in range(number)]


@contextlib.contextmanager
def working(
    folder: Path,
    *,
    threads_only: bool = False,
    sync: Callable[[int], None] = os.fdatasync,
    **limits: object,
) -> Iterator[_Worker]:
    """Run a worker over a real app and inbox on a free loopback port.

    Args:
        folder: Of the inbox's data.
        threads_only: Whether the inbox cannot serve an event loop.
        sync: The inbox's.
        limits: Attributes of the worker's class, where they differ.
    """
    settings = from_environment(
        {
            "CIO_WEBHOOK_SIGNING_KEYS": KEY,
            "CIO_DATA_DIR": str(folder),
            "CIO_APPEND_DEADLINE_SECONDS": "1",
        }
    )
    inbox = LocalInbox(settings.inbox_dir, max_bytes=64 << 20, sync=sync)
    app = _App(settings, _Threaded(inbox) if threads_only else inbox)
    cfg = Config()
    for name, value in {"threads": 1, "keepalive": 30, "worker_connections": 300}.items():
        cfg.set(name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kind = type("_Limited", (_Worker,), limits)
        worker: _Worker = kind(1, os.getppid(), [listener], app, 30, cfg, _Log(cfg))
        worker.address = listener.getsockname()
        thread = threading.Thread(target=worker.init_process)
        thread.start()
        try:
            yield worker
        finally:
            worker.handle_exit(None, None)
            thread.join()
            inbox.close()
            worker.tmp.close()
            for descriptor in worker.PIPE:
                os.close(descriptor)


def stored(folder: Path) -> list[Record]:
    """What is in the inbox after the worker's end."""
    batches = SegmentReader(folder / "inbox").batches(10**6, 10**9)
    return [record for batch in batches for record in batch.records]


def odd_requests() -> list[bytes]:
    """Requests of the webhook route, plain ones and others."""
    stale = {**signed(b"s", timestamp=1), "Content-Length": "1"}
    return [
        request(event("plain")),
        request(b""),
        request(b"\r\n\r\nPOST"),
        request(event("accepts"), {"Accept": "*/*", "X": "\xff"}),
        request(event("closes"), {"Connection": "close"}),
        request(event("old")).replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(event("slash")).replace(b"POST /", b"POST //"),
        request(event("query")).replace(b"customerio ", b"customerio?a=b "),
        request(event("medium", padding=70 << 10)),
        request(event("key"), key="another"),
        request(event("text"), {"X-CIO-Signature": "0"}),
        request(b"s", stale),
        request(event("under"), {"X_CIO_Timestamp": "1"}),
        request(event("long"), {"A": "b" * 8100}),
        request(event("twice"), {"Host": "a\r\nHost: b"}),
        request(event("lengths"), {"content-length": "1"}),
        request(event("space"), {"A ": "b"}),
        request(event("folded"), {"A": "b\r\n c"}),
        request(event("expects"), {"Expect": "nothing"}),
        request(event("control"), {"A": "\x01"}),
        request(event("ghost")).replace(b"X-CIO-Timestamp", b"X-CIO-Time"),
    ]


def test_both_ways_give_the_same_answers_and_records(tmp_path: Path) -> None:
    """Whatever is sent, nobody can tell which way it went."""
    seen, kept = {}, {}
    requests = odd_requests()
    for threads_only in (False, True):
        folder = tmp_path / f"{threads_only}"
        with working(folder, threads_only=threads_only) as worker:
            answers = [worker.post(data)[0] for data in requests]
        for answer in answers:
            answer.headers.pop("date", None)
        seen[threads_only] = answers
        kept[threads_only] = [
            (one.body, one.timestamp, one.key_fingerprint, one.body_bytes) for one in stored(folder)
        ]

    assert seen[False] == seen[True]
    assert kept[False] == kept[True]
    assert {200, 400, 401} <= {answer.status for answer in seen[False]}


def test_a_plain_request_needs_no_thread(tmp_path: Path) -> None:
    """The loop answers it by itself."""
    with working(tmp_path) as worker:
        assert worker.post(request(event("a")))[0].status == 200
        assert not worker.tpool._threads
    assert len(stored(tmp_path)) == 1


def test_requests_sent_ahead_are_answered_in_their_order(tmp_path: Path) -> None:
    """A connection has one request under way, whichever way it goes."""
    gate = threading.Event()
    reached = threading.Event()

    def sync(descriptor: int) -> None:
        reached.set()
        gate.wait(10)
        os.fdatasync(descriptor)

    with working(tmp_path, sync=sync) as worker, connect(worker.address) as wire:
        wire.send(request(event("first")))
        reached.wait(10)
        wire.send(request(event("second"), key="another") + request(event("third")))
        gate.set()

        assert [wire.answer().status for _ in range(3)] == [200, 401, 200]
    assert len(stored(tmp_path)) == 2


def test_a_client_that_goes_while_the_disk_works_harms_nobody(tmp_path: Path) -> None:
    """What it sent is stored, and its connection ends."""
    gate = threading.Event()
    reached = threading.Event()

    def sync(descriptor: int) -> None:
        reached.set()
        gate.wait(10)
        os.fdatasync(descriptor)

    with working(tmp_path, sync=sync) as worker:
        with connect(worker.address) as wire:
            wire.send(request(event("gone")))
            reached.wait(10)
        gate.set()

        assert worker.post(request(event("next")))[0].status == 200
        wait_until(lambda: worker.nr_conns == 0, 10)
    assert len(stored(tmp_path)) == 2


def test_a_disk_that_hangs_is_503_at_the_deadline(tmp_path: Path) -> None:
    """The loop looks at the clock by itself."""
    gate = threading.Event()

    def sync(_descriptor: int) -> None:
        gate.wait(10)

    with working(tmp_path, sync=sync) as worker:
        answer = worker.post(request(event("late")))[0]
        gate.set()

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_a_stopping_worker_answers_what_the_disk_has(tmp_path: Path) -> None:
    """It waits for the group, and says that the connection ends."""
    gate = threading.Event()
    reached = threading.Event()

    def sync(descriptor: int) -> None:
        reached.set()
        gate.wait(10)
        os.fdatasync(descriptor)

    with working(tmp_path, sync=sync) as worker, connect(worker.address) as wire:
        wire.send(request(event("last")))
        reached.wait(10)
        worker.handle_exit(None, None)
        gate.set()
        answer = wire.answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_ended()


def test_a_request_that_waits_too_long_for_a_thread_is_503(tmp_path: Path) -> None:
    """Its sender is about to go: to serve it would only delay the others."""
    with working(tmp_path, patience_seconds=-1.0) as worker:
        answer = worker.post(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")[0]

        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert b'reason="overloaded"} 1.0' in generate_latest(worker.app.metrics.registry)
        assert worker.post(request(event("plain")))[0].status == 200


def test_an_app_below_a_path_is_left_to_gunicorn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCRIPT_NAME in the environment changes what every path means."""
    monkeypatch.setenv("SCRIPT_NAME", "/below")
    with working(tmp_path) as worker:
        data = request(event("below"))

        assert worker.post(data.replace(b"/api", b"/below/api"))[0].status == 200
        assert worker.post(data)[0].status == 400
