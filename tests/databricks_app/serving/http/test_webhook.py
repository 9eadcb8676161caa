"""The webhook route in the worker's loop: the same answers and records as with threads."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gunicorn.config import Config
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.wire import ADMIN_TOKEN, KEY, Answer, connect, page, request, signed
from databricks_app.app import create_app
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Appender
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.runtime.metrics import Metrics
from databricks_app.serving.http.pool import Limits
from databricks_app.serving.server import _Log
from databricks_app.serving.worker import ReceiverWorker
from databricks_app.settings import Settings, from_environment


class _Threaded:
    """The same inbox without group commit for event loops."""

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
    """A worker in a thread of the test, which cannot handle signals."""

    address: tuple[str, int]

    def init_signals(self) -> None:
        """Keep the signals of the tests."""

    @property
    def room_in_files(self) -> int:
        """Free bytes for bodies in files."""
        return self._pool.room.file_left

    @property
    def open_connections(self) -> int:
        """Number of open connections."""
        return len(self._pool.connections)

    def stop(self) -> None:
        """Stop it like SIGTERM."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self.handle_exit, None, None)

    def post(self, *pieces: bytes, number: int = 1) -> list[Answer]:
        """Send bytes on one connection and wait for `number` answers."""
        with connect(self.address) as wire:
            for piece in pieces:
                wire.send(piece)
            return [wire.answer() for _ in range(number)]


