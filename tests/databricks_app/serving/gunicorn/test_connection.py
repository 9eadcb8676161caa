"""How far a request has arrived: known without blocking, and for any bytes at all."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.wire import Wire
from databricks_app.serving.gunicorn.connection import (
    COLLECT_BYTES,
    HEAD_BYTES,
    Connection,
    Progress,
)

HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "no body": b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    "length": HEAD + b"content-length:\t5 \r\n\r\nab\r\n\r",
    "length nought": HEAD + b"Content-Length: 0\r\n\r\n",
    "chunks": CHUNKED + b"5\r\nhello\r\n0A\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n",
    "chunk extension": CHUNKED + b"3;name=value\r\nabc\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
    "no chunks": CHUNKED + b"0\r\n\r\n",
}


@contextlib.contextmanager
def connection() -> Iterator[tuple[Connection, Wire]]:
    """Make a connection and its client's end."""
    ours, theirs = socket.socketpair()
    with Wire(theirs) as client:
        conn = Connection(Config(), ours, ("127.0.0.1", 1), ("127.0.0.1", 2))
        yield conn, client
        conn.close()


@pytest.mark.parametrize("request_bytes", WHOLE.values(), ids=WHOLE.keys())
def test_progress_is_complete_with_the_last_byte_and_not_before(request_bytes: bytes) -> None:
    """However slowly a request comes, its end is found exactly."""
    with connection() as (conn, client):
        seen = [client.send(bytes([byte])) and conn.receive() for byte in request_bytes]

    assert {Progress.PARTIAL} == set(seen[:-1])
    assert Progress.COMPLETE is seen[-1]


@given(
    request_bytes=st.sampled_from(list(WHOLE.values())),
    following=st.binary(max_size=50),
    cuts=st.lists(st.integers(0, 120), max_size=6),
)
def test_progress_does_not_depend_on_how_the_bytes_are_cut(
    request_bytes: bytes, following: bytes, cuts: list[int]
) -> None:
    """Pieces of any size, and bytes of the next request, change nothing."""
    data = request_bytes + following
    places = [0, *sorted(cuts), len(data)]
    with connection() as (conn, _):
        for start, end in itertools.pairwise(places):
            conn.buffer += data[start:end]
            seen = conn.progress()
            is_whole = len(conn.buffer) >= len(request_bytes)
            assert is_whole is (seen is Progress.COMPLETE)


@given(st.lists(st.binary(max_size=200), max_size=5), st.sampled_from([b"", HEAD, CHUNKED]))
def test_progress_never_raises(pieces: list[bytes], start: bytes) -> None:
    """Whatever a stranger sends, the loop that all share goes on."""
    with connection() as (conn, _):
        for piece in (start, *pieces):
            conn.buffer += piece
            conn.progress()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(HEAD + b"Content-Length: 300000\r\n\r\n", id="announced"),
        pytest.param(CHUNKED + b"493E0\r\n", id="announced chunk"),
        pytest.param(HEAD + b"Expect: 100-continue\r\n\r\n", id="waits for our word"),
        pytest.param(HEAD + b"Content-Length: 0000000000000000000000005\r\n\r\n", id="many digits"),
        pytest.param(HEAD + b"Content-Length: five\r\n\r\n", id="no digits"),
    ],
)
def test_progress_is_large_where_the_end_is_far_or_unknown(request_bytes: bytes) -> None:
    """Such a request is not collected, and waits in no thread that others need."""
    with connection() as (conn, client):
        client.send(request_bytes)

        assert Progress.LARGE is conn.receive()


def test_progress_follows_a_chunk_size_with_leading_noughts() -> None:
    """A size that starts with sixteen noughts is not taken for the last chunk."""
    with connection() as (conn, client):
        client.send(CHUNKED + b"00000000000000000005\r\n\r\n\r\n")

        assert Progress.PARTIAL is conn.receive()


def test_progress_is_large_when_many_small_chunks_come() -> None:
    """A chunked body is collected up to the same limit as another one."""
    with connection() as (conn, _):
        conn.buffer += CHUNKED + b"1\r\na\r\n" * (COLLECT_BYTES // 6)

        assert Progress.LARGE is conn.progress()


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"\r\n", b"-1\r\n", b"1\r\nabc\r\n"])
def test_progress_leaves_broken_chunks_to_the_parser(chunk: bytes) -> None:
    """What makes no sense is refused at once, not waited for."""
    with connection() as (conn, client):
        client.send(CHUNKED + chunk)

        assert Progress.COMPLETE is conn.receive()


def test_progress_is_absurd_past_the_longest_head() -> None:
    """A head without an end is not waited for beyond what any sender writes."""
    with connection() as (conn, _):
        conn.buffer += HEAD + b"X: " + b"x" * (HEAD_BYTES - len(HEAD) - 3)
        before = conn.progress()
        conn.buffer += b"x"

        assert (before, conn.progress()) == (Progress.PARTIAL, Progress.ABSURD)


def test_receive_says_that_nothing_has_come_or_that_the_client_has_gone() -> None:
    """Neither is waited for."""
    with connection() as (conn, client):
        before = conn.receive()
        client.socket.close()

        assert (before, conn.receive()) == (Progress.PARTIAL, Progress.CLOSED)


def test_receive_takes_a_reset_for_a_client_that_has_gone() -> None:
    """A reset raises nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        conn = Connection(Config(), ours, None, None)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()

        assert Progress.CLOSED is conn.receive()
        assert conn.drain()
        conn.close()


def test_recv_ends_with_the_time_of_the_request() -> None:
    """A client that keeps sending a little does not keep a thread."""
    with connection() as (conn, client):
        client.send(b"abc")
        conn.deadline = time.monotonic() + 0.05

        assert conn.recv(10) == b"abc"
        with pytest.raises(TimeoutError):
            conn.recv(10)
        client.send(b"d")
        with pytest.raises(TimeoutError):
            conn.recv(10)


def test_drain_ends_when_the_client_does() -> None:
    """What comes after our last word is thrown away, until the client ends too."""
    with connection() as (conn, client):
        nothing = conn.drain()
        client.send(b"more")
        more = conn.drain()
        client.socket.close()

        assert (nothing, more, conn.drain()) == (False, False, True)
