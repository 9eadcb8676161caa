"""The acceptor: accepts every connection, passes it to a worker, answers for a dead worker.

The kernel closes the connections of a killed process. A sender whose request was in progress would
get no answer and wait an hour. So the supervisor keeps each connection open, passes a duplicate to
the worker with the fewest connections, and gets a message when the worker has finished. When a
worker dies, the acceptor answers 503 on its open connections. The request may be stored already:
the sender repeats it, and the table keeps each key once.

Messages, each one datagram:

    to the supervisor   A<most>   pass connections to me while I have fewer than <most>
                        S         pass no more connections
                        R<id>     I have finished with this connection, or send its last answer now
                        G<id>     I cannot serve this connection: refuse it
    to a worker         C<id>     a connection; its descriptor comes with the message
                        E         no more connections follow

A worker releases a connection before the first byte of its last answer, so that the acceptor never
appends a 503 to an answer. If the worker dies before that byte, the kernel reports that nothing was
sent, and the acceptor answers 503. One case stays without an answer: an earlier answer was sent on
the connection, and the worker dies between the release and the last answer.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from databricks_app.ingest.refusals import note_refusal
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.serving.kernel import is_answered, share_of_files

# The name that earlier versions use: after an upgrade of the package, a reload starts new workers
# under the old supervisor.
SOCKET_NAME = "holder.sock"
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_ASK, _STOP, _RELEASE, _GIVE_BACK, _PASS, _END = b"A", b"S", b"R", b"G", b"C", b"E"
_MESSAGE_BYTES = 24
_TICK_SECONDS = 0.5
_END_SECONDS = 1.0
_DRAIN_SECONDS = 0.5
_RELEASE_SECONDS = 1.0
_BURST = 64


@dataclass(frozen=True, slots=True)
class PassedConnection:
    """A connection for a worker: the supervisor's number for it, and a descriptor."""

    number: int
    descriptor: int


