"""nginx and Caddy in front of the receiver: the sender sees 200 or 503, whatever happens behind."""

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

pytestmark = pytest.mark.parametrize("name", PROXIES)


@contextlib.contextmanager
def behind(name: str, folder: Path) -> Iterator[tuple[Receiver, tuple[str, int]]]:
    """Run a receiver with a proxy in front; yields it and the proxy's address."""
    port = free_port()
    with (
        proxy(name, folder / "proxy", port) as address,
        serving(folder, PORT=str(port), CIO_WEB_WORKERS="1") as receiver,
    ):
        yield receiver, address


def post(address: tuple[str, int], data: bytes) -> Answer:
    """Send bytes on a connection of their own; return the answer."""
    with connect(address) as wire:
        return wire.send(data).answer()


def assert_unavailable(address: tuple[str, int]) -> None:
    """Check that a sender is told to come again soon, before it gives up."""
    started = time.monotonic()
    answer = post(address, request(event("unlucky")))

    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert time.monotonic() - started < GIVE_UP_SECONDS


def test_what_is_signed_passes_unchanged(tmp_path: Path, name: str) -> None:
    """Headers and bytes, small and 20 MB, on one connection, with a path in another spelling."""
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


def test_a_body_that_comes_slowly_passes(tmp_path: Path, name: str) -> None:
    """The time-outs of the proxy are for the receiver's answer, not for the sender's body."""
    data = request(event("slow", padding=5000))
    with behind(name, tmp_path) as (_, address), connect(address) as wire:
        for start in range(0, len(data), 1200):
            wire.send(data[start : start + 1200])
            time.sleep(1)

        assert wire.answer().status == 200


def test_details_are_not_shown_to_who_comes_through_a_proxy(tmp_path: Path, name: str) -> None:
    """The receiver sees that the request is not from this machine itself."""
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


def test_a_receiver_that_stands_still_is_503(tmp_path: Path, name: str) -> None:
    """The kernel still accepts connections for it; afterwards it serves as before."""
    with behind(name, tmp_path) as (receiver, address):
        os.killpg(receiver.process.pid, signal.SIGSTOP)
        try:
            assert_unavailable(address)
        finally:
            os.killpg(receiver.process.pid, signal.SIGCONT)

        assert post(address, request(event("lucky"))).status == 200


def test_senders_see_200_or_503_while_the_receiver_is_killed(tmp_path: Path, name: str) -> None:
    """Under load, killed and started again on the same port; what was answered 200 is stored."""
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


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Oh\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 504 Oh\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["nothing", "half", "500", "502", "504"],
)
def test_an_answer_that_costs_an_hour_becomes_503(tmp_path: Path, name: str, said: bytes) -> None:
    """A connection that ends before or within the answer, and statuses of a proxy behind."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(1 << 16)
                        client.sendall(said)

        serving_all = threading.Thread(target=answer)
        serving_all.start()
        try:
            with proxy(name, tmp_path / "proxy", server.getsockname()[1]) as address:
                assert_unavailable(address)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            serving_all.join()
