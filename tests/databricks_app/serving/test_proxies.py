"""nginx and Caddy in front of the receiver: the sender gets only 200 or 503."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.posting import posting
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import Answer, connect, request
from tests.support.proxies import PROXIES, free_port, proxy

GIVE_UP_SECONDS = 4.0  # as Customer.io does

pytestmark = pytest.mark.parametrize(
    "name", [PROXIES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in PROXIES[1:])]
)


@contextlib.contextmanager
def behind(name: str, folder: Path) -> Iterator[tuple[Receiver, tuple[str, int]]]:
    """Run a receiver with a proxy in front; yield it and the proxy's address."""
    port = free_port()
    with (
        proxy(name, folder / "proxy", port) as address,
        serving(folder, PORT=str(port), CIO_WEB_WORKERS="1") as receiver,
    ):
        yield receiver, address


def post(address: tuple[str, int], data: bytes) -> Answer:
    """Send bytes on a new connection; return the answer."""
    with connect(address) as wire:
        return wire.send(data).answer()


def post_unlucky(address: tuple[str, int]) -> tuple[int, str | None, bool]:
    """Post an event; return status, `Retry-After`, and whether the answer came in time."""
    started = time.monotonic()
    answer = post(address, request(event("unlucky")))
    is_in_time = time.monotonic() - started < GIVE_UP_SECONDS
    return answer.status, answer.headers.get("retry-after"), is_in_time


def assert_unavailable(address: tuple[str, int]) -> None:
    """Check for a 503 with Retry-After, before the sender gives up."""
    assert post_unlucky(address) == (503, "1", True)


def test_headers_and_body_pass_unchanged(tmp_path: Path, name: str) -> None:
    """Small and 20 MB, on one connection, with another spelling of the path."""
    with behind(name, tmp_path) as (receiver, address):
        with connect(address) as wire:
            seen = [
                wire.send(data).answer().status
                for data in (
                    request(event("small")),
                    request(event("large", padding=20 << 20)),
                    request(event("other")).replace(b" /api/", b" //API%2F", 1),
                    request(event("wrong"), key="another"),
                )
            ]
        receiver.stop()

        assert seen == [200, 200, 200, 401]
        assert receiver.stored() == {"small", "large", "other"}


@pytest.mark.slow
def test_a_slow_body_passes(tmp_path: Path, name: str) -> None:
    """The proxy's timeouts are for the receiver's answer, not for the sender's body."""
    data = request(event("slow", padding=5000))
    with behind(name, tmp_path) as (_, address), connect(address) as wire:
        for start in range(0, len(data), 1200):
            wire.send(data[start : start + 1200])
            time.sleep(1)

        assert wire.answer().status == 200


def test_details_are_not_shown_through_a_proxy(tmp_path: Path, name: str) -> None:
    """The receiver sees that the request comes from elsewhere."""
    with behind(name, tmp_path) as (_, address):
        answer = post(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert answer.status == 403


def test_a_receiver_that_is_down_is_503(tmp_path: Path, name: str) -> None:
    """Before its start, and after a kill while the proxy has connections to it."""
    port = free_port()
    with proxy(name, tmp_path / "proxy", port) as address:
        assert_unavailable(address)
        with serving(tmp_path, PORT=str(port), CIO_WEB_WORKERS="1") as receiver:
            assert post(address, request(event("lucky"))).status == 200
            os.killpg(receiver.process.pid, signal.SIGKILL)
            receiver.process.wait()

            assert_unavailable(address)


@pytest.mark.slow
def test_a_receiver_that_hangs_is_503(tmp_path: Path, name: str) -> None:
    """The kernel still accepts connections for it; afterwards it serves as before."""
    with behind(name, tmp_path) as (receiver, address):
        os.killpg(receiver.process.pid, signal.SIGSTOP)
        try:
            assert_unavailable(address)
        finally:
            os.killpg(receiver.process.pid, signal.SIGCONT)

        assert post(address, request(event("lucky"))).status == 200


def test_senders_get_200_or_503_while_the_receiver_is_killed(tmp_path: Path, name: str) -> None:
    """Under load, restarted on the same port; events answered 200 are stored."""
    port = str(free_port())
    with (
        proxy(name, tmp_path / "proxy", int(port)) as address,
        serving(tmp_path, PORT=port) as receiver,
        posting(replace(receiver, address=address), keep_alive=True, clients=4) as clients,
    ):
        clients.wait_for(50)
        os.killpg(receiver.process.pid, signal.SIGKILL)
        receiver.process.wait()
        clients.wait_for(10)
        with serving(tmp_path, PORT=port) as successor:
            clients.wait_for(50)
            tally = clients.stop()
            successor.stop()

        assert tally.kinds == {"200", "503"}, tally.outcomes
        assert set(tally.acknowledged) <= successor.stored()


BAD_ANSWERS = {
    "nothing": b"",
    "half": b"HTTP/1.1 200 OK\r\nContent-Le",
    "500": b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    "502": b"HTTP/1.1 502 Oh\r\nContent-Length: 0\r\n\r\n",
    "504": b"HTTP/1.1 504 Oh\r\nContent-Length: 0\r\n\r\n",
}


def test_an_answer_that_costs_an_hour_becomes_503(tmp_path: Path, name: str) -> None:
    """A broken connection, and statuses of another proxy behind."""
    sending = [b""]
    wrong = {}
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(1 << 16)
                        client.sendall(sending[0])

        serving_all = threading.Thread(target=answer)
        serving_all.start()
        try:
            with proxy(name, tmp_path / "proxy", server.getsockname()[1]) as address:
                for case, sending[0] in BAD_ANSWERS.items():
                    found = post_unlucky(address)
                    if found != (503, "1", True):
                        wrong[case] = found
        finally:
            server.shutdown(socket.SHUT_RDWR)
            serving_all.join()

    assert wrong == {}
