"""A WSGI app served to granian, whose threads never wait for a client.

granian's own WSGI interface gives a thread to a request before its body has come, and knows no
time limit for bodies: as many clients as there are threads stop it for good by sending half a
request. Its RSGI interface leaves the reading to us. So the loop collects a request, within a time
limit, and gives a thread only what is complete. A body too large to collect is read by one of a few
threads of its own, within the same limit. Webhook requests need no thread at all: see `express`.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from granian._granian import RSGIHTTPProtocol
from granian.rsgi import Scope

from databricks_app.express import EXPRESS_BYTES, Express
from databricks_app.routes import WebhookFirst, is_webhook_path, webhook_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

COLLECT_BYTES = 256 << 10
BUFFERED_BYTES = 64 << 20
LARGE_THREADS = 4
REQUEST_SECONDS = 10.0
_PIECE_SECONDS = 5.0
_ENDING_SECONDS = 2.0
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_CLOSE = ("connection", "close")
_REFUSED = (("retry-after", "5"), ("content-length", "0"), _CLOSE)
_SIGNATURE, _TIMESTAMP = "x-cio-signature", "x-cio-timestamp"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Answer:
    """What the app said; it is WSGI's `start_response`."""

    status: int = 503
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def __call__(
        self, status: str, headers: list[tuple[str, str]], _exc_info: Any = None
    ) -> Callable[[bytes], object]:
        self.status = int(status.partition(" ")[0])
        # hyper, below granian, holds that names of headers are in lower case.
        self.headers = [(name.lower(), value) for name, value in headers]
        return lambda _data: None


class Bridge:
    """Takes requests from granian and has a WSGI app answer them in threads.

    Make it in the worker process; use it in one event loop.
    """

    def __init__(
        self,
        app: WSGIApplication,
        threads: int,
        *,
        request_seconds: float = REQUEST_SECONDS,
        buffered_bytes: int = BUFFERED_BYTES,
    ) -> None:
        """Start without threads; they come as they are needed.

        Args:
            app: Answers the requests.
            threads: How many requests it answers at once, apart from those of large bodies.
            request_seconds: How long a request's body may take to arrive.
            buffered_bytes: Most bytes of unfinished bodies.
        """
        self._app = app
        self._request_seconds = request_seconds
        self._buffered_bytes = buffered_bytes
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._large = ThreadPoolExecutor(LARGE_THREADS, thread_name_prefix="large-body")
        self._arriving: dict[asyncio.Timeout, int] = {}
        self._buffered = 0
        self._is_ending = False
        webhook = webhook_of(app)
        self._webhook = None if webhook is None else _Webhook(webhook)

    async def answer(self, scope: Scope, protocol: RSGIHTTPProtocol) -> None:
        """Answer a request. Whatever fails is answered 503: granian would say 500."""
        try:
            await self._answer(scope, protocol)
        except TimeoutError:
            protocol.response_empty(408, list(_REFUSED))
        except Exception as error:  # noqa: BLE001  # a 500 would stall the feed for an hour
            log.error("request_failed", error=type(error).__name__)
            protocol.response_empty(503, list(_REFUSED))

    def end(self) -> None:
        """Say in every answer from now on that the connection ends; wait for no body for long."""
        self._is_ending = True
        latest = asyncio.get_running_loop().time() + _ENDING_SECONDS
        for timeout in self._arriving:
            timeout.reschedule(latest)

    def close(self) -> None:
        """Wait for the requests in hand."""
        self._threads.shutdown()
        self._large.shutdown()

    async def _answer(self, scope: Scope, protocol: RSGIHTTPProtocol) -> None:
        headers = scope.headers.items()
        length = _body_length(scope.method, headers)
        if self._webhook is not None and self._webhook.takes(scope, headers, length):
            body = await self._collect(protocol, length) if length else b""
            status = await self._webhook.answer(headers, body)
            lines = self._webhook.lines(status)
            protocol.response_empty(status, [*lines, _CLOSE] if self._is_ending else lines)
            return
        loop = asyncio.get_running_loop()
        if length is None or length > COLLECT_BYTES:
            stream: Any = _Feed(loop, protocol, time.monotonic() + self._request_seconds)
            threads = self._large
        else:
            stream = io.BytesIO(await self._collect(protocol, length) if length else b"")
            threads = self._threads
        said = await loop.run_in_executor(threads, self._call, scope, headers, stream)
        if self._is_ending or threads is self._large:
            said.headers.append(_CLOSE)
        if said.body:
            protocol.response_bytes(said.status, said.headers, said.body)
        else:
            protocol.response_empty(said.status, said.headers)

    async def _collect(self, protocol: RSGIHTTPProtocol, length: int) -> bytes:
        """Wait for a body; where too much is waited for, the oldest goes first.

        Raises:
            TimeoutError: It takes too long.
        """
        seconds = _ENDING_SECONDS if self._is_ending else self._request_seconds
        async with asyncio.timeout(seconds) as timeout:
            self._arriving[timeout] = length
            self._buffered += length
            if self._buffered > self._buffered_bytes:
                self._shed()
            try:
                return await protocol()
            finally:
                self._forget(timeout)

    def _shed(self) -> None:
        for timeout in list(self._arriving):
            if self._buffered <= self._buffered_bytes:
                return
            timeout.reschedule(0)
            self._forget(timeout)

    def _forget(self, timeout: asyncio.Timeout) -> None:
        self._buffered -= self._arriving.pop(timeout, 0)

    def _call(self, scope: Scope, headers: list[tuple[str, str]], stream: Any) -> _Answer:
        """Have the app answer; runs in a thread."""
        answer = _Answer()
        pieces = self._app(_environ(scope, headers, stream), answer)
        try:
            answer.body = b"".join(pieces)
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()
        return answer


