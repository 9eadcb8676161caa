"""Workers that hang: doctor does not say to start what runs already."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from benchmarks.harness.receiver import serving
from tests.support.doctoring import context_of, found, wrong


def test_stopped_workers_are_told_apart_from_a_stopped_receiver(tmp_path: Path) -> None:
    """It accepts connections and does not answer: see its processes, and restart it."""
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        # Their master too: it kills a worker that is silent for five seconds.
        stopped = [*receiver.web(), *receiver.workers()]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            results = wrong(context_of(tmp_path / "data", receiver.url))
            took = time.monotonic() - began
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    assert results["endpoint"].state == "failure"
    assert "does not answer (ReadTimeout)" in results["endpoint"].says
    assert "hang" in results["endpoint"].fix
    assert "restart" in results["endpoint"].fix
    assert "start `ciolake serve`" not in results["endpoint"].fix
    assert took < 10


def test_a_server_that_closes_connections_runs_too(tmp_path: Path) -> None:
    """As a proxy that reaches no receiver; nothing there is another fault."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        silent = found(context_of(tmp_path, url), "endpoint")
    nothing = found(context_of(tmp_path, url), "endpoint")

    assert "hang" in silent.fix
    assert "start `ciolake serve`" in nothing.fix
