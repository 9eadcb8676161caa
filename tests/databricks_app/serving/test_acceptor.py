"""The acceptor: a connection outlives the worker that serves it, at least for an answer."""

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
    """A worker in the test's own process: takes connections when it is told to."""

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
class House:
    """An acceptor's public address and its folder."""

    folder: Path
    address: tuple[str, int]

    @contextlib.contextmanager
    def worker(self, most: int = 100) -> Iterator[Worker]:
        """Begin a worker that takes so many connections; 0 if it does not ask yet."""
        channel = AcceptorChannel.connect(self.folder)
        assert channel is not None
        if most:
            channel.ask(most)
        yield Worker(channel)
        channel.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Run an acceptor on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as public:
        acceptor = Acceptor(tmp_path, public, linger_seconds=0.5)
        acceptor.start()
        yield House(tmp_path, public.getsockname())
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
    """Whether something comes soon."""
    return bool(select.select([channel], [], [], 0.1)[0])


def is_reset(client: Wire) -> bool:
    """Whether a client can say no more."""
    try:
        client.send(b"x")
    except OSError:
        return True
    return False


def test_holder_lends_each_connection_once_and_lets_go_of_it(house: House) -> None:
    """What a worker releases is over: the client sees the end and nothing else."""
    with house.worker() as worker, connect(house.address) as client:
        number, ours = worker.take()
        client.send(b"question")
        heard = ours.socket.recv(100)
        ours.send(b"answer").socket.close()
        worker.channel.release(number)

        assert heard == b"question"
        assert client.socket.recv(100) == b"answer"
        assert client.is_ended()


def test_holder_answers_for_a_worker_that_was_killed(house: House) -> None:
    """Idle, in flight or not yet read: every connection is answered, none is reset."""
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-c", _WORKER, str(house.folder), "3"]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        clients = [stack.enter_context(connect(house.address)) for _ in range(3)]
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        clients[1].send(b"half a req")
        clients[2].send(b"x" * 100_000)

        process.send_signal(signal.SIGKILL)

        for client in clients:
            answer = client.answer()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            client.send(b"what was under way")
            assert client.is_ended()


def test_holder_says_nothing_for_a_worker_that_ended_in_order(house: House) -> None:
    """All was released: there is nobody to answer."""
    with connect(house.address) as client:
        with house.worker() as worker:
            number, ours = worker.take()
            worker.channel.release(number)
            ours.send(b"answer").socket.close()

        assert client.socket.recv(100) == b"answer"
        assert client.is_ended()


def test_acceptor_answers_for_a_worker_that_dies_before_its_first_byte(house: House) -> None:
    """It has released the connection, and the kernel knows that nothing was sent."""
    with connect(house.address) as client:
        with house.worker() as worker:
            number, ours = worker.take()
            worker.channel.release(number)
            with house.worker(), connect(house.address):  # another turn of the acceptor's loop
                pass
            ours.socket.close()

        assert client.answer().status == 503
        assert client.is_ended()


def test_holder_adds_nothing_to_an_answer_whose_worker_dies(house: House) -> None:
    """Not to a part of one either."""
    with connect(house.address) as client:
        with house.worker() as worker:
            number, ours = worker.take()
            worker.channel.release(number)
            ours.send(b"HTTP/1.1 2").socket.close()

        assert client.socket.recv(100) == b"HTTP/1.1 2"
        assert client.is_ended()


def test_holder_lets_go_of_a_connection_that_ended_without_an_answer(house: House) -> None:
    """As where the client has gone: it does not count for ever."""
    with house.worker(most=1) as worker, connect(house.address):
        number, ours = worker.take()
        worker.channel.release(number)
        ours.socket.close()

        with connect(house.address):
            other, ours = worker.take()
            ours.socket.close()
            assert other != number


def test_holder_leaves_connections_with_the_kernel_until_a_worker_asks(house: House) -> None:
    """Nobody is refused while no worker runs; the first that asks gets those who wait."""
    with connect(house.address) as client, house.worker(most=0) as worker:
        client.send(b"question")
        assert worker.channel.take() is None
        worker.channel.ask(1)

        _, ours = worker.take()

        with ours:
            assert ours.socket.recv(100) == b"question"


