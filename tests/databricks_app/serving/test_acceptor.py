"""The acceptor: a connection whose worker dies is still answered."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.wire import Wire, connect
from databricks_app.serving.acceptor import SOCKET_NAME, Acceptor, AcceptorChannel

_WORKER = """
import sys
from pathlib import Path
from databricks_app.serving.acceptor import AcceptorChannel
channel = AcceptorChannel.connect(Path(sys.argv[1]))
channel.ask(10)
taken = 0
while taken < int(sys.argv[2]):
    taken += channel.take() is not None
print("taken", flush=True)
sys.stdin.read()
"""


@dataclass
class Worker:
    """A worker in the test's process; it takes connections only when the test says so."""

    channel: AcceptorChannel

    def take(self) -> tuple[int, Wire]:
        """Wait for the next connection; return its number and our end of it."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.channel, selectors.EVENT_READ)
            assert selector.select(5)
        passed = self.channel.take()
        assert passed is not None
        return passed.number, Wire(socket.socket(fileno=passed.descriptor))


@dataclass
class AcceptorUnderTest:
    """An acceptor's public address and its folder."""

    folder: Path
    address: tuple[str, int]

    @contextlib.contextmanager
    def worker(self, most: int = 100) -> Iterator[Worker]:
        """Start a worker that takes at most this many connections; 0 if it does not ask yet."""
        channel = AcceptorChannel.connect(self.folder)
        assert channel is not None
        if most:
            channel.ask(most)
        yield Worker(channel)
        channel.close()


@pytest.fixture
def acceptor(tmp_path: Path) -> Iterator[AcceptorUnderTest]:
    """Run an acceptor on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public, linger_seconds=0.5)
        acceptor.start()
        yield AcceptorUnderTest(tmp_path, public.getsockname())
        acceptor.stop()


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as free:
        lowest = free.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_readable(channel: AcceptorChannel) -> bool:
    """Return whether bytes or an end arrive soon."""
    return bool(select.select([channel], [], [], 0.1)[0])


def is_reset(client: Wire) -> bool:
    """Return whether the connection of a client is reset."""
    try:
        client.send(b"x")
    except OSError:
        return True
    return False


def test_acceptor_passes_each_connection_once_and_closes_released_ones(
    acceptor: AcceptorUnderTest,
) -> None:
    """A released connection ends, and the client gets nothing more."""
    with acceptor.worker() as worker, connect(acceptor.address) as client:
        number, ours = worker.take()
        client.send(b"question")
        received = ours.socket.recv(100)
        ours.send(b"answer").socket.close()
        worker.channel.release(number)

        assert received == b"question"
        assert client.socket.recv(100) == b"answer"
        assert client.is_ended()


def test_acceptor_answers_for_a_killed_worker(acceptor: AcceptorUnderTest) -> None:
    """Idle, in progress or not yet read: every connection is answered, none is reset."""
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-c", _WORKER, str(acceptor.folder), "3"]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        clients = [stack.enter_context(connect(acceptor.address)) for _ in range(3)]
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        clients[1].send(b"half a req")
        clients[2].send(b"x" * 100_000)

        process.send_signal(signal.SIGKILL)

        for client in clients:
            answer = client.answer()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            client.send(b"half a request")
            assert client.is_ended()


def test_acceptor_sends_nothing_for_a_worker_that_ended_gracefully(
    acceptor: AcceptorUnderTest,
) -> None:
    """It has released all its connections."""
    with connect(acceptor.address) as client:
        with acceptor.worker() as worker:
            number, ours = worker.take()
            worker.channel.release(number)
            ours.send(b"answer").socket.close()

        assert client.socket.recv(100) == b"answer"
        assert client.is_ended()


def test_acceptor_answers_for_a_worker_that_dies_before_its_first_byte(
    acceptor: AcceptorUnderTest,
) -> None:
    """It has released the connection, but the kernel reports that nothing was sent."""
    with connect(acceptor.address) as client:
        with acceptor.worker() as worker:
            number, ours = worker.take()
            worker.channel.release(number)
            with (
                acceptor.worker(),
                connect(acceptor.address),
            ):  # another turn of the acceptor's loop
                pass
            ours.socket.close()

        assert client.answer().status == 503
        assert client.is_ended()


def test_acceptor_appends_nothing_to_the_answer_of_a_dead_worker(
    acceptor: AcceptorUnderTest,
) -> None:
    """Not to a part of an answer either."""
    with connect(acceptor.address) as client:
        with acceptor.worker() as worker:
            number, ours = worker.take()
            worker.channel.release(number)
            ours.send(b"HTTP/1.1 2").socket.close()

        assert client.socket.recv(100) == b"HTTP/1.1 2"
        assert client.is_ended()


def test_acceptor_closes_a_released_connection_without_an_answer(
    acceptor: AcceptorUnderTest,
) -> None:
    """The client has gone; the connection does not count for ever."""
    with acceptor.worker(most=1) as worker, connect(acceptor.address):
        number, ours = worker.take()
        worker.channel.release(number)
        ours.socket.close()

        with connect(acceptor.address):
            other, ours = worker.take()
            ours.socket.close()
            assert other != number


def test_connections_wait_in_the_kernel_until_a_worker_asks(acceptor: AcceptorUnderTest) -> None:
    """Nobody is refused while no worker runs; the first worker gets the waiting clients."""
    with connect(acceptor.address) as client, acceptor.worker(most=0) as worker:
        client.send(b"question")
        assert worker.channel.take() is None
        worker.channel.ask(1)

        _, ours = worker.take()

        with ours:
            assert ours.socket.recv(100) == b"question"


@pytest.mark.parametrize(("most", "shares"), [(3, (3, 37)), (100, (20, 20))])
def test_acceptor_prefers_the_worker_with_the_fewest_connections(
    acceptor: AcceptorUnderTest, most: int, shares: tuple[int, int]
) -> None:
    """Up to the limit of each worker."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(acceptor.worker(each)) for each in (most, 100)]
        taken = []
        for _ in range(40):
            stack.enter_context(connect(acceptor.address))
            select.select([worker.channel for worker in workers], [], [], 5)
            for worker in workers:
                if (passed := worker.channel.take()) is not None:
                    taken.append(worker)
                    os.close(passed.descriptor)

        assert tuple(taken.count(worker) for worker in workers) == shares


