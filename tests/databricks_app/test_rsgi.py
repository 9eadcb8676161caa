"""The bridge between granian and a WSGI app, without granian's sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

pytest.importorskip("granian", reason="pip install 'ciolake[granian]'")

from databricks_app.app import create_app
from databricks_app.inbox.local import LocalInbox
from databricks_app.inbox.segments import SegmentReader
from databricks_app.routes import WEBHOOK_PATH
from databricks_app.rsgi import COLLECT_BYTES, Bridge
from databricks_app.settings import Settings


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


def post_all(
    bridge: Bridge, requests: list[tuple[bytes, list[tuple[str, str]]]]
) -> list[tuple[int, dict[str, str], bytes]]:
    """Post these bodies with these headers to the webhook route, all at once."""
    said: list[tuple[int, dict[str, str], bytes]] = []

    async def run() -> None:
        protocols = [Protocol([body]) for body, _ in requests]
        scopes = [
            Scope(
                Headers(("content-length", str(len(body))), *headers),
                path=WEBHOOK_PATH,
                query_string="",
            )
            for body, headers in requests
        ]
        pairs: Any = zip(scopes, protocols, strict=True)
        await asyncio.gather(*(bridge.answer(scope, protocol) for scope, protocol in pairs))
        await asyncio.to_thread(bridge.close)
        said.extend(protocol.said[0] for protocol in protocols)

    asyncio.run(run())
    return said


def lowered(headers: dict[str, str]) -> list[tuple[str, str]]:
    """Headers as granian gives them."""
    return [(name.lower(), value) for name, value in headers.items()]


def test_webhook_requests_need_no_thread(
    settings: Settings, inbox: LocalInbox, now: Callable[[], float], sign: Callable[..., Any]
) -> None:
    """The loop is told when they are durable; refused ones wait for nobody."""
    bodies = [b"%d" % number for number in range(20)]
    good = [(body, lowered(sign(body))) for body in bodies]
    bridge = Bridge(create_app(settings, inbox=inbox, now=now), 2)

    said = post_all(bridge, [*good, (b"changed", good[0][1])])

    assert [status for status, _, _ in said] == [200] * 20 + [401]
    assert said[0][1]["content-length"] == "0"
    assert not bridge._threads._threads
    inbox.close()
    batches = SegmentReader(settings.inbox_dir).batches(1000, 10**6)
    assert sorted(bodies) == sorted(one.body for batch in batches for one in batch.records)


@pytest.mark.parametrize("name", ["x-cio-timestamp", "x_cio_timestamp"])
def test_doubled_signed_headers_are_refused_either_way(
    settings: Settings,
    inbox: LocalInbox,
    now: Callable[[], float],
    sign: Callable[..., Any],
    name: str,
) -> None:
    """WSGI joins them, also where a line stands for the hyphen; the loop does the same."""
    headers = [*lowered(sign(b"{}")), (name, "1700000000")]

    said = post_all(Bridge(create_app(settings, inbox=inbox, now=now), 2), [(b"{}", headers)])

    assert [status for status, _, _ in said] == [401]


def test_a_disk_that_hangs_is_503_at_the_deadline_without_a_thread(
    settings: Settings, now: Callable[[], float], sign: Callable[..., Any]
) -> None:
    """The loop looks at the clock as long as somebody waits."""
    gate = threading.Event()

    def sync(_descriptor: int) -> None:
        gate.wait(10)

    hanging = LocalInbox(settings.inbox_dir, max_bytes=1 << 20, sync=sync)
    patient = replace(settings, append_deadline_seconds=0.1)
    bridge = Bridge(create_app(patient, inbox=hanging, now=now), 2)

    said = post_all(bridge, [(b"{}", lowered(sign(b"{}")))])
    gate.set()
    hanging.close()

    assert (said[0][0], said[0][1]["retry-after"]) == (503, "5")
