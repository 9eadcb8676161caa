"""What is shown through a proxy or a tunnel that adds no header."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import Answer, connect, page, request

Address = tuple[str, int]
Tunnel = Callable[[Address, Path], AbstractContextManager[Address]]

# Only what nginx needs to run in a folder of its own; the proxy's part is its default.
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{host}:{to};
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(to: Address, folder: Path) -> Iterator[Address]:
    """Run nginx in front with `proxy_pass` alone: Host is the receiver's address."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address: Address = free.getsockname()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, port=address[1], host=to[0], to=to[1]))
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(file)])
    try:
        wait_until(lambda: is_open(address))
        yield address
    finally:
        process.terminate()
        process.wait(20)


def is_open(address: Address) -> bool:
    """Return whether somebody listens there."""
    with socket.socket() as wire:
        return wire.connect_ex(address) == 0


@contextlib.contextmanager
def tcp_tunnel(to: Address, _folder: Path) -> Iterator[Address]:
    """Forward bytes unchanged, as `ssh -R` does."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:

        def copy(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = stack.enter_context(listener.accept()[0])
                    server = stack.enter_context(socket.create_connection(to))
                    for ends in ((client, server), (server, client)):
                        threading.Thread(target=copy, args=ends, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A running `ciolake serve` on loopback."""
    with serving(tmp_path_factory.mktemp("receiver"), CIO_WEB_WORKERS="1") as receiver:
        yield receiver


def ask(address: Address, data: bytes) -> Answer:
    """Send bytes on a new connection; return the answer."""
    with connect(address) as wire:
        return wire.send(data).answer()


def anonymous(path: str) -> bytes:
    """Return a request with loopback as its Host and no other header."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("tunnel", [nginx, tcp_tunnel])
def test_through_a_tunnel_nothing_is_shown_without_the_token(
    receiver: Receiver, tmp_path: Path, tunnel: Tunnel
) -> None:
    """Only the bare status and 403, for any spelling of the path; the webhook stays open."""
    with tunnel(receiver.address, tmp_path) as address:
        ready = ask(address, anonymous("/readyz"))
        counts = ask(address, anonymous("/metrics"))
        spelled = [ask(address, anonymous(path)).status for path in ("//metrics", "/METRICS")]
        stored = ask(address, request(event("through"), {"Connection": "close"}))

    assert (ready.status, set(json.loads(ready.body))) == (200, {"status"})
    assert (counts.status, b"ciolake_" in counts.body) == (403, False)
    assert spelled == [404, 404]
    assert stored.status == 200


@pytest.mark.parametrize("tunnel", [nginx, tcp_tunnel])
def test_through_a_tunnel_everything_is_shown_with_the_token(
    receiver: Receiver, tmp_path: Path, tunnel: Tunnel
) -> None:
    """The header passes a proxy."""
    with tunnel(receiver.address, tmp_path) as address:
        ready = ask(address, page("/readyz"))
        counts = ask(address, page("/metrics"))

    assert "problems" in json.loads(ready.body)
    assert (counts.status, b"ciolake_" in counts.body) == (200, True)