@contextlib.contextmanager
def working(
    folder: Path,
    *,
    threads_only: bool = False,
    most_body_bytes: str = "33554432",
    append_seconds: str = "1",
    sync: Callable[[int], None] = os.fdatasync,
    **limits: object,
) -> Iterator[_Worker]:
    """Run a worker over a real app and inbox on a free loopback port.

    Args:
        folder: Of the inbox's data.
        threads_only: Whether the inbox cannot serve an event loop.
        most_body_bytes: Of a longer body only the beginning is stored.
        append_seconds: How long storing may take.
        sync: The inbox's.
        limits: The worker's, if they differ.
    """
    settings = from_environment(
        {
            "CIO_WEBHOOK_SIGNING_KEYS": KEY,
            "CIO_ADMIN_TOKEN": ADMIN_TOKEN,
            "CIO_DATA_DIR": str(folder),
            "CIO_APPEND_DEADLINE_SECONDS": append_seconds,
            "CIO_SIGNATURE_IN_QUERY": "on",
            "CIO_MAX_BODY_BYTES": most_body_bytes,
        }
    )
    inbox = LocalInbox(settings.inbox_dir, max_bytes=64 << 20, sync=sync)
    app = _App(settings, _Threaded(inbox) if threads_only else inbox)
    cfg = Config()
    for name, value in {"threads": 1, "keepalive": 30, "worker_connections": 300}.items():
        cfg.set(name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kind = type("_Limited", (_Worker,), {"limits": type("_Limits", (Limits,), limits)})
        worker: _Worker = kind(1, os.getppid(), [_Listener(listener)], app, 30, cfg, _Log(cfg))
        worker.address = listener.getsockname()
        thread = threading.Thread(target=worker.init_process)
        thread.start()
        wait_until(lambda: worker._is_serving)
        try:
            yield worker
        finally:
            worker.stop()
            thread.join()
            inbox.close()
            worker.tmp.close()
            for descriptor in worker.PIPE:
                os.close(descriptor)


class _Listener:
    """What gunicorn wraps a listening socket in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def fileno(self) -> int:
        return self.sock.fileno()


def stored(folder: Path) -> list[Record]:
    """The records in the inbox after the end of the worker."""
    batches = SegmentReader(folder / "inbox").batches(10**6, 10**9)
    return [record for batch in batches for record in batch.records]


def odd_requests() -> list[bytes]:
    """Requests to the webhook route, usual and unusual ones."""
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


def test_loop_and_threads_give_the_same_answers_and_records(tmp_path: Path) -> None:
    """For every request, usual or not."""
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


@pytest.mark.parametrize(
    ("size", "is_chunked", "fault"),
    [
        (100, False, "body_only"),
        (100, True, "body_only"),
        (100 << 10, False, "not_examined"),
        (1 << 20, False, "not_examined"),
    ],
)
def test_the_loop_says_why_a_signature_failed(
    tmp_path: Path, size: int, is_chunked: bool, fault: str
) -> None:
    """Of a body that is in memory and small, also if its length was not announced."""
    body = bytes(size)
    wrong = hmac.new(KEY.encode(), body, "sha256").hexdigest().encode()
    data = in_chunks(body) if is_chunked else request(body)
    data = re.sub(b"(?<=X-CIO-Signature: )[0-9a-f]{64}", wrong, data)
    with working(tmp_path) as worker:
        worker.post(data)
        page = generate_latest(worker.app.metrics.registry).decode()

    assert f'ciolake_signature_faults_total{{reason="{fault}"}} 1.0' in page


def test_a_plain_request_needs_no_thread(tmp_path: Path) -> None:
    """The loop answers it."""
    with working(tmp_path) as worker:
        assert worker.post(request(event("a")))[0].status == 200
        assert not [one for one in threading.enumerate() if one.name.startswith("request")]
    assert len(stored(tmp_path)) == 1


def test_requests_sent_ahead_are_answered_in_order(tmp_path: Path) -> None:
    """A connection has one request in progress."""
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


def test_a_client_that_leaves_during_the_sync_does_no_harm(tmp_path: Path) -> None:
    """Its event is stored, and its connection ends."""
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
        wait_until(lambda: not worker._pool.connections, 10)
    assert len(stored(tmp_path)) == 2


def test_a_disk_that_hangs_is_503_at_the_deadline(tmp_path: Path) -> None:
    """The loop checks the deadline."""
    gate = threading.Event()

    def sync(_descriptor: int) -> None:
        gate.wait(10)

    with working(tmp_path, sync=sync) as worker:
        answer = worker.post(request(event("late")))[0]
        gate.set()

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_a_stopping_worker_waits_for_the_group_commit(tmp_path: Path) -> None:
    """The answer is 200 and ends the connection."""
    gate = threading.Event()
    reached = threading.Event()

    def sync(descriptor: int) -> None:
        reached.set()
        gate.wait(10)
        os.fdatasync(descriptor)

    with working(tmp_path, sync=sync) as worker, connect(worker.address) as wire:
        wire.send(request(event("last")))
        reached.wait(10)
        worker.stop()
        gate.set()
        answer = wire.answer()

        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_ended()


def test_a_request_that_waits_too_long_for_a_thread_is_503(tmp_path: Path) -> None:
    """Its sender gives up soon; serving it would only delay others."""
    with capture_logs() as lines, working(tmp_path, longest_wait_seconds=-1.0) as worker:
        answer = worker.post(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")[0]

        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b'reason="overloaded"} 1.0' in generate_latest(worker.app.metrics.registry)
        assert [line["reason"] for line in lines if "advice" in line] == ["overloaded"]
        assert worker.post(request(event("plain")))[0].status == 200


def test_an_app_may_be_mounted_below_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCRIPT_NAME in the environment changes all paths."""
    monkeypatch.setenv("SCRIPT_NAME", "/below")
    with working(tmp_path) as worker:
        data = request(event("below"))

        assert worker.post(data.replace(b"/api", b"/below/api"))[0].status == 200
        assert worker.post(data)[0].status == 404


def metric(worker: _Worker, reason: str) -> float:
    """The number of requests refused for a reason."""
    value = worker.app.metrics.registry.get_sample_value(
        "ciolake_rejected_requests_total", {"reason": reason, "key": ""}
    )
    return value or 0.0


def in_chunks(body: bytes) -> bytes:
    """A signed request with a chunked body, and a trailer that looks like a header."""
    whole = request(body, {"Transfer-Encoding": "chunked"})
    head = whole.partition(b"\r\n\r\n")[0].replace(b"Content-Length: %d\r\n" % len(body), b"")
    pieces = [body[at : at + 9000] for at in range(0, len(body), 9000)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces)
    return head + b"\r\n\r\n" + chunks + b"0\r\nX-CIO-Signature: 00\r\n\r\n"


def in_query(body: bytes) -> bytes:
    """A request signed only in its query, as the relay can send it."""
    headers = signed(body)
    query = "cio_signature={}&cio_timestamp={}".format(
        headers["X-CIO-Signature"], headers["X-CIO-Timestamp"]
    )
    start = f"POST /api/webhooks/customerio?{query} HTTP/1.1\r\nHost: h\r\n"
    return f"{start}Content-Length: {len(body)}\r\n\r\n".encode() + body


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": request,
    "closes": lambda body: request(body, {"Connection": "close"}),
    "upgrade": lambda body: request(body, {"Connection": "Upgrade", "Upgrade": "h2c"}),
    "HTTP/1.0": lambda body: request(body).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "chunks": in_chunks,
    "query": in_query,
    "absolute": lambda body: request(body).replace(b" /api", b" http://receiver/api"),
}


