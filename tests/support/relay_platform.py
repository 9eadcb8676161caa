"""A small real double of what stands between the relay and the app: proxy and token endpoint.

The proxy answers `401 {}` under `/api/` to a caller without a valid token, takes `Authorization`
away and passes the rest on, as a Databricks workspace does; and it can be told to misbehave.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a key of the tests"
CLIENT_ID, CLIENT_SECRET = "client-id", "client-secret-value"
_BASIC = "Basic " + b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()

Behaviour = Callable[["Handler"], None]


@dataclass(frozen=True)
class ForwardedRequest:
    """A request as the app would get it; the names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Platform:
    """A workspace with one app, on two free loopback ports, from `with` to its end.

    Attributes:
        app: Address of a real receiver; without one the double stores by itself.
        behaviours: What the next requests with a valid token meet, in turn; then all is well.
        always: What every one of them meets.
        token_behaviour: What every call for a token meets.
        token_seconds: How long new tokens are said to last.
        valid: Tokens that the proxy takes.
        issued: How many tokens were made.
        token_calls: How many were asked for.
        seen: Requests that came through to the app.
        calls: How many requests reached the proxy.
    """

    app: tuple[str, int] | None = None
    behaviours: list[Behaviour] = field(default_factory=list)
    always: Behaviour | None = None
    token_behaviour: Behaviour | None = None
    token_seconds: Any = 3600
    valid: set[str] = field(default_factory=set)
    issued: int = 0
    token_calls: int = 0
    seen: list[ForwardedRequest] = field(default_factory=list)
    calls: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Platform:
        """Begin to answer."""
        self._tokens = self._begin(_TokenHandler)
        self._proxy = self._begin(Handler)
        self.address = self._proxy.server_address[:2]
        return self

    def __exit__(self, *_: object) -> None:
        """End what is hanging, then the servers."""
        self.closing.set()
        self.stop()
        _end(self._tokens)

    def variables(self, **more: str) -> dict[str, str]:
        """Return the relay's environment."""
        return {
            "CIO_WEBHOOK_SIGNING_KEYS": KEY,
            "CIO_RELAY_APP_URL": f"http://127.0.0.1:{self.address[1]}",
            "DATABRICKS_HOST": f"http://127.0.0.1:{self._tokens.server_port}",
            "DATABRICKS_CLIENT_ID": CLIENT_ID,
            "DATABRICKS_CLIENT_SECRET": CLIENT_SECRET,
        } | more

    def stop(self) -> None:
        """Refuse connections, as a platform that is gone."""
        if self._proxy is not None:
            _end(self._proxy)
            self._proxy = None

    def start(self) -> None:
        """Listen again on the same port."""
        self._proxy = self._begin(Handler, self.address[1])

    def _begin(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> Any:
        class Bound(handler):  # type: ignore[misc, valid-type]
            platform = self

        server = _Server(("127.0.0.1", port), Bound)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    """Does not wait for kept connections at its end, and is quiet about those that break."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


def _end(server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()


class _Base(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    platform: Platform

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer; `content_type` is the header Content-Type."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))


class _TokenHandler(_Base):
    def do_POST(self) -> None:
        """Give a token to a caller that knows the secret."""
        form = self._body()
        platform = self.platform
        with platform.lock:
            platform.token_calls += 1
        if platform.token_behaviour is not None:
            platform.token_behaviour(self)  # type: ignore[arg-type]
            return
        asked = (self.path, self.headers["Authorization"], form)
        if asked != ("/oidc/v1/token", _BASIC, b"grant_type=client_credentials&scope=all-apis"):
            self.answer(401, b'{"error":"invalid_client"}', content_type="application/json")
            return
        with platform.lock:
            platform.issued += 1
            token = f"token-{platform.issued}"
            platform.valid.add(token)
        said = {"access_token": token, "token_type": "Bearer", "expires_in": platform.token_seconds}
        self.answer(200, json.dumps(said).encode(), content_type="application/json")


class Handler(_Base):
    """The proxy in front of the app."""

    def do_POST(self) -> None:
        """Pass on what has a token."""
        body = self._body()
        platform = self.platform
        with platform.lock:
            platform.calls += 1
        if (self.headers["Authorization"] or "").removeprefix("Bearer ") not in platform.valid:
            self.answer(401, b"{}", content_type="application/json")
            return
        with platform.lock:
            behaviour = platform.behaviours.pop(0) if platform.behaviours else platform.always
        if behaviour is not None:
            behaviour(self)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        del headers["authorization"]
        with platform.lock:
            platform.seen.append(ForwardedRequest(self.path, headers, body))
        if platform.app is None:
            genuine(200)(self)
        else:
            self._pass_on(platform.app, headers, body)

    def _pass_on(self, app: tuple[str, int], headers: dict[str, str], body: bytes) -> None:
        connection = HTTPConnection(*app, timeout=10)
        connection.request("POST", self.path, body, headers)
        said = connection.getresponse()
        self.answer(said.status, said.read(), Cache_Control=said.headers["Cache-Control"] or "")
        connection.close()


def genuine(status: int) -> Behaviour:
    """Answer as the receiver does."""
    return lambda handler: handler.answer(status, Cache_Control="no-store")


def page(status: int, text: bytes = b"<html>Sign in</html>", **headers: str) -> Behaviour:
    """Answer as a platform does: with a page."""
    return lambda handler: handler.answer(status, text, content_type="text/html", **headers)


def hang(handler: Handler) -> None:
    """Say nothing until the end of the test."""
    handler.platform.closing.wait(30)
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """Close the connection instead of an answer."""
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """Reset the connection instead of an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def trickle(handler: Handler) -> None:
    """Send one byte of a head after the other, without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not handler.platform.closing.wait(0.05):
        handler.wfile.write(b"x")
    handler.close_connection = True
