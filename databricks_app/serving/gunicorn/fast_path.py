"""The plain webhook request and its answer, as bytes of HTTP/1.1.

`read` takes requests as senders of webhooks make them and leaves all others to the server's own
parser: what it takes, gunicorn would take too, with the same meaning. Pure; the clock is an
argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from databricks_app.endpoint import WEBHOOK_PATH

_MOST_HEAD = 8000  # gunicorn takes single fields of 8,190
_HEAD = re.compile(
    # Other spellings of the path take the server's own way.
    rb"POST " + re.escape(WEBHOOK_PATH.encode()) + rb" HTTP/1\.1\r\n"
    # A name with an underscore is not plain, a line that begins with a space neither.
    rb"(?:[!#$%&'*+.^`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n){1,64}+"
    rb"\r\n"
)
_FIELD = re.compile(
    rb"\r\n(host|content-type|content-length|x-cio-signature|x-cio-timestamp|connection"
    rb"|transfer-encoding|expect|upgrade):([^\r]*)",
    re.IGNORECASE,
)
_NOT_PLAIN = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_LENGTH = re.compile(rb"[0-9]{1,6}")
_CONNECTION = {b"close": True, b"keep-alive": False, b"": False}


@dataclass(frozen=True, slots=True)
class Request:
    """A plain webhook request.

    Attributes:
        signature: Header `X-CIO-Signature` as received; None without one.
        timestamp: Header `X-CIO-Timestamp`, likewise.
        body: All of it.
        closes: Whether the client wants the connection to end with the answer.
    """

    signature: bytes | None = field(repr=False)
    timestamp: bytes | None
    body: bytes = field(repr=False)
    closes: bool


def read(data: bytearray, most_bytes: int) -> Request | None:
    """Read a request that fills the data exactly; None if it does not, or is not plain.

    Args:
        data: What a client sent.
        most_bytes: Longest body to take.
    """
    head = _HEAD.match(data, 0, _MOST_HEAD)
    if head is None:
        return None
    found = _FIELD.findall(head[0])
    fields = {name.lower(): value.strip(b" \t") for name, value in found}
    if len(fields) != len(found) or not _NOT_PLAIN.isdisjoint(fields):
        return None
    length = _LENGTH.fullmatch(fields.get(b"content-length", b""))
    if length is None or int(length[0]) != len(data) - head.end() or int(length[0]) > most_bytes:
        return None
    closes = _CONNECTION.get(fields.get(b"connection", b"").lower())
    if closes is None:
        return None
    return Request(
        signature=fields.get(b"x-cio-signature"),
        timestamp=fields.get(b"x-cio-timestamp"),
        body=bytes(memoryview(data)[head.end() :]),
        closes=closes,
    )


class Answers:
    """The bytes of answers without a body; those of a second are made once."""

    def __init__(
        self,
        server: str,
        headers: Mapping[int, Sequence[tuple[str, str]]],
        clock: Callable[[], float],
    ) -> None:
        """Take over what stands in them.

        Args:
            server: The header of this name.
            headers: Further headers by status.
            clock: Unix seconds.
        """
        self._server = server
        self._headers = headers
        self._clock = clock
        self._second = 0
        self._made: dict[tuple[int, bool], bytes] = {}

    def __call__(self, status: int, closes: bool) -> bytes:
        """Return an answer; it says whether the connection ends."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._made.clear()
        made = self._made.get((status, closes))
        if made is None:
            made = self._made[status, closes] = self._make(status, closes)
        return made

    def _make(self, status: int, closes: bool) -> bytes:
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            f"Server: {self._server}",
            f"Date: {formatdate(self._second, usegmt=True)}",
            f"Connection: {'close' if closes else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in self._headers[status]),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def bare_answer(status: int) -> bytes:
    """Return the last answer of a connection, for a request that nobody has read."""
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nConnection: close\r\n"
        "Retry-After: 5\r\nContent-Length: 0\r\n\r\n"
    ).encode("ascii")


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}
