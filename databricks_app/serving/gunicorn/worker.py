"""A gunicorn worker whose threads never wait for a client.

gunicorn's threaded worker hands a connection to a thread as soon as its first bytes arrive, so
that a few dozen clients that send half a request occupy all threads. Here the main loop collects
requests first, without blocking, and gives a thread only what is complete. Bodies too large to
collect go to a few threads of their own, so that they cannot occupy the others either. Plain
webhook requests need no thread at all: see `group_commit`. Everything else, the parsing of HTTP
included, is gunicorn's.

Subclasses parts of gunicorn 27 that are not its public interface: the release is pinned.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog
from gunicorn import SERVER
from gunicorn.http import errors as http_errors
from gunicorn.workers.gthread import (
    STOP_KEEPALIVE_LINGER,
    PollableMethodQueue,
    ThreadWorker,
)

from databricks_app.ingest.group_commit import SMALL_BODY_BYTES, GroupCommit
from databricks_app.ingest.wsgi import WebhookFirst, webhook_of
from databricks_app.runtime.status import run_dir
from databricks_app.serving.acceptor import AcceptorChannel
from databricks_app.serving.gunicorn import fast_path
from databricks_app.serving.gunicorn.connection import Connection, Progress

LARGE_THREADS = 4

log = structlog.get_logger(__name__)


class _Calls(PollableMethodQueue):  # type: ignore[misc]  # gunicorn ships no types
    """Calls that other threads leave to the loop."""

    def close(self) -> None:
        """End reading alone: the number of a closed descriptor may be a segment's by the time."""
        os.close(self._read_fd)


class ReceiverWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's threaded worker, fed with whole requests.

    Attributes:
        request_seconds: How long a request may take to arrive; one of a large body, to be read.
        linger_seconds: How long a client may take to hear our last word.
        buffered_bytes: Most bytes kept of unfinished requests.
        patience_seconds: How long a collected request may wait for a thread; its sender is
            gone soon after. One of a large body is still being sent.
    """

    request_seconds = 10.0
    linger_seconds = 2.0
    buffered_bytes = 64 << 20
    patience_seconds = 2.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin without connections."""
        super().__init__(*args, **kwargs)
        self.method_queue = _Calls()
        self._large: ThreadPoolExecutor | None = None
        self._held: AcceptorChannel | None = None
        self._webhook: WebhookFirst | None = None
        self._group_commit: GroupCommit | None = None
        self._answers: fast_path.Answers | None = None
        self._accepting = False
        self._lingering: deque[Connection] = deque()
        self._buffered = 0

    def init_process(self) -> None:
        """Start the threads of large bodies beside gunicorn's own."""
        self._large = ThreadPoolExecutor(LARGE_THREADS, thread_name_prefix="large-body")
        self._held = AcceptorChannel.connect(run_dir())
        super().init_process()

    def load_wsgi(self) -> None:
        """Make the app, and find out whether it has a webhook route to serve without threads."""
        super().load_wsgi()
        webhook = self._webhook = webhook_of(self.wsgi)
        # With SCRIPT_NAME every path means another one to gunicorn.
        if webhook is not None and not os.environ.get("SCRIPT_NAME"):
            self._group_commit = GroupCommit.of(webhook.receiver, self.method_queue.defer)
            self._answers = fast_path.Answers(SERVER, webhook.headers, time.time)

    def is_parent_alive(self) -> bool:
        """Whether gunicorn's master lives; without it answers say that the connection ends."""
        if not super().is_parent_alive():
            self.alive = False
        return bool(self.alive)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end to take connections; what the supervisor sent by then is still taken."""
        if self._held is None:
            super().set_accept_enabled(enabled)
            return
        if enabled == self._accepting:
            return
        self._accepting = enabled
        if enabled:
            self.poller.register(self._held.fileno(), selectors.EVENT_READ, self._take)
            # One less than would make the loop end and begin to take them in turns.
            self._held.ask(self.worker_connections - 1)
            return
        self.poller.unregister(self._held.fileno())
        for passed in self._held.rest():
            self._begin(socket.socket(fileno=passed.descriptor), passed.number)

    def accept(self, listener: Any) -> None:
        """Accept a connection where there is no supervisor to do so."""
        with contextlib.suppress(OSError):  # another worker was faster, or the client has gone
            client, _ = listener.accept()
            self._begin(client, 0)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Do a turn of the loop; what came in it to be stored is one group."""
        if self._group_commit is None:
            super().wait_for_and_dispatch_events(timeout)
            return
        left = self._group_commit.seconds_left()
        super().wait_for_and_dispatch_events(timeout if left is None else min(timeout, left))
        self._group_commit.expire()
        self._group_commit.submit()

    def on_client_socket_readable(self, conn: Connection, _client: Any) -> None:
        """Read the next request of a kept-alive connection."""
        if conn.is_under_way:  # it sends ahead, or has gone: the answer comes first
            self._unwatch(conn)
            return
        if not conn.is_idle:
            return  # it was answered for the last time in the same turn of the loop
        conn.is_idle = False
        self.keepalived_conns.remove(conn)
        self._collect(conn, conn.receive())

    def on_pending_socket_readable(self, conn: Connection, _client: Any) -> None:
        """Read on in a request that has begun."""
        if not conn.is_pending:
            return  # it was dropped for another one in the same turn of the loop
        before = len(conn.buffer)
        progress = conn.receive()
        self._buffered += len(conn.buffer) - before
        if progress is Progress.PARTIAL:
            self._shed()
            return
        self._unpend(conn)
        self._pass_on(conn, progress)

    def handle(self, conn: Connection) -> Any:
        """Serve a request; runs in a thread."""
        now = time.monotonic()
        if now - conn.submitted > self.patience_seconds and not conn.is_large:
            if self._webhook is not None:
                self._webhook.receiver.refuse("overloaded")
            with contextlib.suppress(OSError):
                conn.sock.send(fast_path.bare_answer(503))
            return False
        conn.deadline = now + self.request_seconds
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Answer a request; after a large body the connection ends, and the answer says so."""
        if conn.is_large:
            req.force_close()
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, fs: Future[Any]) -> None:
        """Keep the connection for its next request, or end it without waiting for the client."""
        keep = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        if not keep:
            self._linger(conn)
            return
        conn.sock.setblocking(False)
        if ahead := conn.parser.unreader.take_buffered():
            conn.buffer += ahead
            self._collect(conn, conn.progress())
            return
        self._keep(conn)

    def _keep(self, conn: Connection) -> None:
        """Wait for the next request of a connection."""
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        conn.is_idle = True
        self.keepalived_conns.append(conn)
        self._watch(conn, self.on_client_socket_readable)

    def murder_pending(self) -> None:
        """End requests that take too long to arrive, and connections that linger."""
        now = time.monotonic()
        while self.pending_conns and self.pending_conns[0].timeout <= now:
            self._drop(self.pending_conns[0])
        while self._lingering and self._lingering[0].timeout <= now:
            self._close(self._lingering.popleft())
        if self._held is not None:
            self._held.flush()

    def murder_keepalived(self, force: bool = False) -> None:
        """End kept-alive connections that have been idle too long, or all of them.

        The next request may be under way just then: for it the connection ends with an answer.
        """
        now = time.monotonic()
        while self.keepalived_conns and (force or self.keepalived_conns[0].timeout <= now):
            conn = self.keepalived_conns.popleft()
            conn.is_idle = False
            self._unwatch(conn)
            self._refuse(conn, 503)

    def handle_error(self, _req: Any, client: Any, _addr: Any, exc: Exception) -> None:
        """Answer what gunicorn itself refuses; neither log nor answer quotes the request."""
        status = _status_of(exc)
        log.warning("request_refused_by_server", error=type(exc).__name__, status=status)
        with contextlib.suppress(OSError):
            client.sendall(fast_path.bare_answer(status))

    def _cap_keepalive(self, deadline: float) -> None:
        # A stopping worker waits for nobody longer than for a kept-alive connection.
        super()._cap_keepalive(deadline)
        for conn in (*self.pending_conns, *self._lingering):
            conn.timeout = min(conn.timeout, deadline)

    def _take(self, _descriptor: int) -> None:
        assert self._held is not None  # noqa: S101  # it has called us
        try:
            passed = self._held.take()
        except EOFError:
            self.alive = False
            return
        if passed is not None:
            self._begin(socket.socket(fileno=passed.descriptor), passed.number)

    def _begin(self, client: socket.socket, number: int) -> None:
        """Read what a new connection already sent."""
        self.nr_conns += 1
        address: Any = ("", 0)
        with contextlib.suppress(OSError):  # it is gone: reading will tell
            address = client.getpeername()
        conn = Connection(self.cfg, client, address, client.getsockname())
        conn.number = number
        self._collect(conn, conn.receive())

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        # The rest of a body that nobody read is in memory already: what was promised is kept.
        with contextlib.suppress(http_errors.ParseException, OSError):
            return bool(keepalive and conn.parser.finish_body())
        return False

    def _collect(self, conn: Connection, progress: Progress) -> None:
        if progress is not Progress.PARTIAL:
            self._pass_on(conn, progress)
            return
        self._unwatch(conn)
        conn.timeout = time.monotonic() + self.request_seconds
        conn.is_pending = True
        self._buffered += len(conn.buffer)
        self.pending_conns.append(conn)
        self._watch(conn, self.on_pending_socket_readable)
        self._shed()

    def _pass_on(self, conn: Connection, progress: Progress) -> None:
        if progress is Progress.COMPLETE and self._group_commit is not None:
            plain = fast_path.read(conn.buffer, SMALL_BODY_BYTES)
            if plain is not None:
                self._take_whole(self._group_commit, conn, plain)
                return
        self._unwatch(conn)
        if progress is Progress.CLOSED:
            self._close(conn)
        elif progress is Progress.ABSURD:
            self._refuse(conn, 431 if b"\r\n" in conn.buffer else 414)
        elif progress is Progress.LARGE and self._large is not None:
            conn.is_large = True
            self._submit(self._large, conn)
        else:
            self._submit(self.tpool, conn)

    def _take_whole(
        self, group_commit: GroupCommit, conn: Connection, plain: fast_path.Request
    ) -> None:
        """Have the receiver answer without a thread; the poller is told nothing of it."""
        conn.rearm()
        conn.is_under_way = True
        conn.closes = plain.closes
        reply = partial(self._reply, conn)
        group_commit.take(plain.signature, plain.timestamp, plain.body, reply)

    def _reply(self, conn: Connection, status: int) -> None:
        """Say a status; as gunicorn does, say whether the connection ends."""
        assert self._answers is not None  # noqa: S101  # made with what calls us
        conn.is_under_way = False
        is_crowded = len(self.keepalived_conns) >= self.max_keepalived
        closes = conn.closes or not self.alive or not self.cfg.keepalive or is_crowded
        said = self._answers(status, closes)
        try:
            is_said = conn.sock.send(said) == len(said)
        except OSError:  # it has gone, or has not read thousands of answers
            is_said = False
        if is_said and not closes:
            self._keep(conn)
        else:
            self._linger(conn)

    def _submit(self, threads: ThreadPoolExecutor, conn: Connection) -> None:
        conn.submitted = time.monotonic()
        served = threads.submit(self.handle, conn)
        served.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, conn, done)
        )

    def _shed(self) -> None:
        """Keep what is buffered for unfinished requests bounded: the oldest goes first."""
        while self.pending_conns and (
            self._buffered > self.buffered_bytes or len(self.pending_conns) > self._most_pending()
        ):
            self._drop(self.pending_conns[0])

    def _most_pending(self) -> int:
        return int(self.worker_connections * 3 // 4)

    def _drop(self, conn: Connection) -> None:
        self._unpend(conn)
        self._refuse(conn, 408 if conn.buffer and self.alive else 503)

    def _unpend(self, conn: Connection) -> None:
        conn.is_pending = False
        self.pending_conns.remove(conn)
        self._unwatch(conn)
        self._buffered -= len(conn.buffer)

    def _refuse(self, conn: Connection, status: int) -> None:
        with contextlib.suppress(OSError):
            conn.sock.send(fast_path.bare_answer(status))
        self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Say our last word, then wait, without a thread, until the client has heard it.

        Closing at once with bytes unread would reset the connection under the answer.
        """
        self._unwatch(conn)
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        if conn.drain():
            self._close(conn)
            return
        conn.timeout = time.monotonic() + self.linger_seconds
        self._lingering.append(conn)
        self._watch(conn, self._on_lingering_readable)

    def _on_lingering_readable(self, conn: Connection, _client: Any) -> None:
        if conn.drain():
            self._lingering.remove(conn)
            self._close(conn)

    def _watch(self, conn: Connection, ready: Callable[[Connection, Any], None]) -> None:
        if not conn.is_watched:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(ready, conn))
            conn.is_watched = True

    def _unwatch(self, conn: Connection) -> None:
        if conn.is_watched:
            self.poller.unregister(conn.sock)
            conn.is_watched = False

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        self._unwatch(conn)
        if self._held is not None:
            self._held.release(conn.number)
        conn.close()


def _status_of(error: Exception) -> int:
    if isinstance(error, http_errors.LimitRequestHeaders):
        return 431
    if isinstance(error, http_errors.LimitRequestLine):
        return 414
    if isinstance(error, http_errors.UnsupportedTransferCoding):
        return 501
    if isinstance(error, (http_errors.ParseException, OSError)):
        return 400
    return 503
