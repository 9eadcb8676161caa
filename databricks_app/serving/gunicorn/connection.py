"""A client's connection that knows how much of its next request has arrived.

It reads without blocking, and only as much of HTTP as it takes to find a request's end. Whether
the request makes sense is for gunicorn's parser: where this one is unsure, the request is passed
on as complete or as large, never to a thread that others need.
"""

from __future__ import annotations

import re
import socket
import time
from enum import Enum, auto
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import TConn

COLLECT_BYTES = 256 << 10
HEAD_BYTES = 64 << 10
_READ_SECONDS = 5.0
_LINGER_BYTES = 32 << 20
_PIECE = 64 << 10
_LENGTH = re.compile(rb"\r\ncontent-length:([^\r]*)", re.IGNORECASE)
_MOST_DIGITS = 18
_CHUNK_SIZE = re.compile(rb"[0-9a-f]+", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class Progress(Enum):
    """How far a request has arrived."""

    PARTIAL = auto()
    COMPLETE = auto()
    LARGE = auto()
    ABSURD = auto()
    CLOSED = auto()


class Connection(TConn):  # type: ignore[misc]  # gunicorn ships no types
    """A connection that knows how much of its next request has arrived."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        """Take over an accepted socket."""
        super().__init__(cfg, sock, client, server)
        self.initialized = False
        self.data_ready = True  # no thread is ever given a connection without data
        self.number = 0  # the supervisor's, where there is one
        self.deadline = 0.0
        self.is_pending = False
        self.is_large = False
        self.is_watched = False
        self.is_idle = False
        self.is_under_way = False
        self.closes = False
        self.submitted = 0.0
        self.drained = 0
        self.buffer = bytearray()
        self._body_at = 0
        self._chunk_at = 0
        self._end: int | None = None
        self._is_chunked = False

    def receive(self) -> Progress:
        """Take what has arrived, without waiting."""
        try:
            piece = self.sock.recv(_PIECE)
        except BlockingIOError:
            return self.progress()
        except OSError:
            return Progress.CLOSED
        if not piece:
            return Progress.CLOSED
        self.buffer += piece
        return self.progress()

    def progress(self) -> Progress:
        """Say how far the request in the buffer is."""
        if not self._body_at and not self._find_body():
            return Progress.ABSURD if len(self.buffer) > HEAD_BYTES else Progress.PARTIAL
        if self._is_chunked:
            self._follow_chunks()
        if self._end is not None and len(self.buffer) >= self._end:
            return Progress.COMPLETE
        if max(self._least_end(), len(self.buffer)) > COLLECT_BYTES:
            return Progress.LARGE
        return Progress.PARTIAL

    def _find_body(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[: end + 2])
        self._body_at = self._chunk_at = end + 4
        if _EXPECT.search(head):
            return True  # the client waits for a word from us: no end is known
        self._is_chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        digits = b"0" if length is None else length[1].strip(b" \t")
        if not self._is_chunked and digits.isdigit() and len(digits) <= _MOST_DIGITS:
            self._end = self._body_at + int(digits)
        return True

    def _follow_chunks(self) -> None:
        """Find the end of a chunked body; where the chunks make no sense, gunicorn refuses them."""
        while self._end is None and self._chunk_at < len(self.buffer):
            line_end = self.buffer.find(b"\r\n", self._chunk_at)
            if line_end < 0:
                return
            size = _CHUNK_SIZE.match(self.buffer, self._chunk_at, line_end)
            if size is None:
                self._end = self._chunk_at
            elif length := int(size[0], 16):
                self._chunk_at = line_end + 2 + length + 2
            elif (end := self.buffer.find(b"\r\n\r\n", line_end)) >= 0:
                self._end = end + 4
            else:
                return

    def _least_end(self) -> int:
        """Where the request ends at the earliest; beyond all that is collected if nobody knows."""
        if self._is_chunked:
            return self._chunk_at
        return COLLECT_BYTES + 1 if self._end is None else self._end

    def init(self) -> None:
        """Give the parser what was collected; called by the thread that serves the request."""
        self.sock.settimeout(_READ_SECONDS)
        if not self.initialized:
            self.initialized = True
            self.parser = http.get_parser(self.cfg, self, self.client)
        self.parser.unreader.unread(bytes(self.buffer))
        self.rearm()

    def recv(self, size: int) -> bytes:
        """Read for the parser, until the time of the request is over.

        Raises:
            TimeoutError: It is over, or nothing comes.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request takes too long")
        self.sock.settimeout(min(_READ_SECONDS, left))
        return bytes(self.sock.recv(size))

    def rearm(self) -> None:
        """Make ready for the next request."""
        self.buffer = bytearray()
        self._body_at = self._chunk_at = 0
        self._end = None
        self._is_chunked = False

    def drain(self) -> bool:
        """Throw away what still arrives after our last word; whether the client is done."""
        try:
            piece = self.sock.recv(_PIECE)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.drained += len(piece)
        return not piece or self.drained > _LINGER_BYTES
