"""Workers that hang: doctor does not say to start what runs already."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from benchmarks.harness.databricks_double import readiness
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from databricks_app.runtime import status
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


@pytest.mark.slow
def test_a_loader_that_hangs_is_told_apart_from_one_that_works(tmp_path: Path) -> None:
    """It holds the lock of the tables all the same, so that no other one can load."""
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        wait_until(lambda: readiness(receiver)["status"] == "ok")
        works = found(context_of(tmp_path / "data", receiver.url), "loader")
        (loader,) = receiver.loader()
        os.kill(loader, signal.SIGSTOP)
        try:
            assert receiver.run_folder is not None
            # As if a minute and more had passed.
            status.write(receiver.run_folder, status.LoaderStatus(time.time() - 75))
            wait_until(lambda: b"ciolake_writer_silent_seconds 7" in receiver.page("/metrics").body)
            hangs = found(context_of(tmp_path / "data", receiver.url), "loader")
        finally:
            os.kill(loader, signal.SIGCONT)

    assert (works.state, hangs.state) == ("ok", "failure")
    assert "has not reported for 7" in hangs.says
    assert "kill it" in hangs.fix


def test_a_server_that_closes_connections_runs_too(tmp_path: Path) -> None:
    """As a proxy that reaches no receiver; nothing there is another fault."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        silent = found(context_of(tmp_path, url), "endpoint")
    nothing = found(context_of(tmp_path, url), "endpoint")

    assert "hang" in silent.fix
    assert "start `ciolake serve`" in nothing.fix


def test_the_answer_in_place_of_a_worker_that_died_is_told_as_that(tmp_path: Path) -> None:
    """Master and acceptor kill and replace a silent worker; signing key and inbox are well."""
    with serving(tmp_path, CIO_WEB_WORKERS="1") as receiver:
        (worker,), (master,) = receiver.workers(), receiver.web()
        os.kill(master, signal.SIGSTOP)  # so that no new worker begins
        os.kill(worker, signal.SIGSTOP)
        try:
            with receiver.connect() as wire:
                wire.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                os.kill(worker, signal.SIGKILL)
                answer = wire.answer()
            with answering(answer.status, answer.body) as url:
                result = found(context_of(tmp_path, url), "endpoint")
        finally:
            os.kill(master, signal.SIGCONT)

    assert (answer.status, answer.body) == (503, b"")
    assert "no worker" in result.says
    assert "hang or die" in result.fix


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Answer each request so; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
