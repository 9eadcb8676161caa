"""The bridge between granian and a WSGI app, without granian's sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("granian", reason="pip install 'ciolake[granian]'")

from databricks_app.rsgi import COLLECT_BYTES, Bridge


class Headers:
    """What a request's headers are to granian."""

    def __init__(self, *items: tuple[str, str]) -> None:
        """Keep them in order."""
        self._items = list(items)

    def items(self) -> list[tuple[str, str]]:
        """Return all, doubled ones as well."""
        return self._items


@dataclass
class Scope:
    """A request's head as granian gives it."""

    headers: Headers
    method: str = "POST"
    path: str = "/p"
    query_string: str = "q=1"
    http_version: str = "1.1"
    server: str = "127.0.0.1:8000"
    client: str = "[::1]:4321"
    authority: str | None = "receiver"


@dataclass
class Protocol:
    """A request's body and the place of its answer."""

    pieces: list[bytes]
    stands_still: bool = False
    said: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self) -> bytes:
        """Return the whole body."""
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Return what arrives."""
        for piece in self.pieces:
            yield piece
        if self.stands_still:
            await asyncio.Event().wait()

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Answer without a body."""
        self.said.append((status, dict(headers), b""))

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        self.said.append((status, dict(headers), body))


App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def mirror(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Tell what arrived."""
    body = b""
    while piece := environ["wsgi.input"].read(1000):
        body += piece
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Length", str(len(body)))])
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    return [json.dumps(told).encode()]


def ask(protocol: Protocol, *headers: tuple[str, str], app: App = mirror, **options: Any) -> Any:
    """Have one request answered and return status, headers and body."""

    async def run() -> None:
        bridge = Bridge(app, 2, **options)  # type: ignore[arg-type]
        if protocol.stands_still:
            asyncio.get_running_loop().call_later(0.05, bridge.end)
        scope: Any = Scope(Headers(*headers))
        await bridge.answer(scope, protocol)  # type: ignore[arg-type]
        await asyncio.to_thread(bridge.close)

    asyncio.run(run())
    assert len(protocol.said) == 1
    return protocol.said[0]


def test_a_request_is_what_wsgi_calls_it() -> None:
    """Names of headers, address and path are as PEP 3333 has them; doubled headers are joined."""
    status, headers, body = ask(
        Protocol([b"abc"]), ("content-length", "3"), ("x-a-b", "1"), ("x-a-b", "2")
    )

    told = json.loads(body)
    assert (status, headers["x-length"]) == (200, "3")
    assert (told["PATH_INFO"], told["QUERY_STRING"], told["REMOTE_ADDR"]) == ("/p", "q=1", "::1")
    assert (told["HTTP_X_A_B"], told["CONTENT_LENGTH"], told["HTTP_HOST"]) == (
        "1,2",
        "3",
        "receiver",
    )


@pytest.mark.parametrize(
    ("header", "size"),
    [
        pytest.param(("content-length", str(COLLECT_BYTES + 1)), COLLECT_BYTES + 1, id="large"),
        pytest.param(("transfer-encoding", "chunked"), 5000, id="of unknown length"),
    ],
)
def test_a_body_that_cannot_be_collected_is_read_as_it_comes(
    header: tuple[str, str], size: int
) -> None:
    """It arrives whole, and the connection ends after it."""
    whole = b"x" * size
    pieces = [whole[:1500], b"", whole[1500:]]

    status, headers, _ = ask(Protocol(pieces), header)

    assert (status, headers["x-length"], headers["connection"]) == (200, str(size), "close")


def test_a_body_that_does_not_come_is_answered_408() -> None:
    """The time limit holds for a collected body."""
    protocol = Protocol([b"ab"], stands_still=True)

    status, headers, _ = ask(protocol, ("content-length", "3"), request_seconds=0.01)

    assert (status, headers["connection"]) == (408, "close")


def test_a_large_body_that_does_not_come_fails_the_read() -> None:
    """The time limit holds for a large body; the thread is free again."""

    def read(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with pytest.raises(TimeoutError):
            mirror(environ, start_response)
        start_response("408 Request Timeout", [])
        return ()

    protocol = Protocol([b"ab"], stands_still=True)

    assert ask(protocol, ("transfer-encoding", "chunked"), app=read, request_seconds=0.1)[0] == 408


def test_a_failing_app_is_answered_503() -> None:
    """Never 500: that stalls the feed for an hour."""

    def fail(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        raise RuntimeError("hunter2")

    assert ask(Protocol([]), app=fail)[0] == 503


def test_what_an_app_returns_is_closed() -> None:
    """As WSGI asks, whatever happens."""
    closed = threading.Event()

    class Pieces(list[bytes]):
        def close(self) -> None:
            closed.set()

    def app(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Pieces([b"a", b"b"])

    assert ask(Protocol([]), app=app)[2] == b"ab"
    assert closed.is_set()


def test_where_too_much_is_waited_for_the_oldest_goes_first() -> None:
    """What is buffered stays bounded."""
    old, new = Protocol([], stands_still=True), Protocol([b"x" * 600])

    async def run() -> None:
        bridge = Bridge(mirror, 2, buffered_bytes=1000)  # type: ignore[arg-type]
        scope: Any = Scope(Headers(("content-length", "600")))
        await asyncio.gather(bridge.answer(scope, old), bridge.answer(scope, new))  # type: ignore[arg-type]
        await asyncio.to_thread(bridge.close)

    asyncio.run(run())

    assert (old.said[0][0], new.said[0][0]) == (408, 200)