def test_acceptor_does_not_confuse_reused_descriptors(acceptor: AcceptorUnderTest) -> None:
    """A worker's descriptors are reused; the acceptor's own numbers are not."""
    with acceptor.worker() as worker:
        seen = []
        for _ in range(5):
            with connect(acceptor.address) as client:
                number, ours = worker.take()
                seen.append((number, ours.socket.fileno()))
                worker.channel.release(number)
                ours.send(b"a").socket.close()
                assert client.socket.recv(1) == b"a"
                assert client.is_ended()

        assert len({number for number, _ in seen}) == 5
        assert len({descriptor for _, descriptor in seen}) < 5


def test_rest_yields_the_passed_connections_and_then_no_more_come(
    acceptor: AcceptorUnderTest,
) -> None:
    """A stopping worker serves what was passed to it; later connections go to another one."""
    with acceptor.worker() as stopping, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(acceptor.address))
        stopping.take()[1].socket.close()
        wait_until(lambda: is_readable(stopping.channel))

        rest = list(stopping.channel.rest())

        assert len(rest) == 2
        with acceptor.worker() as other, connect(acceptor.address):
            other.take()[1].socket.close()
            assert stopping.channel.take() is None
        for passed in rest:
            os.close(passed.descriptor)


def test_rest_waits_at_most_a_second() -> None:
    """A supervisor that hangs does not keep a worker from stopping."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        channel = AcceptorChannel(ours)
        started = time.monotonic()

        assert list(channel.rest()) == []
        assert time.monotonic() - started < 2
        channel.close()


def test_release_never_waits_and_sends_later_what_it_could_not_send() -> None:
    """A full channel neither blocks a worker nor loses a message."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        channel = AcceptorChannel(ours)
        for number in range(5_000):
            channel.release(number)
        theirs.setblocking(False)
        received = []
        for _ in range(5_000):
            with contextlib.suppress(BlockingIOError):
                received.append(theirs.recv(100))
            channel.flush()

        assert received == [b"R%d" % number for number in range(5_000)]
        channel.close()


def test_acceptor_skips_a_worker_whose_channel_is_full(acceptor: AcceptorUnderTest) -> None:
    """It does not block the acceptor; clients are served or get 503."""
    with acceptor.worker(most=5_000) as silent, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(acceptor.address)) for _ in range(600)]
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
            answered = selector.select(5)

        assert answered[0][0].data.answer().status == 503
        for _ in range(10):
            silent.take()[1].socket.close()


def test_acceptor_answers_503_on_a_connection_that_is_given_back(
    acceptor: AcceptorUnderTest,
) -> None:
    """A worker that cannot open another file gives it back."""
    with acceptor.worker() as worker, connect(acceptor.address) as client:
        wait_until(lambda: is_readable(worker.channel))
        with no_more_files():
            assert worker.channel.take() is None

        assert client.answer().status == 503


def test_acceptor_survives_too_many_open_files(acceptor: AcceptorUnderTest) -> None:
    """Meanwhile no connection is accepted, afterwards all are."""
    with acceptor.worker() as worker:
        waiting = socket.socket()
        with Wire(waiting) as client:
            with no_more_files():
                waiting.connect(acceptor.address)
                assert not is_readable(worker.channel)

            worker.take()[1].socket.close()
            client.socket.close()


def test_acceptor_survives_an_invalid_message(acceptor: AcceptorUnderTest) -> None:
    """It is logged, and the other workers are served."""
    with capture_logs() as lines:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.connect(str(acceptor.folder / SOCKET_NAME))
        channel.send(b"Rnonsense")
        wait_until(lambda: bool(lines))
        with acceptor.worker() as worker, connect(acceptor.address):
            worker.take()[1].socket.close()
        channel.close()

    assert (lines[0]["event"], lines[0]["error"]) == ("acceptor_failed", "ValueError")


def test_acceptor_closes_a_refused_connection_after_a_while(acceptor: AcceptorUnderTest) -> None:
    """Also if its client keeps it open."""
    with connect(acceptor.address) as client:
        with acceptor.worker() as worker:
            worker.take()[1].socket.close()
        assert client.answer().status == 503
        assert client.is_ended()

        wait_until(lambda: is_reset(client), seconds=10)


def test_take_raises_when_the_supervisor_has_ended(tmp_path: Path) -> None:
    """Later messages of the worker do no harm."""
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public)
        acceptor.start()
        channel = AcceptorChannel.connect(tmp_path)
        assert channel is not None
        channel.ask(1)
        acceptor.stop()

    with pytest.raises(EOFError):
        channel.take()
    channel.release(1)
    assert list(channel.rest()) == []
    channel.close()


def test_connect_returns_none_without_a_supervisor(tmp_path: Path) -> None:
    """Such a web server accepts connections itself."""
    assert (AcceptorChannel.connect(None), AcceptorChannel.connect(tmp_path)) == (None, None)
