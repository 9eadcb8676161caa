"""Signed requests as raw bytes, and the client's side of a connection."""

from __future__ import annotations

import hashlib
import hmac
import socket
import time
from dataclasses import dataclass

from databricks_app.endpoint import WEBHOOK_PATH

KEY = "a key of the tests"
ADMIN_TOKEN = "a token of the tests"  # noqa: S105  # of no other receiver
ANSWER_SECONDS = 20.0


def signed(body: bytes, *, key: str = KEY, timestamp: int | None = None) -> dict[str, str]:
    """Return the two headers of a signed request."""
    at = str(int(time.time()) if timestamp is None else timestamp)
    digest = hmac.new(key.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-CIO-Timestamp": at, "X-CIO-Signature": digest}


def request(body: bytes, headers: dict[str, str] | None = None, *, key: str = KEY) -> bytes:
    """Return a whole signed request as raw bytes."""
    given = {"Host": "receiver", "Content-Length": str(len(body)), **signed(body, key=key)}
    lines = [
        f"POST {WEBHOOK_PATH} HTTP/1.1",
        *(f"{n}: {v}" for n, v in (given | (headers or {})).items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def page(path: str, token: str = ADMIN_TOKEN) -> bytes:
    """Return a request for a page, with the admin token, as raw bytes."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    return f"{head}Authorization: Bearer {token}\r\n\r\n".encode()


@dataclass
class Wire:
    """The client's side of a connection, with a buffer of unread bytes."""

    socket: socket.socket
    buffer: bytes = b""

    def __enter__(self) -> Wire:
        """Use until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.socket.close()

    def send(self, data: bytes) -> Wire:
        """Send all of it."""
        self.socket.sendall(data)
        return self

    def answer(self) -> Answer:
        """Wait for the next answer; a connection that ends without one is status 0."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return Answer(0, {}, self.buffer)
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }
        length = int(headers.get("content-length", "0"))
        while len(rest) < length and self._more():
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        self.buffer = rest[length:]
        return Answer(int(lines[0].split(" ")[1]), headers, rest[:length])

    def is_ended(self) -> bool:
        """Wait until the server closes the connection; False if it sends more or resets.

        Raises:
            TimeoutError: The server does not close it.
        """
        try:
            return not self.buffer and not self.socket.recv(1)
        except ConnectionError:
            return False

    def _more(self) -> bool:
        piece = self.socket.recv(1 << 16)
        self.buffer += piece
        return bool(piece)


@dataclass(frozen=True)
class Answer:
    """The answer of a server; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(address: tuple[str, int], seconds: float = ANSWER_SECONDS) -> Wire:
    """Open a connection with a timeout for each call."""
    return Wire(socket.create_connection(address, timeout=seconds))
