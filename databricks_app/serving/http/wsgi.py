"""Calls a WSGI app (PEP 3333) for one request and returns its complete answer.

Not for webhook requests: for health, metrics and other apps. Nothing is streamed: the body is
complete before the call, and the answer after it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from databricks_app.serving.http.parser import Head

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

# Headers of the connection, which belongs to the server: an app may not set them.
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "date",
        "keep-alive",
        "proxy-connection",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_LINE_END = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """A request target in the parts that WSGI needs.

    Attributes:
        script_name: The part of the path that leads to the app.
        path: The rest of the path, percent-decoded, as latin-1.
        query: The query as received.
    """

    script_name: str
    path: str
    query: str

    @classmethod
    def of(cls, target: bytes, script_name: str = "") -> RequestTarget:
        """Split a target of any form: `/path?query`, `http://host/path?query`, `*`.

        Args:
            target: The target as received.
            script_name: Where the app is mounted; `path` is empty for a target outside of it.
        """
        if not target.startswith(b"/") and b"://" in target:
            authority = target.partition(b"://")[2]
            start = min(
                (at for at in map(authority.find, (b"/", b"?", b"#")) if at >= 0),
                default=len(authority),
            )
            target = b"/" + authority[start:].removeprefix(b"/")
        path, _, query = target.partition(b"#")[0].partition(b"?")
        decoded = unquote_to_bytes(path).decode("latin-1")
        rest = decoded.removeprefix(script_name) if decoded.startswith(script_name) else ""
        return cls(script_name, rest, query.decode("latin-1"))


@dataclass(frozen=True, slots=True)
class WsgiResponse:
    """An app's answer: code and reason, headers, and the whole body."""

    status_line: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Ends:
    """The addresses of both ends of a connection, as WSGI needs them."""

    client: str
    client_port: str
    server: str
    server_port: str

    @classmethod
    def of(cls, client: Any, server: Any) -> Ends:
        """Convert the addresses of two sockets; a Unix socket has empty ones."""
        pairs = [one[:2] if isinstance(one, tuple) else ("", "") for one in (client, server)]
        (host, port), (own, own_port) = pairs
        return cls(str(host), str(port), str(own), str(own_port))


def environ(
    head: Head, target: RequestTarget, ends: Ends, body: IO[bytes], size: int
) -> WSGIEnvironment:
    """Return the WSGI environ of a request.

    Args:
        head: Request line and fields.
        target: The request target.
        ends: The addresses of the connection.
        body: The complete body, at its beginning.
        size: Length of the body in bytes.
    """
    made: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": target.script_name,
        "PATH_INFO": target.path,
        "QUERY_STRING": target.query,
        "RAW_URI": head.target.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "SERVER_NAME": ends.server,
        "SERVER_PORT": ends.server_port,
        "REMOTE_ADDR": ends.client,
        "REMOTE_PORT": ends.client_port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        # The input has an end, so that Werkzeug also reads a body without Content-Length.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in head.fields.items():
        key = name.decode("latin-1").upper().replace("-", "_")
        made[f"HTTP_{key}"] = value.decode("latin-1")
    # These two have names of their own in WSGI (PEP 3333, "environ Variables").
    made.pop("HTTP_CONTENT_LENGTH", None)
    if head.length is None or head.length:
        made["CONTENT_LENGTH"] = str(size)
    if (kind := made.pop("HTTP_CONTENT_TYPE", None)) is not None:
        made["CONTENT_TYPE"] = kind
    return made


def call(app: WSGIApplication, given: WSGIEnvironment) -> WsgiResponse:
    """Call an app; runs in a thread.

    Raises:
        RuntimeError: The app did not call `start_response`.
        ValueError: A header of the answer contains a line end.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: Any = None
    ) -> Callable[[bytes], object]:
        started[:] = [(status, headers)]
        return written.append

    pieces = app(given, start_response)
    try:
        written.extend(pieces)
    finally:
        if (close := getattr(pieces, "close", None)) is not None:
            close()
    if not started:
        raise RuntimeError("the app did not call start_response")
    body = b"".join(written)
    status_line, headers = started[0]
    kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
    # A line end in a header would let its value add headers or a second answer.
    if any(_LINE_END.search(text) for text in (status_line, *map("".join, kept))):
        raise ValueError("a header of the app's answer contains a line end")
    is_bodiless = status_line[:3] in ("204", "304")
    if not is_bodiless and "content-length" not in {name.lower() for name, _ in kept}:
        kept.append(("Content-Length", str(len(body))))
    if is_bodiless or given["REQUEST_METHOD"] == "HEAD":
        body = b""
    return WsgiResponse(status_line, kept, body)