class AcceptorChannel:
    """A worker's channel to the acceptor. Only `rest` blocks, for at most a second."""

    def __init__(self, channel: socket.socket) -> None:
        """Use this channel to the supervisor."""
        self._channel = channel
        self._channel.setblocking(False)
        self._unsent: deque[bytes] = deque()
        self._is_ended = False

    @classmethod
    def connect(cls, run_dir: Path | None) -> AcceptorChannel | None:
        """Connect to the supervisor of this run folder; None if there is none."""
        if run_dir is None:
            return None
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            channel.connect(str(run_dir / SOCKET_NAME))
        except OSError:
            channel.close()
            return None
        return cls(channel)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a connection arrives."""
        return self._channel.fileno()

    def close(self) -> None:
        """Close the channel; connections that were not released are answered 503."""
        self._channel.close()

    def ask(self, most: int) -> None:
        """Ask for connections, at most `most` at a time."""
        self._send(_ASK + b"%d" % most)

    def take(self) -> PassedConnection | None:
        """Return the next connection; None if none has arrived.

        Raises:
            EOFError: The supervisor has ended.
        """
        try:
            message, descriptors, _, _ = socket.recv_fds(self._channel, _MESSAGE_BYTES, 1)
        except BlockingIOError:
            return None
        except OSError:
            message = b""
        if not message:
            raise EOFError("the supervisor has ended")
        if message == _END:
            self._is_ended = True
            return None
        if not descriptors:  # this process has too many open files: the kernel dropped it
            self._send(_GIVE_BACK + message[1:])
            return None
        return PassedConnection(int(message[1:]), descriptors[0])

    def rest(self) -> Iterator[PassedConnection]:
        """Ask for no more connections, and yield those that were passed already."""
        self._send(_STOP)
        self._is_ended = False
        self._channel.settimeout(_END_SECONDS)
        with contextlib.suppress(EOFError):
            while not self._is_ended:
                if (passed := self.take()) is not None:
                    yield passed
        self._channel.setblocking(False)

    def release(self, number: int) -> None:
        """Tell the acceptor that a connection ends now."""
        self._send(_RELEASE + b"%d" % number)

    def flush(self) -> None:
        """Send the messages that could not be sent earlier."""
        with contextlib.suppress(OSError):
            while self._unsent:
                self._channel.send(self._unsent[0])
                self._unsent.popleft()

    def _send(self, message: bytes) -> None:
        self._unsent.append(message)
        self.flush()


@dataclass(slots=True, eq=False)
class _Worker:
    """The supervisor's record of a worker.

    Attributes:
        channel: Channel to the worker.
        most: Most connections that it accepts; 0 for none.
        connections: Its connections, by number.
        released: Time and number of connections that are released but not answered yet.
    """

    channel: socket.socket
    most: int = 0
    connections: dict[int, socket.socket] = field(default_factory=dict)
    released: deque[tuple[float, int]] = field(default_factory=deque)

    def has_room(self) -> bool:
        return len(self.connections) < self.most

    def end(self) -> None:
        self.channel.close()
        for connection in self.connections.values():
            connection.close()


class Acceptor:
    """The thread of the supervisor that accepts connections."""

    # The supervisor must accept, not a worker: a worker that is killed between `accept` and passing
    # on a duplicate loses the connection (measured: once in 75 to 300 kills at 500 new connections
    # a second).

    def __init__(self, run_dir: Path, public: socket.socket, linger_seconds: float = 2.0) -> None:
        """Listen for workers in the run folder.

        Args:
            run_dir: Folder of the socket for the workers.
            public: The listening socket for clients; `stop` closes it.
            linger_seconds: How long the input of a refused client is drained.
        """
        self._run_dir = run_dir
        self._linger_seconds = linger_seconds
        self._public = public
        self._public.setblocking(False)
        self._is_open = self._is_stopping = self._is_refusing = False
        # Each message stays whole, and the kernel reports when the worker's process ends.
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(run_dir / SOCKET_NAME))
        self._listener.listen()
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._welcome)
        self._workers: list[_Worker] = []
        self._numbers = itertools.count(1)
        self._most = share_of_files(1)
        self._lingering: deque[tuple[float, socket.socket]] = deque()
        self._recurring = RecurringLog()
        self._thread = threading.Thread(target=self._run, name="acceptor", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def refuse(self) -> None:
        """Answer 503 on all new connections: the workers will end soon."""
        self._is_refusing = True
        self._wake()

    def stop(self) -> None:
        """Close the public socket, answer for killed workers, and end the thread.

        Call it when all workers have ended.
        """
        self._is_stopping = self._is_refusing = True
        self._wake()
        self._thread.join()
        for worker in self._workers:
            worker.end()
        for _, connection in self._lingering:
            connection.close()
        self._recurring.sweep(is_end=True)
        self._selector.close()
        self._listener.close()

    def _wake(self) -> None:
        """Wake the thread: a new connection of a worker ends its `select`."""
        if (channel := AcceptorChannel.connect(self._run_dir)) is not None:
            channel.close()

    def _run(self) -> None:
        while not self._is_stopping:
            self._try_turn()
        self._close_public()
        end = time.monotonic() + _END_SECONDS
        while (self._workers or self._lingering) and time.monotonic() < end:
            self._try_turn()

    def _close_public(self) -> None:
        """Refuse the clients that still wait, then close the public socket."""
        self._most = 0
        self._watch_public()
        # `close` would reset the clients in the queue. Refused clients may connect again at once,
        # so the queue may never be empty: the time is limited.
        end = time.monotonic() + _DRAIN_SECONDS
        while self._accept(self._public) and time.monotonic() < end:
            pass
        self._public.close()

    def _try_turn(self) -> None:
        try:
            self._turn()
        except Exception as error:  # noqa: BLE001  # without this thread no client is served
            self._recurring.note_error("acceptor_failed", error)

    def _turn(self) -> None:
        self._watch_public()
        for key, _ in self._selector.select(_TICK_SECONDS):
            key.data(key.fileobj)
        self._close_released()
        self._end_lingering()
        self._recurring.sweep()

    def _watch_public(self) -> None:
        """Accept only while a worker has room; else clients wait in the kernel's queue."""
        count = len(self._lingering) + sum(len(worker.connections) for worker in self._workers)
        is_any_free = any(worker.has_room() for worker in self._workers)
        is_wanted = count < self._most and (is_any_free or self._is_refusing)
        if is_wanted and not self._is_open:
            self._selector.register(self._public, selectors.EVENT_READ, self._accept)
        elif self._is_open and not is_wanted:
            self._selector.unregister(self._public)
        self._is_open = is_wanted

    def _accept(self, public: Any) -> bool:
        """Accept a burst of connections; return whether there may be more."""
        for _ in range(_BURST):
            free = [worker for worker in self._workers if worker.has_room()]
            if not free and not self._is_refusing:
                return False
            try:
                connection, _address = public.accept()
            except OSError:
                return False
            if self._is_refusing:
                self._refuse(connection)
            else:
                self._pass_on(connection, free)
        return True

    def _pass_on(self, connection: socket.socket, free: list[_Worker]) -> None:
        number = next(self._numbers)
        for worker in sorted(free, key=lambda one: len(one.connections)):
            with contextlib.suppress(OSError):  # the worker has died, or its channel is full
                socket.send_fds(worker.channel, [_PASS + b"%d" % number], [connection.fileno()])
                worker.connections[number] = connection
                return
        note_refusal(self._recurring, "overloaded", 503, detail="no worker takes the connection")
        self._refuse(connection)

    def _welcome(self, listener: Any) -> None:
        try:
            channel, _ = listener.accept()
        except OSError:
            return
        channel.setblocking(False)
        worker = _Worker(channel)
        self._workers.append(worker)
        self._selector.register(channel, selectors.EVENT_READ, partial(self._receive, worker))

    def _receive(self, worker: _Worker, _channel: Any) -> None:
        try:
            message = worker.channel.recv(_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        kind, number = message[:1], message[1:]
        if kind == _ASK:
            worker.most = int(number)
        elif kind == _STOP:
            worker.most = 0
            with contextlib.suppress(OSError):
                worker.channel.send(_END)
        elif kind == _RELEASE:
            if is_answered(worker.connections[int(number)]):
                worker.connections.pop(int(number)).close()
            else:
                worker.released.append((time.monotonic(), int(number)))
        elif kind == _GIVE_BACK:
            self._refuse(worker.connections.pop(int(number)))
        else:
            self._answer_for(worker)

    def _close_released(self) -> None:
        """Close the released connections that are answered, or that were released a second ago."""
        latest = time.monotonic() - _RELEASE_SECONDS
        for worker in self._workers:
            for _ in range(len(worker.released)):
                since, number = worker.released.popleft()
                if since <= latest or is_answered(worker.connections[number]):
                    worker.connections.pop(number).close()
                else:
                    worker.released.append((since, number))

    def _answer_for(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._selector.unregister(worker.channel)
        worker.channel.close()
        for _, number in worker.released:
            if is_answered(worker.connections[number]):
                worker.connections.pop(number).close()
        if worker.connections:
            self._recurring.note("answered_for_dead_worker", times=len(worker.connections))
        for connection in worker.connections.values():
            self._refuse(connection)

    def _refuse(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            connection.send(_ANSWER)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            connection.close()
            return
        self._selector.register(connection, selectors.EVENT_READ, self._drain)
        self._lingering.append((time.monotonic() + self._linger_seconds, connection))

    def _drain(self, connection: Any) -> None:
        """Discard input; `close` with unread input would reset the connection (lingering close)."""
        try:
            if connection.recv(1 << 16):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._selector.unregister(connection)
        connection.close()

    def _end_lingering(self) -> None:
        now = time.monotonic()
        while self._lingering and (
            self._lingering[0][0] <= now or self._lingering[0][1].fileno() < 0
        ):
            connection = self._lingering.popleft()[1]
            if connection.fileno() >= 0:  # else `_drain` has closed it
                self._selector.unregister(connection)
                connection.close()
