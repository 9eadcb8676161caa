"""Socket activation: the socket of systemd is used and kept open, or refused with a reason."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.posting import posting
from benchmarks.harness.process_table import environment
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import KEY, connect, request
from databricks_app.serving.activation import inherited_listener
from tests.support.activation import HAND_OVER, activator

VARIABLES = ("CIO_WEBHOOK_SIGNING_KEYS", "CIO_FLUSH_INTERVAL_SECONDS", "PORT")
SERVE = [sys.executable, "-m", "databricks_app", "serve"]


def test_a_socket_for_another_process_is_not_taken() -> None:
    """The variables are removed anyway, so that no child takes it."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "PORT": "1"}

    assert inherited_listener(environ) is None
    assert environ == {"PORT": "1"}
    assert inherited_listener(environ) is None


def error_of(folder: Path, descriptor: int, count: str) -> str:
    """Pass a descriptor to a receiver that refuses it; return its error."""
    done = subprocess.run(
        [sys.executable, "-c", HAND_OVER, str(descriptor), count, *SERVE],
        cwd=folder,
        env=os.environ | {"CIO_WEBHOOK_SIGNING_KEYS": KEY},
        pass_fds=(descriptor,),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert list(folder.iterdir()) == []
    return done.stderr


@pytest.mark.parametrize("count", ["0", "2", "many", ""])
def test_a_number_of_sockets_other_than_one_is_refused(tmp_path: Path, count: str) -> None:
    """With several it is unclear which one is meant."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        message = error_of(tmp_path, listener.fileno(), count)

    assert message.startswith("Error: LISTEN_FDS is ")
    assert "exactly one socket" in message


@pytest.mark.parametrize("kind", ["connected", "datagram", "unix"])
def test_a_socket_that_does_not_listen_on_tcp_is_refused(tmp_path: Path, kind: str) -> None:
    """A connection (Accept=yes) or a socket of another kind."""
    with contextlib.ExitStack() as stack:
        if kind == "connected":
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            given = stack.enter_context(socket.create_connection(listener.getsockname()))
        elif kind == "datagram":
            given = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        else:
            given = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            given.bind("")  # a name of the kernel's choice, outside of all folders
            given.listen()
        message = error_of(tmp_path, given.fileno(), "1")

    assert "is not a listening TCP socket" in message
    assert "Accept=no" in message


def test_a_descriptor_that_is_not_a_socket_is_refused(tmp_path: Path) -> None:
    """For example a file."""
    with Path(os.devnull).open() as file:
        message = error_of(tmp_path, file.fileno(), "1")

    assert "is not a socket (" in message


@pytest.mark.slow
def test_systemd_starts_the_receiver_at_the_first_connection(tmp_path: Path) -> None:
    """The first client is answered, the address is logged, no child inherits the variables."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with (
            connect(address) as first,
            serving(
                tmp_path, prefix=activator(listener, *VARIABLES), descriptors=(listener.fileno(),)
            ) as receiver,
        ):
            assert first.send(request(event("first"))).answer().status == 200
            assert receiver.address == address
            for pid in receiver.all() - {receiver.process.pid}:
                assert "LISTEN_FDS" not in environment(pid)
            assert receiver.stop() == 0


def test_no_client_is_refused_while_the_receiver_is_replaced(tmp_path: Path) -> None:
    """Under load, two times, on the same socket."""
    acknowledged: set[str] = set()
    with (
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
        contextlib.ExitStack() as at_end,
    ):

        def start() -> Receiver:
            one = serving(
                tmp_path, prefix=activator(listener, *VARIABLES), descriptors=(listener.fileno(),)
            )
            return at_end.enter_context(one)

        at_end.enter_context(connect(listener.getsockname()))
        receiver = start()
        for keep_alive in (True, False):
            with posting(receiver, keep_alive=keep_alive, clients=4) as clients:
                clients.wait_for(100)
                assert receiver.stop() == 0
                receiver = start()
                clients.wait_for(100)
                tally = clients.stop()

            assert tally.kinds <= {"200", "503"}, tally.outcomes
            acknowledged |= set(tally.acknowledged)
        receiver.stop()

        assert acknowledged <= receiver.stored()