class _Webhook:
    """The webhook route without threads, for this event loop."""

    def __init__(self, webhook: WebhookFirst) -> None:
        self._express = Express.of(webhook.door, self._defer)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._lines = {
            status: [(name.lower(), value) for name, value in headers]
            for status, headers in webhook.headers.items()
        }

    def lines(self, status: int) -> list[tuple[str, str]]:
        """Return the headers of an answer."""
        return self._lines[status]

    def takes(self, scope: Scope, headers: list[tuple[str, str]], length: int | None) -> bool:
        """Whether a request is one for us, and plain."""
        return (
            self._express is not None
            and length is not None
            and length <= EXPRESS_BYTES
            and scope.method == "POST"
            and is_webhook_path(scope.path)
            and not scope.query_string
            # WSGI takes a line in a name for a hyphen.
            and not any("_" in name for name, _ in headers)
        )

    async def answer(self, headers: list[tuple[str, str]], body: bytes) -> int:
        """Wait for the status of a request that `takes` let in."""
        assert self._express is not None  # noqa: S101  # it has let it in
        self._loop = asyncio.get_running_loop()
        status: asyncio.Future[int] = self._loop.create_future()
        signature, timestamp = _joined(headers, _SIGNATURE), _joined(headers, _TIMESTAMP)
        self._express.take(signature, timestamp, body, partial(_resolve, status))
        if not status.done() and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn, self._loop, self._express)
        return await status

    def _turn(self, loop: asyncio.AbstractEventLoop, express: Express) -> None:
        """Hand over what came in a turn of the loop."""
        self._is_due = False
        express.submit()
        if self._timer is None:
            self._watch(loop, express)

    def _watch(self, loop: asyncio.AbstractEventLoop, express: Express) -> None:
        """Look after those who wait until nobody does."""
        express.expire()
        express.submit()
        left = express.seconds_left()
        self._timer = None
        if left is not None:
            self._timer = loop.call_later(left, self._watch, loop, express)

    def _defer(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended, and all who waited with it
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)


def _resolve(status: asyncio.Future[int], said: int) -> None:
    if not status.done():  # the client has gone
        status.set_result(said)


def _joined(headers: list[tuple[str, str]], name: str) -> bytes | None:
    """Return a header as the door gets it of WSGI: doubled ones are joined."""
    values = [value for key, value in headers if key == name]
    return ",".join(values).encode("latin-1", "replace") if values else None


class _Feed:
    """A body as it arrives, for a thread: WSGI's `wsgi.input`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: RSGIHTTPProtocol, deadline: float
    ) -> None:
        self._loop = loop
        self._pieces = protocol.__aiter__()
        self._deadline = deadline
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return at most this much of what comes next; nothing at the end.

        Raises:
            TimeoutError: Nothing comes, or the body takes too long.
        """
        if not self._rest:
            left = min(_PIECE_SECONDS, self._deadline - time.monotonic())
            coming = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            try:
                self._rest = coming.result(max(0.0, left))
            except TimeoutError:
                coming.cancel()
                raise
        size = len(self._rest) if size < 0 else size
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    async def _next(self) -> bytes:
        try:
            piece: bytes = await self._pieces.__anext__()
        except StopAsyncIteration:
            return b""
        return piece or await self._next()


def _body_length(method: str, headers: list[tuple[str, str]]) -> int | None:
    """Return the length of the body; None if it is not told."""
    told = dict(headers)
    if "transfer-encoding" in told:
        return None
    # hyper refuses lengths that are no numbers or contradict each other; without one is no body.
    text = told.get("content-length", "0")
    return int(text) if method not in _BODILESS else 0


def _environ(scope: Scope, headers: list[tuple[str, str]], stream: Any) -> dict[str, Any]:
    """Return WSGI's view of a request: doubled headers are joined, as gunicorn does."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path,
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": stream,
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    host, _, port = scope.server.rpartition(":")
    environ["SERVER_NAME"], environ["SERVER_PORT"] = host, port
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    if scope.authority and "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority
    return environ
