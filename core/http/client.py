"""The HTTP client under the App API and the Data Pipelines API.

Connections are kept and shared by threads; every wait has a limit. `core.http.exchange`
decides what to do; this module does it. It uses httpx2's transports directly: the client class of
httpx2 logs every address, and addresses of the App API hold e-mail addresses.
"""

from __future__ import annotations

import logging
import random as random_module
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import httpx2

from core.errors import ClientClosedError, ResponseError
from core.http import forks
from core.http.exchange import Attempt, ExchangeRules, Operation, OutgoingRequest, Wait, exchange
from core.http.rate_limits import Gate, Rate
from core.http.responses import Json, Response
from core.http.retries import Failure, RetryPolicy
from core.http.transports import default_transport
from core.http.urls import address, checked_download

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from core.http.downloads import Sink
    from core.http.exchange import Reply, Step
    from core.http.urls import Query

logger = logging.getLogger(__name__)

_HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate"}
_NOT_CONNECTED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)
_UNREADABLE = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one attempt may take, in seconds.

    Attributes:
        connect: Until the connection stands, TLS included.
        read: Between two pieces of the answer.
        write: Between two pieces of the request.
        pool: Until a connection of the pool is free.
        total: Until the last piece of the answer.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 30.0
    total: float = 60.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where calls go, and with what; the `repr` shows no key.

    Attributes:
        base_url: The host, without `/v1`.
        authorization: Makes the header's value; a function, so that no `repr` shows it.
        scrub: Takes the key out of the server's words.
        headers: Sent with every call.
    """

    base_url: str
    authorization: Callable[[], str]
    scrub: Callable[[str], str]
    headers: Mapping[str, str]


def utc_now() -> datetime:
    """Return the time of day, UTC-aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Timing:
    """Time and chance, as arguments.

    Attributes:
        sleep: Lets that many seconds pass.
        now: The date, UTC-aware.
        monotonic: Seconds, for durations and rates.
        random: Evenly distributed in [0, 1).
    """

    sleep: Callable[[float], object] = time.sleep
    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random_module.random


