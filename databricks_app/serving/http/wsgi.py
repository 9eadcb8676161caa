"""A WSGI app (PEP 3333) called for one request; what it says comes back as a whole.

For requests that are not the sender's: health, metrics, and apps that are no receiver. Neither
bodies nor answers are streamed through it: the one is complete before, the other after the call.
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

# These are of the connection, which is the server's.
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
    """A request target as WSGI wants it.

    Attributes:
        script_name: The part of the path that leads to the app.
        path: The rest of it, decoded, as latin-1.
        query: As received.
    """

    script_name: str
    path: str
    query: str

    @classmethod
    def of(cls, target: bytes, script_name: str = "") -> RequestTarget:
        """Take apart a target of any form: `/path?query`, `http://host/path?query`, `*`.

        Args:
            target: As received.
            script_name: Where the app is mounted; a path elsewhere has an empty `path`.
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
    """What an app said: code and reason, headers, and the whole body."""

    status_line: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a connection, as far as WSGI asks for them."""

    client: str
    client_port: str
    server: str
    server_port: str

    @classmethod
    def of(cls, client: Any, server: Any) -> Ends:
        """Take the addresses as sockets give them; those of Unix sockets are empty."""
        pairs = [one[:2] if isinstance(one, tuple) else ("", "") for one in (client, server)]
        (host, port), (own, own_port) = pairs
        return cls(str(host), str(port), str(own), str(own_port))


def environ(
    head: Head, target: RequestTarget, ends: Ends, body: IO[bytes], size: int
) -> WSGIEnvironment:
    """Return WSGI's view of a request.

    Args:
        head: Request line and fields.
        target: The request target.
        ends: Of the connection.
        body: At its beginning; all of it has come.
        size: Bytes of it.
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
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in head.fields.items():
        key = name.decode("latin-1").upper().replace("-", "_")
        made[f"HTTP_{key}"] = value.decode("latin-1")
    made.pop("HTTP_CONTENT_LENGTH", None)
    if head.length is None or head.length:
        made["CONTENT_LENGTH"] = str(size)
    if (kind := made.pop("HTTP_CONTENT_TYPE", None)) is not None:
        made["CONTENT_TYPE"] = kind
    return made


def call(app: WSGIApplication, given: WSGIEnvironment) -> WsgiResponse:
    """Have an app answer; runs in a thread.

    Raises:
        RuntimeError: The app did not begin its answer.
        ValueError: A line of its head would be more than one line.
    """
    said: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: Any = None
    ) -> Callable[[bytes], object]:
        said[:] = [(status, headers)]
        return written.append

    pieces = app(given, start_response)
    try:
        written.extend(pieces)
    finally:
        if (close := getattr(pieces, "close", None)) is not None:
            close()
    if not said:
        raise RuntimeError("the app did not call start_response")
    body = b"".join(written)
    status_line, headers = said[0]
    kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
    if any(_LINE_END.search(text) for text in (status_line, *map("".join, kept))):
        raise ValueError("a header of the app's answer has a line end in it")
    is_bodiless = status_line[:3] in ("204", "304")
    if not is_bodiless and "content-length" not in {name.lower() for name, _ in kept}:
        kept.append(("Content-Length", str(len(body))))
    if is_bodiless or given["REQUEST_METHOD"] == "HEAD":
        body = b""
    return WsgiResponse(status_line, kept, body)