@pytest.mark.parametrize("threads_only", [False, True])
def test_a_signed_request_is_stored_however_it_is_sent(tmp_path: Path, threads_only: bool) -> None:
    """In every form and size, in the loop or with threads: the stored body is the one sent."""
    sent, refused = {}, {}
    with working(tmp_path, threads_only=threads_only) as worker:
        for form, padding in itertools.product(FORMS, (0, 100 << 10, 600 << 10)):
            body = sent[form, padding] = event(f"{form} {padding}", padding=padding)
            status = worker.post(FORMS[form](body))[0].status
            if status != 200:
                refused[form, padding] = status
    kept = [record.body for record in stored(tmp_path)]
    changed = [case for case, body in sent.items() if kept.count(body) != 1]

    assert (refused, changed) == ({}, [])
    assert len(kept) == len(sent)


def test_a_large_request_without_signature_is_refused_at_its_head(tmp_path: Path) -> None:
    """401 before the body is sent; a client that sends the body gets the answer too."""
    size = 20 << 20
    head = b"POST /api/webhooks/customerio HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
    with working(tmp_path) as worker:
        with connect(worker.address) as wire:
            early = wire.send(head).answer()
        late = worker.post(head + bytes(size))[0]

    for answer in (early, late):
        assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_a_refused_large_request_gets_no_100_continue(tmp_path: Path) -> None:
    """Its body will not be read."""
    head = b"POST /api/webhooks/customerio HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n"
    with working(tmp_path) as worker:
        assert worker.post(head + b"Expect: 100-continue\r\n\r\n")[0].status == 401


def test_a_client_that_leaves_while_its_body_is_read_back_releases_the_room(
    tmp_path: Path,
) -> None:
    """The file is closed after the thread has read it; the verified event is stored."""
    going_on = threading.Event()
    body = event("large", padding=600 << 10)

    def sync(descriptor: int) -> None:
        going_on.wait(10)
        os.fdatasync(descriptor)

    # The only thread waits for the sync of a small event, and the large body for the thread.
    with working(
        tmp_path, threads_only=True, sync=sync, append_seconds="3", file_bytes=1 << 20
    ) as worker:
        with connect(worker.address) as small:
            small.send(request(event("small")))
            with connect(worker.address) as leaving:
                whole = request(body)
                leaving.send(whole[:-100])
                wait_until(lambda: worker.room_in_files == (1 << 20) - len(body) + 100)
                leaving.send(whole[-100:])
                wait_until(lambda: worker.room_in_files == (1 << 20) - len(body))
                reset = struct.pack("ii", 1, 0)
                leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            wait_until(lambda: worker.open_connections == 1)
            held = worker.room_in_files
            going_on.set()
            small.answer()
        wait_until(lambda: worker.room_in_files == 1 << 20)
        again = worker.post(request(event("again", padding=600 << 10)))[0].status

    assert (held, again) == ((1 << 20) - len(body), 200)
    assert len(stored(tmp_path)) == 3


