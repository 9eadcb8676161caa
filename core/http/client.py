"""The HTTP client of the App API and the Data Pipelines API.

Threads share its connections. Every wait has a limit. `core.http.exchange` decides the steps of a
call; this module executes them.
"""

from __future__ import annotations

import logging
import random as random_module
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

# Only its transports: `httpx2.Client` logs every URL, and URLs of the App API contain e-mail
# addresses.
import httpx2

from core.errors import ClientClosedError, ResponseError
from core.http import forks
from core.http.attempt_log import log_attempt
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
    from core.values import Id

logger = logging.getLogger(__name__)

_HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate"}
# After these exceptions no byte of the request has been sent.
_NOT_CONNECTED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)
# A retry would raise these exceptions again.
_CANNOT_BE_SENT = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of one attempt, in seconds.

    Attributes:
        connect: For establishing a connection, TLS included.
        read: Between two parts of the answer.
        write: Between two parts of the request.
        pool: For waiting for a free connection of the pool.
        total: From sending to the last part of the answer.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 30.0
    total: float = 60.0


@dataclass(frozen=True, slots=True)
class Access:
    """The host, the key and the headers of a client. The `repr` shows no key.

    Attributes:
        base_url: Without `/v1`.
        authorization: Returns the header `Authorization`. A function, so that no `repr` shows it.
        scrub: Removes the key from a text.
        headers: Sent with every call.
    """

    base_url: str
    authorization: Callable[[], str]
    scrub: Callable[[str], str]
    headers: Mapping[str, str]


def utc_now() -> datetime:
    """Return the current time, UTC-aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock and random numbers, so that tests can replace them.

    Attributes:
        sleep: Waits for a number of seconds.
        now: The current time, UTC-aware.
        monotonic: Seconds, for durations and rate limits.
        random: Uniformly distributed in [0, 1).
    """

    sleep: Callable[[float], object] = time.sleep
    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random_module.random


