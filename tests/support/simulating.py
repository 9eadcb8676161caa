"""A Customer.io for tests: `simulator` stands still until a test lets time pass.

Not a test module. A folder's conftest takes what it needs:
`from tests.support.simulating import make_simulator, simulator  # noqa: F401`.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from core.webhooks.signature import SigningKey, verify
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions

# Reading the certificates of the machine takes longer than most of these tests.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def make_simulator() -> Iterator[Callable[..., Simulator]]:
    """Make running simulators, stopped at the end: `make_simulator(Options(...), **others)`."""
    running: list[Simulator] = []

    def make(options: SimulatorOptions | None = None, **others: Any) -> Simulator:
        given = options or SimulatorOptions(people=10, has_rate_limits=False)
        simulator = Simulator(given, **{"speed": 0.0} | others)
        simulator.start()
        running.append(simulator)
        return simulator

    yield make
    for simulator in running:
        simulator.stop()


@pytest.fixture
def simulator(make_simulator: Callable[..., Simulator]) -> Simulator:
    """A simulator with ten people, whose clock stands still and who refuses nobody for haste."""
    return make_simulator()


def app_client(simulator: Simulator) -> httpx2.Client:
    """Return a client of its App API that says the key; the caller's to close."""
    headers = {"Authorization": f"Bearer {simulator.workspace.keys.app}"}
    return httpx2.Client(base_url=simulator.url, headers=headers, verify=_NO_TLS)


@pytest.fixture
def app(simulator: Simulator) -> Iterator[httpx2.Client]:
    """A client of the App API of `simulator`."""
    with app_client(simulator) as client:
        yield client


def call(method: str, url: str, **options: Any) -> httpx2.Response:
    """Make one call without a key."""
    return httpx2.request(method, url, verify=_NO_TLS, **options)


@dataclass(frozen=True)
class ReceivedRequest:
    """A call that a `RecordingReceiver` got."""

    path: str
    timestamp: int
    refusal: str | None
    body: bytes


class RecordingReceiver:
    """A receiver: verifies signatures within 300 s of the machine's clock, and answers by script.

    Attributes:
        arrivals: All calls, in order.
        key: Verifies them; without one they are taken unverified.
        status: From the number of a call, 0 first, to the answer; stale or wrong ones get 401.
    """

    def __init__(self, status: Callable[[int], int] = lambda _: 200) -> None:
        self.arrivals: list[ReceivedRequest] = []
        self.key: SigningKey | None = None
        self.status = status
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where events are posted to."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> RecordingReceiver:
        """Use until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, path: str, headers: Any, body: bytes) -> int:
        """Note a call and say what to answer."""
        stamp = headers.get("X-CIO-Timestamp", "0")  # an alert has none
        refusal = None
        if self.key is not None:
            signature = headers["X-CIO-Signature"].encode()
            verdict = verify((self.key,), signature, stamp.encode(), body, now=time.time())
            refusal = None if verdict.refusal is None else str(verdict.refusal)
        number = len(self.arrivals)
        self.arrivals.append(ReceivedRequest(path, int(stamp), refusal, body))
        status = self.status(number)
        return 401 if refusal is not None and status < 300 else status


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Print nothing of senders that have gone."""


def _handler(receiver: RecordingReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(self.path, self.headers, body)
            if status == 0:  # hang up
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler
