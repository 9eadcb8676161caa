"""Makes the bytes of HTTP answers. Pure: the clock is an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Answers:
    """Makes answers; answers without a body are cached for a second, like their `Date`."""

    def __init__(
        self,
        server: str,
        headers: Mapping[int, Sequence[tuple[str, str]]],
        clock: Callable[[], float],
    ) -> None:
        """Keep what all answers contain.

        Args:
            server: Value of the header `Server`.
            headers: More headers of the answers without a body, by status.
            clock: Unix seconds.
        """
        self._server = server
        self._headers = headers
        self._clock = clock
        self._second = 0
        self._date = ""
        self._made: dict[tuple[int, bool], bytes] = {}

    def __call__(self, status: int, closes: bool) -> bytes:
        """Return an answer without a body; its header says whether the connection ends."""
        self._update_date()
        made = self._made.get((status, closes))
        if made is None:
            line = f"{status} {HTTPStatus(status).phrase}"
            made = self._made[status, closes] = self._head(line, self._headers[status], closes)
        return made

    def whole(
        self, status_line: str, headers: Sequence[tuple[str, str]], body: bytes, closes: bool
    ) -> bytes:
        """Return an answer with a body.

        Args:
            status_line: Code and reason.
            headers: Headers of the app, without hop-by-hop headers.
            body: The whole body.
            closes: Whether the connection ends.
        """
        self._update_date()
        return self._head(status_line, headers, closes) + body

    def _update_date(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True)
            self._made.clear()

    def _head(self, status_line: str, headers: Sequence[tuple[str, str]], closes: bool) -> bytes:
        lines = [
            f"HTTP/1.1 {status_line}",
            f"Server: {self._server}",
            f"Date: {self._date}",
            f"Connection: {'close' if closes else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def bare_answer(status: int) -> bytes:
    """Return the last answer of a connection, for a request that was not read completely."""
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nConnection: close\r\n"
        "Retry-After: 5\r\nContent-Length: 0\r\n\r\n"
    ).encode("ascii")


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}
