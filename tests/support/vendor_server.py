"""A Customer.io on loopback: a real HTTP server that records calls and answers by script."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came over the socket; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer; `hang_up` closes the connection instead."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


Script = Callable[[Call], Reply]


class VendorServer:
    """Answers `replies` one after the other, then whatever `script` says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.replies: list[Reply] = []
        self.script: Script = lambda _: Reply()
        self.arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, is_so: Callable[[], bool]) -> bool:
        """Wait until something is so, at most 10 s; looked at again with every call."""
        with self.arrived:
            return self.arrived.wait_for(is_so, timeout=10)

    def items(self) -> list[dict[str, Any]]:
        """All items of all batches, in the order they arrived."""
        return [item for call in self.calls for item in call.json["batch"]]

    def _take(self, call: Call) -> Reply:
        with self.arrived:
            self.calls.append(call)
            self.arrived.notify_all()
            if self.replies:
                return self.replies.pop(0)
        return self.script(call)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                port = self.client_address[1]
                reply = server._take(Call(self.command, self.path, headers, body, port))
                if reply.hang_up:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {
                    "Content-Length": str(len(reply.body)),
                    **reply.headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # names of the base class

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


class RoutedTransport(httpx2.BaseTransport):
    """Carries calls for any host to a server on loopback; the Host header stays."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._inner = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request to the loopback server."""
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        headers = [(name, value) for name, value in request.headers.raw]
        return self._inner.handle_request(
            httpx2.Request(
                request.method,
                url,
                headers=headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    def close(self) -> None:
        """Close the sockets."""
        self._inner.close()


@pytest.fixture
def vendor() -> Iterator[VendorServer]:
    """A vendor on loopback, stopped at the end."""
    server = VendorServer()
    yield server
    server.close()
