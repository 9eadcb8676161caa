"""Post signed bodies over one connection that is kept open, as Customer.io does.

Standard library only. Logs nothing. Bodies, keys and signatures appear in no error.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import ConfigurationError, CustomerIOError
from core.webhooks.signature import TEST_HEADER, SigningKey, sign

if TYPE_CHECKING:
    from types import TracebackType

# https://docs.customer.io/integrations/api/webhooks: the sender waits 4 s for an answer.
TIMEOUT_SECONDS = 4.0
_MAX_TEXT_BYTES = 400


@dataclass(frozen=True, slots=True)
class Destination:
    """The parts of a URL that a connection needs; `path` includes the query."""

    is_tls: bool
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The complete URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.path}"

    @property
    def shown(self) -> str:
        """The URL without its query, which may be a secret: for texts."""
        head, mark, _ = self.url.partition("?")
        return f"{head}?..." if mark else head


def destination(url: str) -> Destination:
    """Parse a URL; the default path is `/`.

    Raises:
        ConfigurationError: It is not an absolute http or https URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError("the URL is not valid") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("the URL must begin with http:// or https:// and name a host")
    if parts.username is not None or not f"{parts.path}{parts.query}".isascii():
        raise ConfigurationError("the URL must not contain a user name or characters outside ASCII")
    is_tls = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    path = (parts.path or "/") + query
    return Destination(is_tls, parts.hostname, port or (443 if is_tls else 80), path)


@dataclass(frozen=True, slots=True)
class PostResponse:
    """The answer of the receiver.

    Attributes:
        status: HTTP status; redirects are not followed.
        text: The start of the body, printable characters only.
        seconds: From the start of the connection to the last byte read.
    """

    status: int
    text: str
    seconds: float

    def __str__(self) -> str:
        return f"answered {self.status}"

    @property
    def is_acknowledged(self) -> bool:
        """Whether Customer.io would count the event as delivered."""
        return 200 <= self.status < 300


# The first match counts: ConnectionRefusedError is also a ConnectionError.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "timed_out"),
    (socket.gaierror, "unknown_host"),
    (ssl.SSLError, "tls"),
    (ConnectionError, "reset"),
    (HTTPException, "reset"),
)


class NoAnswer(CustomerIOError):  # noqa: N818  # a result of sending, not an error of the client
    """No answer arrived.

    Attributes:
        reason: `refused`, `reset`, `timed_out`, `unknown_host`, `tls` or `unreachable`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"no answer: {reason.replace('_', ' ')}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[NoAnswer], tuple[str]]:
        return type(self), (self.reason,)

    @classmethod
    def because_of(cls, error: Exception) -> NoAnswer:
        """Create the error for an exception of a connection."""
        reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
        return cls(next(reasons, "unreachable"))


class Sender:
    """One connection, for one thread at a time.

    Attributes:
        reopened: How often the receiver closed the connection between two requests. This is no
            failure: the request is sent again on a new connection.
    """

    def __init__(
        self,
        destination: Destination,
        key: SigningKey,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        is_test: bool = True,
    ) -> None:
        """Connect at the first post.

        Args:
            destination: Where to post.
            key: Signs the bodies.
            timeout_seconds: How long to wait for each step of a post.
            is_test: Whether the posts are marked as ours; False to pass for Customer.io.
        """
        self._destination = destination
        self._key = key
        self._is_test = is_test
        kind = HTTPSConnection if destination.is_tls else HTTPConnection
        self._connection = kind(destination.host, destination.port, timeout=timeout_seconds)
        self.reopened = 0

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next post opens a new one."""
        self._connection.close()

    def post(self, body: bytes, *, timestamp: int) -> PostResponse:
        """Sign a body and post it once.

        Args:
            body: Sent as it is.
            timestamp: Unix seconds; signed and put into the header.

        Raises:
            NoAnswer: The connection was refused or reset, or no answer arrived in time.
        """
        headers = signed_headers(self._key, timestamp, body, is_test=self._is_test)
        start = time.perf_counter()
        is_reused = self._connection.sock is not None
        try:
            try:
                status, text = self._exchange(body, headers)
            except (RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # A server may close a kept connection at any time. On a new connection it is a
                # failure.
                if not is_reused:
                    raise
                self.close()
                self.reopened += 1
                status, text = self._exchange(body, headers)
        except (OSError, HTTPException) as error:
            self.close()
            raise NoAnswer.because_of(error) from error
        return PostResponse(status, text, time.perf_counter() - start)

    def _exchange(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        self._connection.request("POST", self._destination.path, body, headers)
        response = self._connection.getresponse()
        text = response.read(_MAX_TEXT_BYTES).decode("utf-8", "replace")
        if not response.isclosed() and response.read(1):
            # A long page, for example of a proxy. A new connection is cheaper than reading it.
            self.close()
        one_line = " ".join(text.split())
        return response.status, "".join(filter(str.isprintable, one_line))


def signed_headers(
    key: SigningKey, timestamp: int, body: bytes, *, is_test: bool = True
) -> dict[str, str]:
    """Return the headers that Customer.io sends with a body, and the mark that it is ours."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ciolake",
        "X-CIO-Timestamp": str(timestamp),
        "X-CIO-Signature": sign(key, timestamp, body),
    }
    return {**headers, TEST_HEADER: "1"} if is_test else headers
