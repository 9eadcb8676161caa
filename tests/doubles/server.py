"""The doubles' HTTP server: one loopback port, HTTP/1.1 with keep-alive, one thread a connection.

Not simulated: TLS, HTTP/2, compression of answers, IP access lists, audit logs.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import traceback
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.doubles.faults import Fault
from tests.doubles.messages import Answer, Dropped, Json, Refused, Request, answered

if TYPE_CHECKING:
    from tests.doubles.routing import Routes
    from tests.doubles.workspace.state import Workspace

CONTROL = "/double/"


class Server(ThreadingHTTPServer):
    """Listens on a loopback port until it is closed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, workspace: Workspace, routes: Routes, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.workspace = workspace
        self.routes = routes
        threading.Thread(
            target=self.serve_forever, args=(0.05,), name="double", daemon=True
        ).start()

    def close(self) -> None:
        """End all waits and close the socket; open connections end when the client closes them."""
        self.workspace.switches.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Print nothing: clients that close their connection are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body go out in one TCP segment
    server: Server

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer any method."""
        request = self._request()
        switches = self.server.workspace.switches
        try:
            answer = self._control(request) or self._serve(request)
        except Refused as refused:
            switches.count(request.operation or "unknown", is_failed=True)
            answer = refused.answer()
        except Dropped:
            switches.count(request.operation, is_failed=True)
            # With a linger time of 0 the kernel closes the connection with RST instead of FIN.
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.shutdown(socket.SHUT_RD)
            self.connection.close()
            return
        except Exception:  # noqa: BLE001  # a bug of the double must not look like a fault of a test
            answer = Refused(500, "DOUBLE_BROKEN", traceback.format_exc()).answer()
        self._send(request, answer)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_GET  # noqa: N815  # the library's names

    def _serve(self, request: Request) -> Answer:
        """Call the service of a request, with the faults before and after it."""
        workspace = self.server.workspace
        route, request.arguments = self.server.routes.find(request.method, request.path)
        request.operation = route.operation
        if workspace.describe is not None:
            workspace.describe(request)
        workspace.switches.count(request.operation)
        with workspace.limits.call(request.operation):
            workspace.switches.before(request)
            if not route.is_open:
                request.principal = workspace.tokens.principal(request.headers.get("authorization"))
            answer = answered(route.service(workspace, request))
            workspace.switches.after(request)
        return answer

    def _control(self, request: Request) -> Answer | None:
        """Answer the double's own routes, without faults and counters; None for other paths."""
        if not request.path.startswith(CONTROL):
            return None
        workspace = self.server.workspace
        route = request.method, request.path.removeprefix(CONTROL)
        result: Json = {}
        try:
            match route:
                case "POST", "faults":
                    given = json.loads(request.body)
                    faults = given if isinstance(given, list) else [given]
                    workspace.switches.set(*(_fault(one) for one in faults))
                case "DELETE", "faults":
                    workspace.switches.clear()
                case "DELETE", "counts":
                    workspace.switches.reset_counts()
                case "GET", "state":
                    result = workspace.switches.state() | {"limits": workspace.limits.state()}
                case "POST", "warehouse":
                    workspace.warehouses.control(**request.json())
                case "POST", "apps":
                    workspace.apps.control(**request.json())
                case "POST", "tokens/revoke":
                    workspace.tokens.revoke_all()
                case _:
                    raise Refused(404, "NOT_FOUND", f"The double has no control route {route}.")
        except (TypeError, ValueError) as error:
            raise Refused(400, "INVALID_PARAMETER_VALUE", str(error)) from error
        return answered(result)

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
        )

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, request: Request, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json"} | answer.headers
        # The answer to HEAD has the length that the body would have.
        headers.setdefault("Content-Length", str(len(answer.body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()


def _fault(values: dict[str, Any]) -> Fault:
    known = {each.name for each in fields(Fault) if each.init}
    if unknown := set(values) - known:
        names = ", ".join(sorted(unknown))
        raise ValueError(f"A fault has no field {names}; its fields are {sorted(known)}.")
    return Fault(**values)
