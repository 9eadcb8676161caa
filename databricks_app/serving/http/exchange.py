"""One request and its way to an answer, apart from the connection that brings it."""

from __future__ import annotations

from typing import Protocol

from databricks_app.serving.http.answers import bare_answer
from databricks_app.serving.http.parser import Head

# A body that nobody wants is read up to here, so that the connection can go on.
DISCARD_BYTES = 256 << 10


class Client(Protocol):
    """What an exchange needs of its connection. Answers to a client that has gone are ignored."""

    def reply(self, exchange: Exchange, status: int) -> None:
        """Answer with a status and no body."""
        ...

    def send(self, exchange: Exchange, answer: bytes, *, closes: bool) -> None:
        """Answer with these bytes; whether the connection ends stands in them."""
        ...

    def closes_after(self, exchange: Exchange) -> bool:
        """Whether the connection ends with the answer."""
        ...

    def advance(self) -> None:
        """Look whether an exchange is ready to start."""
        ...


class Exchange:
    """A request whose answer may be decided before its body is complete.

    The connection calls `write` for each piece of the body, then sets `is_complete`, and calls
    `start` once when all requests before are answered; `drop` at the end, whatever happened.

    Attributes:
        head: Request line and fields.
        is_complete: Whether all of the body has come.
        is_started: Whether `start` was called.
        decided: The status, where the rest of the body decides nothing; else 0.
        awaits_continue: Whether the client waits for `100 Continue`.
    """

    __slots__ = ("awaits_continue", "client", "decided", "head", "is_complete", "is_started")

    def __init__(self, client: Client, head: Head) -> None:
        """Begin with the head alone."""
        self.client = client
        self.head = head
        self.is_complete = self.is_started = False
        self.decided = 0
        self.awaits_continue = head.length != 0 and head.expects_continue

    @property
    def is_ready(self) -> bool:
        """Whether it can start."""
        return self.is_complete or self.decided != 0

    @property
    def closes(self) -> bool:
        """Whether the connection ends with its answer: the client asks so, or sends on."""
        return self.head.closes or not self.is_complete

    def decide(self, status: int) -> None:
        """Settle the answer; what still comes of the body is ignored."""
        if not self.decided:
            self.decided = status

    def write(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def start(self) -> None:
        """Answer, now or later."""
        self.client.reply(self, self.decided)

    def drop(self) -> None:
        """Give back what the exchange holds; may be called twice."""


class Discarding(Exchange):
    """An exchange whose body means nothing."""

    __slots__ = ("_discarded", "_status")

    def __init__(self, client: Client, head: Head, status: int) -> None:
        """Begin.

        Args:
            client: Who asks.
            head: What it asks.
            status: The answer if the body is too long to be read for nothing.
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
        """Answer."""
        self.client.reply(self, self._status)


_NO_HEAD = Head("", b"", "1.1", {}, closes=True)


class RefusalExchange(Exchange):
    """The last answer of a connection, to bytes that are no request."""

    __slots__ = ()

    def __init__(self, client: Client, status: int) -> None:
        """Keep the status."""
        super().__init__(client, _NO_HEAD)
        self.decided = status

    def start(self) -> None:
        """Answer."""
        self.client.send(self, bare_answer(self.decided), closes=True)