@pytest.mark.parametrize(("most", "shares"), [(3, (3, 37)), (100, (20, 20))])
def test_holder_prefers_the_worker_with_the_fewest(
    house: House, most: int, shares: tuple[int, int]
) -> None:
    """Connections are shared out evenly, up to what each worker takes."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(house.worker(each)) for each in (most, 100)]
        taken = []
        for _ in range(40):
            stack.enter_context(connect(house.address))
            select.select([worker.channel for worker in workers], [], [], 5)
            for worker in workers:
                if (passed := worker.channel.take()) is not None:
                    taken.append(worker)
                    os.close(passed.descriptor)

        assert tuple(taken.count(worker) for worker in workers) == shares


def test_holder_does_not_mistake_a_descriptor_that_is_used_again(house: House) -> None:
    """A worker's descriptor numbers come again and again; the acceptor's own numbers do not."""
    with house.worker() as worker:
        seen = []
        for _ in range(5):
            with connect(house.address) as client:
                number, ours = worker.take()
                seen.append((number, ours.socket.fileno()))
                worker.channel.release(number)
                ours.send(b"a").socket.close()
                assert client.socket.recv(1) == b"a"
                assert client.is_ended()

        assert len({number for number, _ in seen}) == 5
        assert len({descriptor for _, descriptor in seen}) < 5


def test_rest_yields_what_is_under_way_and_then_nothing_comes(house: House) -> None:
    """A worker that stops serves what was sent to it; later connections go to another one."""
    with house.worker() as stopping, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(house.address))
        stopping.take()[1].socket.close()
        wait_until(lambda: is_readable(stopping.channel))

        rest = list(stopping.channel.rest())

        assert len(rest) == 2
        with house.worker() as other, connect(house.address):
            other.take()[1].socket.close()
            assert stopping.channel.take() is None
        for passed in rest:
            os.close(passed.descriptor)


def test_rest_waits_a_second_at_most() -> None:
    """A supervisor that hangs does not keep a worker from stopping."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        channel = AcceptorChannel(ours)
        started = time.monotonic()

        assert list(channel.rest()) == []
        assert time.monotonic() - started < 2
        channel.close()


def test_release_never_waits_and_says_later_what_it_could_not_say() -> None:
    """A full channel neither blocks a worker nor loses a word."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        channel = AcceptorChannel(ours)
        for number in range(5_000):
            channel.release(number)
        theirs.setblocking(False)
        heard = []
        for _ in range(5_000):
            with contextlib.suppress(BlockingIOError):
                heard.append(theirs.recv(100))
            channel.flush()

        assert heard == [b"R%d" % number for number in range(5_000)]
        channel.close()


def test_holder_passes_over_a_worker_that_takes_nothing(house: House) -> None:
    """A channel that is full does not hold up the acceptor; clients are served or get 503."""
    with house.worker(most=5_000) as silent, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(house.address)) for _ in range(600)]
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
            answered = selector.select(5)

        assert answered[0][0].data.answer().status == 503
        for _ in range(10):
            silent.take()[1].socket.close()


def test_holder_refuses_a_connection_that_is_given_back(house: House) -> None:
    """A worker that cannot open another file leaves the answer to the acceptor."""
    with house.worker() as worker, connect(house.address) as client:
        wait_until(lambda: is_readable(worker.channel))
        with no_more_files():
            assert worker.channel.take() is None

        assert client.answer().status == 503


def test_holder_outlives_a_lack_of_files(house: House) -> None:
    """While no file can be opened nobody is accepted, and afterwards all are."""
    with house.worker() as worker:
        waiting = socket.socket()
        with Wire(waiting) as client:
            with no_more_files():
                waiting.connect(house.address)
                assert not is_readable(worker.channel)

            worker.take()[1].socket.close()
            client.socket.close()


def test_holder_outlives_a_message_that_makes_no_sense(house: House) -> None:
    """It is logged, and the others are served."""
    with capture_logs() as lines:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.connect(str(house.folder / SOCKET_NAME))
        channel.send(b"Rnonsense")
        wait_until(lambda: bool(lines))
        with house.worker() as worker, connect(house.address):
            worker.take()[1].socket.close()
        channel.close()

    assert (lines[0]["event"], lines[0]["error"]) == ("acceptor_failed", "ValueError")


def test_holder_ends_a_refused_connection_that_its_client_keeps(house: House) -> None:
    """After the answer a client is heard for a while, not for ever."""
    with connect(house.address) as client:
        with house.worker() as worker:
            worker.take()[1].socket.close()
        assert client.answer().status == 503
        assert client.is_ended()

        wait_until(lambda: is_reset(client), seconds=10)


def test_take_says_that_the_supervisor_is_gone(tmp_path: Path) -> None:
    """A worker learns of it at once, and what it still says does no harm."""
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


def test_connect_finds_no_supervisor(tmp_path: Path) -> None:
    """A web server without a supervisor accepts by itself."""
    assert (AcceptorChannel.connect(None), AcceptorChannel.connect(tmp_path)) == (None, None)