def test_a_body_without_room_is_503(tmp_path: Path) -> None:
    """On disk. The sender repeats it, others are served, and the room is released."""
    with working(tmp_path, file_bytes=1 << 20, buffered_bytes=1 << 20) as worker:
        large = worker.post(request(event("large", padding=2 << 20)))[0]
        medium = [worker.post(request(event("m", padding=600 << 10)))[0].status for _ in range(5)]

        assert (large.status, large.headers["retry-after"]) == (503, "5")
        assert medium == [200] * 5
        assert metric(worker, "no_room") == 1


def test_a_body_over_the_limit_is_stored_cut_with_its_digest(tmp_path: Path) -> None:
    """As a raw row: the sender has done nothing wrong."""
    body = event("huge", padding=3 << 20)
    with working(tmp_path, most_body_bytes="1000000") as worker:
        statuses = [worker.post(one)[0].status for one in (request(body), in_chunks(body))]

    assert statuses == [200, 200]
    for record in stored(tmp_path):
        assert (record.body, record.body_bytes) == (body[: 64 << 10], len(body))
        assert record.body_sha256 == hashlib.sha256(body).hexdigest()


def test_a_body_over_eight_times_the_limit_is_413(tmp_path: Path) -> None:
    """With a known or unknown length; with a known one the body is not read."""
    body = event("huge", padding=100_000)
    with working(tmp_path, most_body_bytes="10000") as worker:
        with connect(worker.address) as wire:
            announced = wire.send(request(body)[:-1]).answer().status
        assert (announced, worker.post(in_chunks(body))[0].status) == (413, 413)
        assert metric(worker, "too_large") == 2


def test_other_paths_are_404_in_the_loop(tmp_path: Path) -> None:
    """Empty and counted; the connection stays open unless the body is too long."""
    with working(tmp_path) as worker:
        with connect(worker.address) as wire:
            short = wire.send(
                b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n" + bytes(9)
            )
            first = short.answer()
            second = wire.send(b"GET /y HTTP/1.1\r\nHost: h\r\n\r\n").answer()
        long = worker.post(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n")[0]

        assert [one.status for one in (first, second, long)] == [404] * 3
        assert (first.body, first.headers["cache-control"]) == (b"", "no-store")
        assert (first.headers["connection"], long.headers["connection"]) == ("keep-alive", "close")
        assert metric(worker, "not_found") == 3
        assert worker.post(b"POST /x HTTP/1.1\r\nHost: h\r\nX-CIO-Signature: 0\r\n\r\n")[0].status
        assert metric(worker, "misdirected") == 1
        assert not [one for one in threading.enumerate() if one.name.startswith("request")]


def test_the_app_answers_its_other_routes(tmp_path: Path) -> None:
    """Health and metrics; another method of the webhook route is 405."""
    with working(tmp_path) as worker:
        seen = [
            worker.post(data)[0]
            for data in (
                b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
                page("/readyz"),
                page("/metrics"),
                b"GET /api/webhooks/customerio HTTP/1.1\r\nHost: localhost\r\n\r\n",
                b"DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            )
        ]

    assert [one.status for one in seen] == [200, 200, 200, 405, 405]
    assert seen[0].body == b"alive\n"
    assert b"ciolake_rejected_requests" in seen[2].body
    assert seen[3].headers["allow"] == "POST"


def test_bytes_that_are_not_a_request_are_counted_and_logged_once(tmp_path: Path) -> None:
    """A flood of them is one line now, and one with their number at the end."""
    with capture_logs() as lines, working(tmp_path) as worker:
        for _ in range(20):
            assert worker.post(b"secret\r\n\r\n")[0].status == 400
        assert metric(worker, "malformed") == 20
    refusals = [line for line in lines if line["event"].startswith("request")]

    assert [(line["event"], line["reason"]) for line in refusals] == [
        ("request_refused", "malformed: syntax"),
        ("request_refused_ended", "malformed: syntax"),
    ]
    assert refusals[1]["times"] == 20
    assert "secret" not in repr(lines)
