"""A request and its answer, independent of the connection that carries them."""

from __future__ import annotations

from typing import Protocol

from databricks_app.serving.http.answers import bare_answer
from databricks_app.serving.http.parser import Head

# An unwanted body of up to this size is read and discarded, so that the connection can be reused.
DISCARD_BYTES = 256 << 10


class Client(Protocol):
    """What an exchange needs from its connection. Answers to a client that has gone are dropped."""

    def reply(self, exchange: Exchange, status: int) -> None:
        """Answer with a status and no body."""
        ...

    def send(self, exchange: Exchange, answer: bytes, *, closes: bool) -> None:
        """Answer with these bytes; their `Connection` header agrees with `closes`."""
        ...

    def closes_after(self, exchange: Exchange) -> bool:
        """Return whether the connection ends with the answer."""
        ...

    def advance(self) -> None:
        """Start the next exchange if it is ready."""
        ...


class Exchange:
    """A request whose answer may be decided before its body is complete.

    The connection calls `write` for each piece of the body, then sets `is_complete`. It calls
    `start` once, when all earlier requests are answered, and always calls `drop` at the end.

    Attributes:
        head: Request line and fields.
        is_complete: Whether the whole body has arrived.
        is_started: Whether `start` was called.
        decided: The status, if it no longer depends on the rest of the body; else 0.
        awaits_continue: Whether the client waits for `100 Continue`.
    """

    __slots__ = ("awaits_continue", "client", "decided", "head", "is_complete", "is_started")

    def __init__(self, client: Client, head: Head) -> None:
        """Start with the head only."""
        self.client = client
        self.head = head
        self.is_complete = self.is_started = False
        self.decided = 0
        self.awaits_continue = head.length != 0 and head.expects_continue

    @property
    def is_ready(self) -> bool:
        """Whether the exchange can start."""
        return self.is_complete or self.decided != 0

    @property
    def closes(self) -> bool:
        """Whether the answer ends the connection: the client wants it, or its body is unread."""
        return self.head.closes or not self.is_complete

    def decide(self, status: int) -> None:
        """Fix the status of the answer; the rest of the body is ignored."""
        if not self.decided:
            self.decided = status

    def write(self, piece: bytes) -> None:
        """Handle a piece of the body."""

    def start(self) -> None:
        """Answer, now or later."""
        self.client.reply(self, self.decided)

    def drop(self) -> None:
        """Release what the exchange holds; may be called twice."""


class Discarding(Exchange):
    """An exchange that discards the body."""

    __slots__ = ("_discarded", "_status")

    def __init__(self, client: Client, head: Head, status: int) -> None:
        """Start with the head only.

        Args:
            client: The connection.
            head: Request line and fields.
            status: Status of the answer.
        """
        super().__init__(client, head)
        self._status = status
        self._discarded = 0
        if head.length is not None and head.length > DISCARD_BYTES:
            self.decide(status)

    def write(self, piece: bytes) -> None:
        """Count the bytes."""
        self._discarded += len(piece)
        if self._discarded > DISCARD_BYTES:
            self.decide(self._status)

    def start(self) -> None:
        """Send the answer."""
        self.client.reply(self, self._status)


_NO_HEAD = Head("", b"", "1.1", {}, closes=True)


class RefusalExchange(Exchange):
    """The last answer of a connection, to bytes that are not a request."""

    __slots__ = ()

    def __init__(self, client: Client, status: int) -> None:
        """Keep the status."""
        super().__init__(client, _NO_HEAD)
        self.decided = status

    def start(self) -> None:
        """Send the answer."""
        self.client.send(self, bare_answer(self.decided), closes=True)
