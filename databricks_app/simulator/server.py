"""The HTTP server of the simulator: turns HTTP into `ApiRequest`, and `ApiReply` into HTTP."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from databricks_app.simulator.messages import ApiReply, ApiRequest

# A body is read into memory before the handler runs.
_MAX_BODY_BYTES = 32 << 20
_IDLE_SECONDS = 60.0


class Server:
    """Listens on a socket and answers each connection in its own thread."""

    def __init__(self, host: str, port: int, answer: Callable[[ApiRequest], ApiReply]) -> None:
        """Listen; requests are answered only after `start`.

        Args:
            host: The address to listen on.
            port: The port; 0: any free port.
            answer: Answers a request; called by many threads at once.

        Raises:
            OSError: The address is in use or does not belong to this machine.
        """
        self._server = _Listener(host, port, _handler(answer))
        # `stop` waits for up to one poll interval; the default of half a second would slow tests.
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.01,), name="server", daemon=True)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        host = self._server.server_name
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_port}"

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, and close the socket."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True  # an open connection must not prevent the process from ending
    request_queue_size = 128

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of an error, but not when a client has closed its connection."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def server_bind(self) -> None:
        """Bind the socket without looking up the host name."""
        # The base class looks up the name of this machine, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


def _handler(answer: Callable[[ApiRequest], ApiReply]) -> type[BaseHTTPRequestHandler]:
    class SimulatorRequestHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = _IDLE_SECONDS

        def answer(self) -> None:
            body = self._read_body()
            if body is None:
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = answer(ApiRequest.from_target(self.command, self.path, headers, body))
            if reply.delay_seconds:
                time.sleep(reply.delay_seconds)
            if reply.hangs_up:
                self.close_connection = True
                return
            self._write(reply)

        def _read_body(self) -> bytes | None:
            """Read the body; returns None if it was refused (411 or 413)."""
            text = self.headers.get("content-length", "0")
            if "transfer-encoding" in self.headers or not text.isdecimal():
                self.send_error(411)
                return None
            if int(text) > _MAX_BODY_BYTES:
                self.send_error(413)
                return None
            return self.rfile.read(int(text))

        def _write(self, reply: ApiReply) -> None:
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
            is_json = bool(content)
            content = content if reply.content is None else reply.content
            self.send_response(reply.status)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(content)))
            if is_json:
                self.send_header("Content-Type", "application/json")
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # names of the base class

        def log_message(self, *_: object) -> None:
            """Print nothing: paths contain e-mail addresses."""

    return SimulatorRequestHandler
