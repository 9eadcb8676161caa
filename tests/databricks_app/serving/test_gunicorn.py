"""gunicorn without a supervisor: with our worker, and with gunicorn's own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.process_table import children, wait_until
from benchmarks.harness.wire import KEY, Answer, connect, request

OURS = "databricks_app.serving.worker.ReceiverWorker"


@dataclass
class Server:
    """A running gunicorn.

    Attributes:
        process: Its master.
        address: Where it listens.
        log: Its output.
    """

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    log: Path

    def post(self, data: bytes) -> Answer:
        """Send bytes on a new connection; return the answer."""
        with connect(self.address) as wire:
            return wire.send(data).answer()


@contextlib.contextmanager
def gunicorn(folder: Path, *arguments: str) -> Iterator[Server]:
    """Run gunicorn with one worker on a free loopback port."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    environ |= {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_DATA_DIR": str(folder / "data")}
    log = folder / "log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", f"--bind=fd://{listener.fileno()}"),
                *("--no-control-socket", *arguments, "databricks_app.app:create_app()"),
            ],
            cwd=folder,
            env=environ,
            stdout=out,
            stderr=out,
            pass_fds=(listener.fileno(),),
        )
        address = listener.getsockname()
    try:
        yield Server(process, address, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("arguments", [(), ("-k", OURS)], ids=["sync", "ours"])
def test_gunicorn_alone_serves_the_app(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Signed requests are stored, health is answered, the stop is clean."""
    with gunicorn(tmp_path, *arguments) as server:
        seen = [
            server.post(data).status
            for data in (
                request(event("small")),
                request(event("large", padding=3 << 20)),
                request(event("wrong"), key="another"),
                b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
                b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
            )
        ]
        server.process.terminate()

        assert seen == [200, 200, 401, 200, 404]
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log.read_text()


def test_a_stuck_worker_is_replaced_in_seconds(tmp_path: Path) -> None:
    """The timeout of gunicorn finds it."""
    with gunicorn(tmp_path, "-k", OURS, "--timeout=2") as server:
        assert server.post(request(event("before"))).status == 200
        stuck = children(server.process.pid)
        os.kill(stuck[0], signal.SIGSTOP)

        wait_until(lambda: not set(stuck) & set(children(server.process.pid)), 8)
        assert server.post(request(event("after"))).status == 200


def test_our_worker_refuses_unsupported_settings_with_a_reason(tmp_path: Path) -> None:
    """There is no server that serves only partly."""
    with gunicorn(tmp_path, "-k", OURS, "--max-requests=10") as server:
        assert server.process.wait(10) != 0
        assert "max_requests cannot be used with ReceiverWorker" in server.log.read_text()


@pytest.mark.parametrize("arguments", [(), ("-k", OURS)], ids=["sync", "ours"])
def test_gunicorn_alone_uses_other_paths_as_received(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A doubled slash stays, so that a proxy's rule for `/healthz` cannot be bypassed."""
    with gunicorn(tmp_path, *arguments) as server:
        paths = ("/healthz", "//healthz", "/healthz/", "/HEALTHZ")
        lines = [f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" for path in paths]
        seen = [server.post(line.encode()).status for line in lines]

    assert seen == [200, 404, 404, 404]