class HttpClient:
    """Calls operations of one host. Threads may share it, and it can be used after a fork."""

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
        """Create a client. Connections are opened when they are needed.

        Args:
            access: The host, the key and the headers.
            rates: The rate classes by name; each operation names one.
            retries: How often and how long to retry.
            timeouts: Of one attempt.
            transport: Replaces the sockets. The caller closes it, and replaces it in a forked
                child. By default, connections use the proxy that the environment names, if any.
            clock: Replaces clock and random numbers.
            gates: Rate gates shared with other clients of the same workspace.
            on_attempt: Called after each attempt; must be fast. Exceptions in it are logged.
        """
        self._access = access
        self._retries = retries or RetryPolicy()
        self._timeouts = timeouts or Timeouts()
        self._clock = clock or Timing()
        self._gates = {name: Gate(rate) for name, rate in rates.items()} | dict(gates or {})
        self._on_attempt = on_attempt
        self._callers_transport = transport
        self._own_transport: httpx2.BaseTransport | None = None
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
        """Close the connections. Calling it again does nothing."""
        self._is_closed = True
        if self._own_transport is not None:
            self._own_transport.close()

    def after_fork(self) -> None:
        """Use new connections in a forked child."""
        self._lock = threading.Lock()
        if self._own_transport is not None:
            # The sockets belong to the parent, so they are not closed here. The reference stays,
            # because garbage collection would warn about open sockets.
            self._abandoned.append(self._own_transport)
            self._own_transport = None

    def call(
        self,
        operation: Operation,
        *,
        path: Mapping[str, Id] | None = None,
        query: Query | None = None,
        content: bytes | Callable[[], bytes] = b"",
        headers: Mapping[str, str] | None = None,
        retries: RetryPolicy | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> Response:
        """Call an operation, and repeat the call where that is safe.

        Args:
            operation: The operation.
            path: The ids in its path; they are percent-encoded here.
            query: Percent-encoded here. None is left out, a list is repeated.
            content: The encoded body, or a function that returns it for each attempt.
            headers: Added to the headers of every call; they replace headers of the same name.
            retries: Replaces the retry policy of the client.
            pause: Replaces `sleep` of the clock. An exception in it ends the call.

        Returns:
            A successful answer.

        Raises:
            ValidationError: An id of the path is missing, blank, `.` or `..`.
            CallError: The call failed; the subclass says how.
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
            content=b"" if callable(content) else content,
            renew=content if callable(content) else None,
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
        """Download a URL of another host to a file in bounded memory. The key is not sent.

        The download is repeated like a call. Each attempt starts again at the offset of the sink.

        Args:
            operation: For errors, attempts and the rate class; its path is not used.
            url: Absolute. It appears in no log and no error, because it may be signed.
            sink: The file to write to.
            total_seconds: The timeout of one attempt, instead of `Timeouts.total`.

        Returns:
            A successful answer without its body. `streamed_bytes` were written.

        Raises:
            ValidationError: The URL is not https (or http, if this client uses http).
            CallError: The download failed; the subclass says how.
        """
        self._check_open(operation)
        request = OutgoingRequest(
            method=operation.method,
            url=checked_download(url, self._access.base_url),
            headers={
                # Offsets count bytes of the file, so the server must not compress it.
                "accept-encoding": "identity",
                "user-agent": self._access.headers.get("user-agent", ""),
                **sink.headers(),
            },
            content=b"",
            sink=sink,
        )
        rules = self._rules(operation, self._retries)
        steps = exchange(operation, request, rules)
        if self._callers_transport is not None:
            return self._perform(steps, self._clock.sleep, self._callers_transport, total_seconds)
        # This host may need another proxy, or certificates that the transport for `base_url` (plain
        # http) does not have.
        with default_transport(request.url) as transport:
            return self._perform(steps, self._clock.sleep, transport, total_seconds)

    def _check_open(self, operation: Operation) -> None:
        if self._is_closed:
            raise ClientClosedError(f"{operation.name}: the client is closed")

    def _transport(self) -> httpx2.BaseTransport:
        if self._callers_transport is not None:
            return self._callers_transport
        # Created at the first call: reading the certificates takes tens of milliseconds.
        with self._lock:
            if self._own_transport is None:
                self._own_transport = default_transport(self._access.base_url)
            return self._own_transport

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
                # A generator returns its value in this exception.
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
            timeouts = self._timeouts
            answer = (transport or self._transport()).handle_request(
                httpx2.Request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    content=request.content,
                    extensions={
                        "timeout": {
                            "connect": timeouts.connect,
                            "read": timeouts.read,
                            "write": timeouts.write,
                            "pool": timeouts.pool,
                        }
                    },
                )
            )
            try:
                return self._read(answer, request.sink, deadline)
            finally:
                answer.close()
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            reason = type(error).__name__
            if isinstance(error, _NOT_CONNECTED):
                return Failure("not_connected", reason)
            if isinstance(error, _CANNOT_BE_SENT):
                return Failure("unreadable_call", reason)
            return Failure("no_answer", reason)

    def _read(self, answer: httpx2.Response, sink: Sink | None, deadline: float) -> Response:
        status, headers = answer.status_code, dict(answer.headers)
        parts = self._parts_until(deadline, answer)
        if sink is None:
            return Response(status, headers, b"".join(parts))
        if answer.is_success:
            return Response(status, headers, b"", sink.take(status, headers, parts))
        # The body of a failure is read for its error message only: the first part is enough.
        return Response(status, headers, next(parts, b""))

    def _parts_until(self, deadline: float, answer: httpx2.Response) -> Iterator[bytes]:
        for part in answer.iter_bytes():
            # The read timeout starts again with each part, so a server that sends one byte at a
            # time would never reach it.
            if self._clock.monotonic() > deadline:
                raise httpx2.ReadTimeout("the answer took too long")
            yield part

    def _observe(self, attempt: Attempt) -> None:
        log_attempt(attempt)
        # In a wrong region every call is redirected. One warning is enough.
        if attempt.is_redirected and not self._has_warned:
            self._has_warned = True
            logger.warning("%s was redirected to another host: set the region", attempt.operation)
        if self._on_attempt is None:
            return
        try:
            self._on_attempt(attempt)
        except Exception as error:  # noqa: BLE001  # a failure in the metrics must not fail a call
            logger.warning("on_attempt failed: %s", type(error).__name__)


def read_json(operation: Operation, response: Response) -> Json:
    """Decode the body of a successful answer; None if it is empty.

    Raises:
        ResponseError: The body is not JSON.
    """
    try:
        return response.json()
    except ValueError as error:
        raise ResponseError(
            f"{operation.name}: accepted with status {response.status}, but the answer"
            f" ({len(response.body)} bytes) is not JSON. Check what the call did before you repeat"
            " it.",
            operation=operation.name,
            attempts=1,
        ) from error
