"""Requests that a WSGI app answers in a thread: health, metrics, and all requests of other apps."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import TYPE_CHECKING

from databricks_app.serving.http.answers import Answers
from databricks_app.serving.http.body import NoRoom, Room, Spool
from databricks_app.serving.http.connection import LARGEST_KEPT_ANSWER, Connection
from databricks_app.serving.http.exchange import DISCARD_BYTES, Exchange
from databricks_app.serving.http.parser import Head
from databricks_app.serving.http.wsgi import Ends, RequestTarget, WsgiResponse, call, environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LARGEST_BODY_BYTES = 256 << 20

# Called with reason, status and detail.
Refuse = Callable[[str, int, str], None]


class AppCaller:
    """Calls a WSGI app in threads."""

    def __init__(
        self,
        app: WSGIApplication,
        threads: Executor,
        loop: asyncio.AbstractEventLoop,
        answers: Answers,
        longest_wait_seconds: float,
        refuse: Refuse,
        fail: Callable[[Exception], None],
    ) -> None:
        """Start without requests.

        Args:
            app: The app.
            threads: Threads that call it.
            loop: The event loop, which sends the answers.
            answers: Makes the bytes of the answers.
            longest_wait_seconds: How long a request may wait for a thread.
            refuse: Counts and logs refusals.
            fail: Counts and logs exceptions of the app.
        """
        self.refuse = refuse
        self._app = app
        self._threads = threads
        self._loop = loop
        self._answers = answers
        self._longest_wait_seconds = longest_wait_seconds
        self._fail = fail

    def submit(self, exchange: WsgiExchange, ends: Ends) -> None:
        """Let a thread answer a request."""

        def finish(answered: Future[WsgiResponse | None]) -> None:
            # At its end the pool cancels the work that waits.
            response = None if answered.cancelled() else answered.result()
            with suppress(RuntimeError):  # the loop has ended, so nobody waits for the answer
                self._loop.call_soon_threadsafe(exchange.answer, response, self._answers)

        answered = self._threads.submit(self._answer, exchange, ends, time.monotonic())
        answered.add_done_callback(finish)

    def _answer(self, exchange: WsgiExchange, ends: Ends, since: float) -> WsgiResponse | None:
        """Call the app; runs in a thread. None means 503."""
        if time.monotonic() - since > self._longest_wait_seconds:
            self.refuse("overloaded", 503, "")
            return None
        try:
            return call(self._app, exchange.environ(ends))
        except Exception as error:  # noqa: BLE001  # after a 500 Customer.io waits an hour
            self._fail(error)
            return None


class WsgiExchange(Exchange):
    """A request that a WSGI app answers."""

    __slots__ = ("_caller", "_connection", "_discarded", "_is_cut_short", "_spool", "_target")

    def __init__(
        self,
        connection: Connection,
        head: Head,
        target: RequestTarget,
        caller: AppCaller,
        room: Room | None = None,
    ) -> None:
        """Start with the head only.

        Args:
            connection: The connection.
            head: Request line and fields.
            target: The request target.
            caller: Calls the app.
            room: Memory and disk for the body; None if the app does not use the body.
        """
        super().__init__(connection, head)
        self._connection = connection
        self._target = target
        self._caller = caller
        self._spool = None if room is None else Spool(room, head.length, LARGEST_BODY_BYTES)
        self._discarded = 0
        self._is_cut_short = False
        length = head.length or 0
        if self._spool is None and length > DISCARD_BYTES:
            self._is_cut_short = True
        elif self._spool is not None and length > LARGEST_BODY_BYTES:
            self.decide(413)

    @property
    def is_ready(self) -> bool:
        """Whether the app can be called."""
        return self.is_complete or self.decided != 0 or self._is_cut_short

    def write(self, piece: bytes) -> None:
        """Keep a piece of the body, or discard it."""
        if self._spool is None:
            self._discarded += len(piece)
            self._is_cut_short = self._is_cut_short or self._discarded > DISCARD_BYTES
            return
        if self.decided:
            return
        try:
            self._spool.write(piece)
        except (NoRoom, OSError) as error:
            self._caller.refuse("no_room", 503, "files" if isinstance(error, NoRoom) else "disk")
            self.decide(503)
        if self._spool.is_cut:
            self.decide(413)

    def start(self) -> None:
        """Send the decided answer, or call the app."""
        if self.decided:
            self._connection.reply(self, self.decided)
        else:
            self._caller.submit(self, self._connection.ends)

    def environ(self, ends: Ends) -> dict[str, object]:
        """Return the WSGI environ of the request."""
        if self._spool is None:
            return environ(self.head, self._target, ends, io.BytesIO(), 0)
        return environ(self.head, self._target, ends, self._spool.stream(), self._spool.size)

    def answer(self, response: WsgiResponse | None, answers: Answers) -> None:
        """Send the app's answer; None means 503."""
        if response is None:
            self._connection.reply(self, 503)
            return
        closes = self._connection.closes_after(self) or len(response.body) > LARGEST_KEPT_ANSWER
        whole = answers.whole(response.status_line, response.headers, response.body, closes)
        self._connection.send(self, whole, closes=closes)

    def drop(self) -> None:
        """Release memory and disk."""
        if self._spool is not None:
            self._spool.close()
