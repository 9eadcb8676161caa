"""The plain request: what is taken in the loop means the same to gunicorn's own parser."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Any

import pytest
from gunicorn import SERVER
from gunicorn.config import Config
from gunicorn.http.message import Request as GunicornRequest
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import Response, create
from hypothesis import example, given
from hypothesis import strategies as st

from databricks_app.app import create_app
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.receiver import RECEIVER_STATUSES
from databricks_app.ingest.wsgi import webhook_of
from databricks_app.serving.gunicorn.fast_path import Answers, Request, read
from databricks_app.settings import Settings

START = b"POST /api/webhooks/customerio HTTP/1.1"
MOST = 1000
FIELDS = (
    b"Host: receiver",
    b"X-CIO-Signature: " + b"0f" * 32,
    b"X-CIO-Timestamp: 1700000000",
    b"Content-Type: application/json",
)


def message(*lines: bytes, body: bytes = b"{}", start: bytes = START) -> bytearray:
    """A request with these header lines, and its length before them."""
    length = b"Content-Length: %d" % len(body)
    return bytearray(b"\r\n".join((start, length, *lines, b"", body)))


def gunicorns(data: bytes) -> tuple[dict[str, Any], bytes, bool, bytes]:
    """What gunicorn makes of bytes: environ, body, whether the connection ends, and the rest."""
    cfg = Config()
    cfg.set("forwarded_allow_ips", "")
    unreader = IterUnreader(iter([data]))
    request = GunicornRequest(cfg, unreader, ("192.0.2.1", 4321))
    _, environ = create(request, None, ("192.0.2.1", 4321), ("192.0.2.2", 80), cfg)
    body = request.body.read()
    return environ, body, request.should_close(), unreader.take_buffered()


@pytest.mark.parametrize(
    ("line", "closes"),
    [
        (b"Accept: */*", False),
        (b"connection: Keep-Alive", False),
        (b"Connection:\t close ", True),
    ],
)
def test_read_takes_a_plain_request(line: bytes, closes: bool) -> None:
    """Headers are as received, without the white space around them."""
    assert read(message(*FIELDS, line), MOST) == Request(b"0f" * 32, b"1700000000", b"{}", closes)


def test_read_takes_a_request_without_signature() -> None:
    """Whether one is needed is for the receiver to say."""
    assert read(message(body=b""), MOST) == Request(None, None, b"", False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(message(start=START.replace(b"POST", b"GET")), id="method"),
        pytest.param(message(start=START.replace(b"/api", b"//api")), id="path"),
        pytest.param(message(start=START.replace(b"1.1", b"1.0")), id="version"),
        pytest.param(message(b"Expect: 100-continue"), id="expects"),
        pytest.param(message(b"Transfer-Encoding: chunked"), id="chunked"),
        pytest.param(message(b"Upgrade: h2c"), id="upgrade"),
        pytest.param(message(b"Connection: keep-alive, upgrade"), id="connection"),
        pytest.param(message(b"content-length: 2"), id="two lengths"),
        pytest.param(message(b"Host: a", b"Host: a"), id="two hosts"),
        pytest.param(message(FIELDS[1], FIELDS[1]), id="two signatures"),
        pytest.param(message(b"X_CIO_Signature: 00"), id="underscore"),
        pytest.param(message(b"A: b", b" folded"), id="folded"),
        pytest.param(message(b"A : b"), id="space before the colon"),
        pytest.param(message(b"A: \x00"), id="control"),
        pytest.param(message(b"A: b\nB: c"), id="bare line feed"),
        pytest.param(message(*[b"A: b"] * 64), id="many headers"),
        pytest.param(message(b"A: " + b"b" * 9000), id="long header"),
        pytest.param(message(body=b"x" * (MOST + 1)), id="long body"),
        pytest.param(message() + b"POST", id="sent ahead"),
        pytest.param(message()[:-1], id="unfinished"),
        pytest.param(bytearray(START + b"\r\nHost: a\r\n\r\n"), id="no length"),
    ],
)
def test_read_leaves_what_is_not_plain_to_others(data: bytearray) -> None:
    """Where there is any doubt the server's own parser decides."""
    assert read(data, MOST) is None


_LINES = st.one_of(
    st.sampled_from(FIELDS),
    st.sampled_from(
        (
            b"Connection: close",
            b"Connection: keep-alive",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Ssl: on",
            b"Script-Name: /api",
            b"Content-Length: 00002",
            b"Trailer: x",
            b"Proxy-Connection: close",
            b"Cookie:",
        )
    ),
    st.binary(max_size=20).map(lambda value: b"X-Any: " + value),
    st.binary(max_size=20),
)


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    """A request that is nearly right: odd lines, a wrong length, bytes that were changed."""
    data = message(*draw(st.lists(_LINES, max_size=6)), body=draw(st.binary(max_size=30)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 1))] = draw(st.binary(max_size=2))
    return bytes(data)


@given(data=_messages())
@example(data=bytes(message(*FIELDS, body=b"\r\n\r\n")))
@example(data=bytes(message(b"X: \x80\xff\t")))
def test_what_read_takes_means_the_same_to_gunicorn(data: bytes) -> None:
    """Same route, same signed headers, same body, same end of the connection, nothing left over."""
    plain = read(bytearray(data), MOST)
    if plain is None:
        return

    environ, body, closes, rest = gunicorns(data)

    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("POST", START.split()[1].decode())
    for name, value in (
        ("HTTP_X_CIO_SIGNATURE", plain.signature),
        ("HTTP_X_CIO_TIMESTAMP", plain.timestamp),
    ):
        assert environ.get(name) == (None if value is None else value.decode("latin-1"))
    assert int(environ["CONTENT_LENGTH"]) == len(body)
    assert (plain.body, plain.closes, b"") == (body, closes, rest)


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("status", RECEIVER_STATUSES)
def test_answers_are_those_of_gunicorn(
    settings: Settings, inbox: LocalInbox, status: int, closes: bool
) -> None:
    """Byte for byte but for the date."""
    webhook = webhook_of(create_app(settings, inbox=inbox))
    assert webhook is not None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lines = [b"Connection: close"] if closes else []
        request = GunicornRequest(
            Config(), IterUnreader(iter([bytes(message(*lines))])), ("192.0.2.1", 1)
        )
        response = Response(request, theirs, Config())
        response.start_response(f"{status} {HTTPStatus(status).phrase}", webhook.headers[status])
        response.close()
        expected = ours.recv(4096)
    date = next(line for line in expected.split(b"\r\n") if line.startswith(b"Date: "))

    said = Answers(SERVER, webhook.headers, lambda: 1_700_000_000.9)(status, closes)

    assert said == expected.replace(date, b"Date: Tue, 14 Nov 2023 22:13:20 GMT")


def test_answers_tell_the_time_of_each_second() -> None:
    """What is kept of a second is not said in the next."""
    at = [0.0]
    answers = Answers("s", {200: ()}, lambda: at[0])
    first = answers(200, False)
    at[0] = 1.0

    assert first is not answers(200, False)
    assert b"00:00:01 GMT" in answers(200, False)
    assert answers(200, False) is answers(200, False)