class HttpClient:
    """Calls operations of one host. Safe to share between threads, and usable after a fork."""

    def __init__(
        self,
        access: Access,
        rates: Mapping[str, Rate],
        *,
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        transport: httpx2.BaseTransport | None = None,
        clock: Timing | None = None,
        gates: Mapping[str, Gate] | None = None,
        on_attempt: Callable[[Attempt], object] | None = None,
    ) -> None:
        """Prepare a client; connections are made when they are needed.

        Args:
            access: Where calls go, and with what.
            rates: The rate classes by name; each operation names one.
            retries: How often and how long to try.
            timeouts: For one attempt.
            transport: Replaces the sockets. It is the caller's to close, and in a forked child
                the caller's to replace. Without one, connections go through the proxy that the
                environment names, if it does.
            clock: Replaces time and chance.
            gates: Rate gates shared with other clients of the same workspace.
            on_attempt: Is told of each attempt; must be quick. Its own failures are logged.
        """
        self._access = access
        self._retries = retries or RetryPolicy()
        self._timeouts = timeouts or Timeouts()
        self._clock = clock or Timing()
        self._gates = {name: Gate(rate) for name, rate in rates.items()} | dict(gates or {})
        self._on_attempt = on_attempt
        self._given = transport
        self._made: httpx2.BaseTransport | None = None
        self._abandoned: list[httpx2.BaseTransport] = []
        self._lock = threading.Lock()
        self._is_closed = False
        self._has_warned = False
        forks.watch(self)

    def __repr__(self) -> str:
        return f"HttpClient({self._access.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a second time does nothing."""
        self._is_closed = True
        if self._made is not None:
            self._made.close()

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        self._lock = threading.Lock()
        if self._made is not None:
            # Kept, since collecting it would warn of sockets that are not ours to close.
            self._abandoned.append(self._made)
            self._made = None

    def call(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str | int] | None = None,
        query: Query | None = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        retries: RetryPolicy | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> Response:
        """Call an operation, repeated as far as that is safe.

        Args:
            operation: What to call.
            path: The ids in its path; percent-encoded here.
            query: Percent-encoded here; None is left out, a list is repeated.
            content: The encoded body.
            headers: Beside those of every call; they win.
            retries: Instead of the client's.
            pause: Instead of the clock's `sleep`; what it raises ends the call.

        Returns:
            The answer, which is a success.

        Raises:
            ValidationError: An id of the path is missing, blank, `.` or `..`.
            CallError: One of its kinds.
        """
        self._check_open(operation)
        request = OutgoingRequest(
            method=operation.method,
            url=address(self._access.base_url, operation.path, path or {}, query or {}),
            headers={
                **_HEADERS,
                **self._access.headers,
                **(headers or {}),
                "authorization": self._access.authorization(),
            },
            content=content,
        )
        rules = self._rules(operation, retries or self._retries)
        return self._perform(exchange(operation, request, rules), pause or self._clock.sleep)

    def download(
        self,
        operation: Operation,
        url: str,
        sink: Sink,
        *,
        total_seconds: float = 3600.0,
    ) -> Response:
        """Fetch a foreign address without the key, straight into a file, piece by piece.

        Repeated like a call; each attempt begins where the sink began.

        Args:
            operation: Names it for errors, attempts and its rate class; its path is not used.
            url: Absolute; what is signed in it is in no log and no error.
            sink: Where it goes.
            total_seconds: How long one attempt may take, instead of `Timeouts.total`.

        Returns:
            The answer, a success, without its body; `streamed_bytes` were written.

        Raises:
            ValidationError: The address is not https (http only if this client's own is http).
            CallError: One of its kinds.
        """
        self._check_open(operation)
        request = OutgoingRequest(
            method=operation.method,
            url=checked_download(url, self._access.base_url),
            headers={
                "accept-encoding": "identity",  # what is counted and continued are file bytes
                "user-agent": self._access.headers.get("user-agent", ""),
                **sink.headers(),
            },
            content=b"",
            sink=sink,
        )
        rules = self._rules(operation, self._retries)
        steps = exchange(operation, request, rules)
        if self._given is not None:
            return self._perform(steps, self._clock.sleep, self._given, total_seconds)
        # The proxy and the certificates that suit this address need not suit our own host.
        with default_transport(request.url) as transport:
            return self._perform(steps, self._clock.sleep, transport, total_seconds)

    def _check_open(self, operation: Operation) -> None:
        if self._is_closed:
            raise ClientClosedError(f"{operation.name}: the client is closed")

    def _transport(self) -> httpx2.BaseTransport:
        if self._given is not None:
            return self._given
        with self._lock:  # made late: reading the certificates takes tens of milliseconds
            if self._made is None:
                self._made = default_transport(self._access.base_url)
            return self._made

    def _rules(self, operation: Operation, policy: RetryPolicy) -> ExchangeRules:
        return ExchangeRules(
            policy=policy,
            gate=self._gates[operation.rate],
            now=self._clock.now,
            monotonic=self._clock.monotonic,
            random=self._clock.random,
            scrub=self._access.scrub,
            observe=self._observe,
        )

    def _perform(
        self,
        steps: Generator[Step, Reply, Response],
        pause: Callable[[float], object],
        transport: httpx2.BaseTransport | None = None,
        total_seconds: float | None = None,
    ) -> Response:
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as done:
                answer: Response = done.value
                return answer
            if isinstance(step, Wait):
                pause(step.seconds)
                reply = None
            else:
                reply = self._send(step.request, transport, total_seconds)

    def _send(
        self,
        request: OutgoingRequest,
        transport: httpx2.BaseTransport | None,
        total_seconds: float | None,
    ) -> Response | Failure:
        deadline = self._clock.monotonic() + (total_seconds or self._timeouts.total)
        try:
            answer = (transport or self._transport()).handle_request(self._prepared(request))
            try:
                return self._read(answer, request.sink, deadline)
            finally:
                answer.close()
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            return _failure(error)

    def _read(self, answer: httpx2.Response, sink: Sink | None, deadline: float) -> Response:
        status, headers = answer.status_code, dict(answer.headers)
        pieces = self._pieces(answer, deadline)
        if sink is None:
            return Response(status, headers, b"".join(pieces))
        if answer.is_success:
            return Response(status, headers, b"", sink.take(status, headers, pieces))
        return Response(status, headers, next(pieces, b""))  # a refusal's first piece says why

    def _pieces(self, answer: httpx2.Response, deadline: float) -> Iterator[bytes]:
        for piece in answer.iter_bytes():
            # The read timeout begins anew with each piece; a trickle would never end.
            if self._clock.monotonic() > deadline:
                raise httpx2.ReadTimeout("the answer took too long")
            yield piece

    def _prepared(self, request: OutgoingRequest) -> httpx2.Request:
        limits = self._timeouts
        timeout = {name: getattr(limits, name) for name in ("connect", "read", "write", "pool")}
        return httpx2.Request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.content,
            extensions={"timeout": timeout},
        )

    def _observe(self, attempt: Attempt) -> None:
        _log(attempt)
        if attempt.is_redirected and not self._has_warned:
            self._has_warned = True
            logger.warning("%s was redirected to another host: set the region", attempt.operation)
        if self._on_attempt is None:
            return
        try:
            self._on_attempt(attempt)
        except Exception as error:  # noqa: BLE001  # a failing metric must not fail a call
            logger.warning("on_attempt failed: %s", type(error).__name__)


def read_json(operation: Operation, response: Response) -> Json:
    """Read the body of a success; None if it is empty.

    Raises:
        ResponseError: It is not JSON.
    """
    try:
        return response.json()
    except ValueError as error:
        raise ResponseError(
            f"{operation.name}: accepted with status {response.status}, but the answer"
            f" ({len(response.body)} bytes) is not JSON. Do not repeat it blindly.",
            operation=operation.name,
            attempts=1,
        ) from error


def _failure(error: httpx2.RequestError | httpx2.InvalidURL) -> Failure:
    reason = type(error).__name__
    if isinstance(error, _NOT_CONNECTED):
        return Failure("not_connected", reason)
    return Failure("unreadable_call" if isinstance(error, _UNREADABLE) else "no_answer", reason)


def _log(attempt: Attempt) -> None:
    level = logging.DEBUG if attempt.retry_in_seconds is None else logging.WARNING
    if not logger.isEnabledFor(level):
        return
    logger.log(
        level,
        "%s attempt %d: %s after %.3f s%s",
        attempt.operation,
        attempt.number,
        attempt.status or attempt.failure,
        attempt.elapsed_seconds,
        "" if attempt.retry_in_seconds is None else f", again in {attempt.retry_in_seconds:.2f} s",
    )
