"""What the connections of a worker share: deadlines, limits, and the routes of requests."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

from databricks_app.endpoint import WEBHOOK_PATH, is_webhook_path
from databricks_app.ingest.refusals import note_fault, note_refusal
from databricks_app.ingest.wsgi import WebhookFirst, webhook_of
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.serving.http.answers import Answers
from databricks_app.serving.http.body import Room
from databricks_app.serving.http.connection import Connection
from databricks_app.serving.http.deadlines import Deadlines
from databricks_app.serving.http.exchange import Discarding, Exchange
from databricks_app.serving.http.parser import Head
from databricks_app.serving.http.webhook import Receiving
from databricks_app.serving.http.wsgi import RequestTarget
from databricks_app.serving.http.wsgi_exchange import AppCaller, WsgiExchange

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# The paths that the Flask app answers, besides the webhook route.
APP_PATHS = frozenset(("/healthz", "/readyz", "/metrics"))
STOPPING_SECONDS = 2.0
_IDLE_STOPPING_SECONDS = 1.0
_WEBHOOK_TARGET = WEBHOOK_PATH.encode()
_BARE = {status: [("Retry-After", "5"), ("Content-Length", "0")] for status in (413, 503)}


class Limits:
    """The limits of a worker.

    Attributes:
        connections: Most connections, including those that linger.
        request_seconds: How long a request may take to arrive, and a client to read an answer. A
            request gets this time up to six times, if each time at least one MiB arrives.
        idle_seconds: How long a connection may wait for its next request; 0 means that it ends
            after one answer.
        linger_seconds: How long a client may continue to send after the last answer.
        buffered_bytes: Most bytes of unfinished requests in memory.
        file_bytes: Most bytes of unfinished requests on disk.
        longest_wait_seconds: How long a request may wait for a thread. The sender gives up soon
            after.
    """

    connections = 1000
    request_seconds = 10.0
    idle_seconds = 125.0
    linger_seconds = 2.0
    buffered_bytes = 64 << 20
    file_bytes = 1 << 30
    longest_wait_seconds = 2.0


class ConnectionPool:
    """The `Pool` of one worker, for one WSGI app.

    For an app of `create_app` the webhook route is answered in the loop. Its other routes, and
    every route of another app, are answered by the app in a thread.
    """

    def __init__(
        self,
        app: WSGIApplication,
        limits: Limits,
        room: Room,
        threads: Executor,
        loop: asyncio.AbstractEventLoop,
        server: str,
        release: Callable[[int], None],
    ) -> None:
        """Start without connections.

        Args:
            app: Answers the requests that the loop does not answer.
            limits: Limits of the worker.
            room: Memory and disk for bodies.
            threads: Threads that call the app.
            loop: The event loop.
            server: Value of the header `Server`.
            release: Tells the acceptor that it need not answer for a connection any more.
        """
        self._limits = limits
        self.release = release
        self.room = room
        self.is_stopping = False
        self.ends_connections = limits.idle_seconds <= 0
        self.connections: set[Connection] = set()
        self.arriving: Deadlines[Connection] = Deadlines(limits.request_seconds)
        self.stalled: Deadlines[Connection] = Deadlines(limits.request_seconds)
        self.idle: Deadlines[Connection] = Deadlines(limits.idle_seconds)
        self.lingering: Deadlines[Connection] = Deadlines(limits.linger_seconds)
        self.now = loop.time
        self.soon = loop.call_soon
        # Where the app is mounted: the variable is gunicorn's.
        self._script_name = os.environ.get("SCRIPT_NAME", "")
        webhook: WebhookFirst | None = webhook_of(app)
        self._receiving: Receiving | None = None
        self._recurring = RecurringLog()
        if webhook is not None:
            self._recurring = webhook.receiver.recurring
            self._receiving = Receiving(webhook, room, loop, threads, limits.longest_wait_seconds)
        headers = _BARE if webhook is None else webhook.headers
        self.answers = Answers(server, headers, time.time)
        fail = partial(note_fault, self._recurring) if webhook is None else webhook.receiver.fail
        self._caller = AppCaller(
            app,
            threads,
            loop,
            self.answers,
            limits.longest_wait_seconds,
            self.refuse,
            fail,
        )
        self._max_lingering = max(8, limits.connections // 8)

    # Connections call these.

    def opened(self, connection: Connection) -> None:
        """Add a connection; close the oldest idle one if there is no room for more."""
        self.connections.add(connection)
        self.make_room()

    def closed(self, connection: Connection) -> None:
        """Remove a connection."""
        self.connections.discard(connection)

    def exchange(self, connection: Connection, head: Head) -> Exchange:
        """Start the exchange of a request, chosen by its path and method."""
        receiving = self._receiving
        if receiving is None:
            target = RequestTarget.of(head.target, self._script_name)
            return WsgiExchange(connection, head, target, self._caller, room=self.room)
        # The usual request: the target need not be taken apart.
        if head.target == _WEBHOOK_TARGET and not self._script_name and head.method == "POST":
            return receiving.exchange(connection, head)
        target = RequestTarget.of(head.target, self._script_name)
        if is_webhook_path(target.path) and head.method == "POST":
            return receiving.exchange(connection, head)
        if is_webhook_path(target.path) or target.path in APP_PATHS:
            return WsgiExchange(connection, head, target, self._caller)
        if b"x-cio-signature" in head.fields:  # scanners do not send it
            self.refuse("misdirected", 404)
        else:
            self.refuse("not_found", 404)
        return Discarding(connection, head, 404)

    def refused(self, status: int, kind: str) -> None:
        """Count and log bytes that are not a request."""
        reason = "no_room" if kind == "no_memory" else "exception"
        self.refuse("malformed" if status != 503 else reason, status, kind)

    def refuse(self, reason: str, status: int, detail: str = "") -> None:
        """Log a refusal, and count it if there are counters; see `WebhookReceiver.refuse`."""
        if self._receiving is not None:
            self._receiving.receiver.refuse(reason, status, detail)
        else:
            note_refusal(self._recurring, reason, status, detail=detail)

    # The worker calls these.

    @property
    def most_open(self) -> int:
        """How many connections the acceptor may pass; it does not count those that linger."""
        return max(1, self._limits.connections - self._max_lingering)

    def make_room(self) -> None:
        """Close the oldest connections that are over the limits."""
        while len(self.lingering) > self._max_lingering:
            if (oldest := self.lingering.oldest()) is not None:
                self.lingering.discard(oldest)
                oldest.abort()
        # Some places stay free, so that a burst of new connections does not reach the limit of
        # open files.
        most = self.most_open - min(64, self._limits.connections // 8)
        surplus = len(self.connections) - len(self.lingering) - most
        # Idle connections first: their clients wait for nothing. Then the request that has been
        # arriving for the longest time.
        for _ in range(max(0, surplus)):
            if (connection := self.idle.oldest()) is not None:
                connection.refuse(503)
            elif (connection := self.arriving.oldest()) is not None:
                self._give_up(connection)
            else:
                return

    def sweep(self) -> None:
        """Do the periodic work: end what takes too long, refuse what has waited too long."""
        now = self.now()
        for connection in self.arriving.due(now):
            if not connection.renew():
                self._give_up(connection)
        for connection in self.idle.due(now):
            connection.refuse(503)
        for due in (self.stalled.due(now), self.lingering.due(now)):
            for connection in due:
                connection.abort()
        if self._receiving is not None:
            self._receiving.sweep()
        self.shed()
        self.make_room()
        self._recurring.sweep()

    def shed(self) -> None:
        """Give up the oldest unfinished requests until memory is within its limit."""
        while self.room.memory_left < 0 and (oldest := self.arriving.oldest()) is not None:
            self._give_up(oldest)

    def stop(self) -> None:
        """End idle connections soon, and others with their next answer."""
        self.is_stopping = self.ends_connections = True
        now = self.now()
        self.idle.shorten(_IDLE_STOPPING_SECONDS, now)
        for deadlines in (self.arriving, self.stalled, self.lingering):
            deadlines.shorten(STOPPING_SECONDS, now)

    def end(self) -> None:
        """Answer 503 for every request that is not answered yet."""
        for connection in list(self.connections):
            connection.refuse(503)
        self._recurring.sweep(is_end=True)

    def _give_up(self, connection: Connection) -> None:
        if connection.has_begun and not self.is_stopping:
            self.refuse("incomplete", 408)
            connection.refuse(408)
        else:
            # Not the sender's fault, and a request may be on its way: 503 makes it repeat soon.
            connection.refuse(503)
