"""A small real HTTP server for tests of what sends: it checks signatures and keeps what it got."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.webhooks.sender import Destination
from core.webhooks.signature import TEST_HEADER, SigningKey, verify
from databricks_app.ingest.pages import KEY_VERIFIED
from databricks_app.operations.webhooks.destination import parse

KEY = SigningKey.from_text("loopback-key")


class LoopbackReceiver:
    """Answers POST requests on a free loopback port until it is closed.

    Attributes:
        bodies: Bodies of the posts that were answered 2xx.
        paths: Paths of all posts.
        connections: How many connections were opened.
        key: The key that verifies.
        on_look: Called before each answer of `/metrics`, with the number of earlier ones.
    """

    def __init__(
        self,
        *,
        status: Callable[[int], int] = lambda _: 200,
        text: bytes = b"",
        location: str | None = None,
        hangs: Callable[[int], bool] = lambda _: False,
        hangs_up: bool = False,
    ) -> None:
        """Begin to answer.

        Args:
            status: From the number of a verified post, 0 first, to the answer's status.
            text: Body of every answer.
            location: Header of every answer.
            hangs: From the number of a post to whether it is never answered.
            hangs_up: Whether each connection is closed after its answer, without saying so.
        """
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.headers: list[Any] = []
        self.connections = 0
        self.key = KEY
        self.on_look: Callable[[int], object] = lambda _: None
        self._looks = self._refused = 0
        self._verified_at = 0.0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with receiver._lock:
                    receiver.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._lock:
                    number = len(receiver.paths)
                    receiver.paths.append(self.path)
                    receiver.headers.append(self.headers)
                if hangs(number):
                    receiver._closing.wait()
                    self.close_connection = True
                    return
                verdict = verify(
                    (receiver.key,),
                    self.headers["X-CIO-Signature"].encode(),
                    self.headers["X-CIO-Timestamp"].encode(),
                    body,
                    now=time.time(),
                )
                if TEST_HEADER not in self.headers:
                    receiver._note(is_verified=verdict.refusal is None)
                answer = status(number) if verdict.refusal is None else 401
                if answer < 300:
                    with receiver._lock:
                        receiver.bodies.append(body)
                self.send_response(answer)
                self.send_header("Content-Length", str(len(text)))
                if location is not None:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(text)
                self.close_connection = hangs_up

            def do_GET(self) -> None:
                is_metrics = self.path == "/metrics"
                content = receiver._metrics() if is_metrics else b""
                self.send_response(200 if is_metrics else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _note(self, *, is_verified: bool) -> None:
        with self._lock:
            if is_verified:
                self._verified_at = time.time()
            else:
                self._refused += 1

    def _metrics(self) -> bytes:
        self.on_look(self._looks)
        self._looks += 1
        refused = "ciolake_rejected_requests_total"
        return (
            f"# TYPE {KEY_VERIFIED} gauge\n"
            f'{KEY_VERIFIED}{{key="{self.key.fingerprint}"}} {self._verified_at}\n'
            f"# TYPE {refused} counter\n"
            f'{refused}{{key="",reason="wrong_signature"}} {self._refused}\n'
        ).encode()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def destination(self) -> Destination:
        """The webhook's URL, taken apart."""
        return parse(self.url)

    def __enter__(self) -> LoopbackReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def unused_destination() -> Destination:
    """A loopback port on which nothing listens."""
    with LoopbackReceiver() as receiver:
        return receiver.destination
