"""The connection of one client: reads requests and sends answers in the same order.

A connection is in one of these states. Each but `in progress` has a deadline:

- idle: it waits for the next request;
- arriving: a request has begun (a new connection starts in this state);
- in progress: the receiver or the app works on the next answer; nothing more is read;
- stalled: the client does not read its answers; nothing is read from it either;
- lingering: the last answer is sent and the write side is shut down; input is discarded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from databricks_app.serving.http.answers import CONTINUE, Answers, bare_answer
from databricks_app.serving.http.body import Room
from databricks_app.serving.http.deadlines import Deadlines
from databricks_app.serving.http.exchange import Exchange, RefusalExchange
from databricks_app.serving.http.parser import Head, Malformed, RequestParser
from databricks_app.serving.http.wsgi import Ends

LINGER_BYTES = 64 << 20
# If this many bytes arrive within its deadline, an unfinished request gets the same time again.
FAST_BYTES = 1 << 20
_MAX_RENEWALS = 5
# A longer answer ends its connection: it may be sent in parts, and if the worker dies between two
# of them the acceptor would append its 503 to the first.
LARGEST_KEPT_ANSWER = 8 << 10
_UNSENT_BYTES = 16 << 10
_MUCH_BYTES = 128 << 10
# Memory of a request besides its body: a client may send thousands of requests ahead (pipelining).
_EXCHANGE_BYTES = 1 << 10


class Pool(Protocol):
    """What the connections of a worker share.

    Attributes:
        idle: The connections in this state; the same for the other states.
        room: Memory for requests that are not answered yet.
        answers: Makes answers without a body.
        ends_connections: Whether every answer ends its connection.
    """

    idle: Deadlines[Connection]
    arriving: Deadlines[Connection]
    stalled: Deadlines[Connection]
    lingering: Deadlines[Connection]
    room: Room
    answers: Answers
    ends_connections: bool

    def now(self) -> float:
        """Return the time of the loop's clock in seconds."""
        ...

    def soon(self, call: Callable[[], None]) -> object:
        """Let the loop make a call in its next turn."""
        ...

    def opened(self, connection: Connection) -> None:
        """Add a new connection."""
        ...

    def release(self, number: int) -> None:
        """Tell the acceptor that it need not answer for a connection any more."""
        ...

    def closed(self, connection: Connection) -> None:
        """Remove a connection."""
        ...

    def shed(self) -> None:
        """Give up unfinished requests until there is memory again."""
        ...

    def exchange(self, connection: Connection, head: Head) -> Exchange:
        """Start the exchange of a request."""
        ...

    def refused(self, status: int, kind: str) -> None:
        """Count and log bytes that are not a request."""
        ...


class Connection(asyncio.Protocol):
    """The connection of a client. The module's docstring explains its states."""

    __slots__ = (
        "_ahead",
        "_drained",
        "_is_advancing",
        "_is_ending",
        "_is_eof",
        "_is_held_back",
        "_is_reading",
        "_is_unsent",
        "_number",
        "_parser",
        "_pool",
        "_queue",
        "_received",
        "_renewals",
        "_state",
        "_transport",
    )

    _transport: asyncio.Transport

    def __init__(self, pool: Pool, number: int) -> None:
        """Start before the first byte.

        Args:
            pool: What the connections share.
            number: Number that the acceptor gave the connection; 0 without an acceptor.
        """
        self._pool = pool
        self._number = number
        self._parser = RequestParser(self)
        self._queue: deque[Exchange] = deque()
        self._ahead = b""
        self._drained = self._received = self._renewals = 0
        self._state: Deadlines[Connection] | None = None
        self._is_reading = True
        self._is_eof = self._is_ending = self._is_advancing = False
        self._is_unsent = self._is_held_back = False

    @property
    def ends(self) -> Ends:
        """Addresses of client and server."""
        info = self._transport.get_extra_info
        return Ends.of(info("peername"), info("sockname"))

    # The loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to read."""
        # uvloop's transports have the interface but do not inherit the class.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_UNSENT_BYTES)
        self._pool.opened(self)
        self._enter(self._pool.arriving)

    def data_received(self, data: bytes) -> None:
        """Read what the client sent."""
        if self._is_ending:
            self._drained += len(data)
            if self._drained > LINGER_BYTES:
                self.abort()
        elif self._is_unsent or (self._queue and self._queue[0].is_ready):
            self._keep_ahead(data)
            self._pause()
        else:
            self._received += len(data)
            self._parse(data)
            self.advance()
            if self._pool.room.memory_left < 0:
                self._pool.shed()
            if len(data) >= _MUCH_BYTES and self._is_reading and not self._is_ending:
                # uvloop would read up to 8 MiB at once: give the other connections a turn.
                self._pause()
                self._pool.soon(self._resume)

    def eof_received(self) -> bool:
        """Keep the connection open if a request still has to be answered."""
        self._is_eof = True
        return not self._is_ending and bool(self._queue) and self._queue[0].is_ready

    def connection_lost(self, _error: Exception | None) -> None:
        """Release everything."""
        self._is_ending = True
        self._enter(None)
        self._drop_all()
        self._release()
        self._pool.closed(self)

    def pause_writing(self) -> None:
        """Stop reading: the client does not read its answers."""
        self._is_unsent = True
        if not self._is_ending:
            self._pause()
            self._enter(self._pool.stalled)

    def resume_writing(self) -> None:
        """Continue with the next request."""
        self._is_unsent = False
        if not self._is_ending:
            self._enter(None)
            self.advance()

    # The parser calls these.

    def on_head(self, head: Head) -> None:
        """Start a request; without memory for it the connection ends with 503."""
        room = self._pool.room
        if room.memory_left < 0:
            self._pool.refused(503, "no_memory")
            exchange: Exchange = RefusalExchange(self, 503)
        else:
            exchange = self._pool.exchange(self, head)
        room.take_memory(_EXCHANGE_BYTES)
        self._queue.append(exchange)

    def on_piece(self, piece: bytes) -> None:
        """Pass a piece of the body to the newest request."""
        self._queue[-1].write(piece)

    def on_end(self) -> None:
        """Mark the newest request as complete."""
        self._queue[-1].is_complete = True

    # Exchanges call these.

    def closes_after(self, exchange: Exchange) -> bool:
        """Return whether the connection ends with the answer; see `Client`."""
        if exchange.closes or self._is_held_back or self._pool.ends_connections:
            return True
        return self._is_eof and len(self._queue) == 1 and not self._ahead

    def reply(self, exchange: Exchange, status: int) -> None:
        """Answer with a status and no body; see `Client`."""
        closes = self.closes_after(exchange)
        self.send(exchange, self._pool.answers(status, closes), closes=closes)

    def send(self, exchange: Exchange, answer: bytes, *, closes: bool) -> None:
        """Answer with bytes; see `Client`."""
        if self._is_ending or not self._queue or self._queue[0] is not exchange:
            return  # the connection was ended in the meantime
        if closes:
            self._end(answer)
            return
        self._drop(self._queue.popleft())
        self._transport.write(answer)
        if not self._is_unsent:
            self._enter(None)
        self.advance()

    def advance(self) -> None:
        """Start the next request if it is ready; continue to read if none is in progress."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._can_advance():
                pass
        finally:
            self._is_advancing = False
        if not self._is_ending:
            self._update_state()

    # The worker calls these.

    def refuse(self, status: int) -> None:
        """End the connection with this status, whether a request waits or not."""
        if not self._is_ending:
            self._end(bare_answer(status))

    @property
    def has_begun(self) -> bool:
        """Whether at least a part of a request has arrived."""
        return bool(self._queue) or self._parser.is_within

    def renew(self) -> bool:
        """Renew the deadline of a request that arrives fast enough; return whether it does."""
        has_time = self._renewals < _MAX_RENEWALS and not self._pool.ends_connections
        is_fast = has_time and self._received >= FAST_BYTES
        if is_fast:
            self._received = 0
            self._renewals += 1
            self._enter(self._pool.arriving)
        return is_fast

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _parse(self, data: bytes) -> None:
        try:
            ahead = self._parser.feed(data)
        except Malformed as malformed:
            self._pool.refused(malformed.status, malformed.kind)
            if self._queue and not self._queue[-1].is_complete:
                self._drop(self._queue.pop())
            self._pool.room.take_memory(_EXCHANGE_BYTES)
            self._queue.append(RefusalExchange(self, malformed.status))
            return
        if ahead:
            self._keep_ahead(ahead)

    def _can_advance(self) -> bool:
        """Do one step; return whether there may be another one."""
        if self._is_ending or self._is_unsent:
            return False
        if self._queue:
            first = self._queue[0]
            if first.is_started:
                return False
            if first.is_ready:
                first.is_started = True
                first.start()
                return True
            if first.awaits_continue:
                first.awaits_continue = False
                self._transport.write(CONTINUE)
        if not self._ahead:
            return False
        data, self._ahead = self._ahead, b""
        self._pool.room.take_memory(-len(data))
        self._parse(data)
        return True

    def _update_state(self) -> None:
        """Enter the state that the queue and the parser imply."""
        pool = self._pool
        if self._is_unsent:
            return
        if self._queue and self._queue[0].is_started:
            self._enter(None)
            return
        if self._is_held_back:  # bytes were dropped, so the next ones are not a request
            self._pool.refused(503, "no_memory")
            self.refuse(503)
            return
        if self._is_eof:
            self._transport.close()
            return
        if self._queue or self._parser.is_within:
            if self._state is not pool.arriving:
                self._received = self._renewals = 0
                self._enter(pool.arriving)
        elif self._state is not pool.arriving:
            self._enter(pool.idle)
        self._read_on()

    def _keep_ahead(self, data: bytes) -> None:
        """Keep bytes sent ahead; without room for them the connection ends with the next answer."""
        room = self._pool.room
        if self._is_held_back or room.memory_left < len(data):
            self._is_held_back = True
            return
        room.take_memory(len(data))
        self._ahead += data

    def _pause(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        is_busy = self._is_unsent or (self._queue and self._queue[0].is_ready)
        if not (is_busy or self._is_ending or self._transport.is_closing()):
            self._read_on()

    def _read_on(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    def _end(self, answer: bytes) -> None:
        """Send the last answer, shut down the write side, drain the input (lingering close)."""
        self._is_ending = True
        self._drop_all()
        if self._transport.is_closing():
            return
        self._release()  # before the first byte, else the acceptor could append a 503
        self._transport.write(answer)
        # The acceptor may still have a duplicate of the socket, so that `close` would not end it.
        self._transport.write_eof()
        if self._is_eof:
            self._transport.close()
            return
        # `close` with unread input would send a reset, and the client could lose the answer.
        self._read_on()
        self._enter(self._pool.lingering)

    def _drop_all(self) -> None:
        while self._queue:
            self._drop(self._queue.popleft())
        self._pool.room.take_memory(-len(self._ahead))
        self._ahead = b""

    def _drop(self, exchange: Exchange) -> None:
        exchange.drop()
        self._pool.room.take_memory(-_EXCHANGE_BYTES)

    def _release(self) -> None:
        if self._number:
            self._pool.release(self._number)
            self._number = 0

    def _enter(self, state: Deadlines[Connection] | None) -> None:
        if self._state is not None:
            self._state.discard(self)
        self._state = state
        if state is not None:
            state.add(self, self._pool.now())
