"""Requests from bytes: the same meaning however they are cut, and limits that hold meanwhile."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.serving.http.parser import (
    FIELD_BYTES,
    FIELDS,
    HEAD_BYTES,
    PIECE_BYTES,
    TARGET_BYTES,
    Head,
    Malformed,
    RequestParser,
)

START = b"POST /a?b HTTP/1.1\r\nHost: h\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class Collected:
    """A handler that keeps all it is given.

    Attributes:
        heads: Of the requests that have begun.
        bodies: What came of their bodies.
        complete: How many are complete.
    """

    heads: list[Head] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    complete: int = 0

    def on_head(self, head: Head) -> None:
        """Keep it."""
        self.heads.append(head)
        self.bodies.append(b"")

    def on_piece(self, piece: bytes) -> None:
        """Keep it."""
        self.bodies[-1] += piece

    def on_end(self) -> None:
        """Count it."""
        self.complete += 1

    def meaning(self) -> list[tuple[str, bytes, dict[bytes, bytes], bytes]]:
        """What was asked."""
        return [
            (head.method, head.target, head.fields, body)
            for head, body in zip(self.heads, self.bodies, strict=True)
        ]


def parsed(*pieces: bytes) -> Collected:
    """Parse pieces to their end."""
    collected = Collected()
    parser = RequestParser(collected)
    for piece in pieces:
        while piece:
            piece = parser.feed(piece)
    return collected


def refusal(*pieces: bytes) -> tuple[int, str]:
    """Parse what is refused; return status and kind."""
    with pytest.raises(Malformed) as refused:
        parsed(*pieces)
    return refused.value.status, refused.value.kind


def test_a_request_is_its_method_target_fields_and_body() -> None:
    """Names in lower case, values without the white space around them, doubled ones joined."""
    found = parsed(START + b"X-A: \t1 \r\nx-a:2\r\nE:\r\nContent-Length: 2\r\n\r\nok")

    fields = {b"host": b"h", b"x-a": b"1,2", b"e": b"", b"content-length": b"2"}
    assert found.meaning() == [("POST", b"/a?b", fields, b"ok")]
    assert (found.heads[0].length, found.heads[0].closes, found.complete) == (2, False, 1)


@pytest.mark.parametrize(
    ("data", "closes"),
    [
        (START + b"Connection: close\r\n\r\n", True),
        (START + b"Connection: keep-alive\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_the_client_decides_whether_the_connection_ends(data: bytes, closes: bool) -> None:
    """By version and `Connection`."""
    assert parsed(data).heads[0].closes is closes


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 2\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_follows_a_request_for_another_protocol(framing: bytes, size: int) -> None:
    """We speak no other one: the request is HTTP with its body, and so is the next."""
    asked = START + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + framing
    data = asked + START + b"\r\n"

    found = parsed(*(data[at : at + size] for at in range(0, len(data), size)))

    assert (found.bodies, found.complete) == ([b"ok", b""], 2)
    assert found.heads[0].fields[b"upgrade"] == b"h2c"


def test_a_trailer_is_no_field() -> None:
    """What comes after the body was not signed and adds nothing to the head."""
    found = parsed(CHUNKED + b"2\r\nok\r\n0\r\nX-CIO-Signature: 1\r\n\r\n" + START + b"\r\n")

    assert b"x-cio-signature" not in found.heads[0].fields
    assert (found.bodies, found.complete) == ([b"ok", b""], 2)


def test_a_name_with_an_underscore_is_dropped() -> None:
    """WSGI would take it for the one with a hyphen."""
    assert parsed(START + b"X_CIO_Signature: 1\r\n\r\n").heads[0].fields == {b"host": b"h"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"nonsense\r\n\r\n", (400, "syntax"), id="no request"),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", (400, "version"), id="version"),
        pytest.param(b"GET /\r\n\r\n", (400, "version"), id="HTTP/0.9"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\n\r\n", (501, "method"), id="tunnel"),
        pytest.param(START + b"Host: h\r\n\r\n", (400, "hosts"), id="two hosts"),
        pytest.param(
            START + b"Content-Length: 1\r\n" * 2 + b"\r\nx",
            (400, "syntax"),
            id="lengths",
        ),
        pytest.param(
            START + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (400, "syntax"),
            id="length and chunks",
        ),
        pytest.param(
            START + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
            (400, "syntax"),
            id="chunks and length",
        ),
        pytest.param(
            START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (501, "coding"), id="gzip"
        ),
        pytest.param(
            START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (400, "syntax"),
            id="two codings",
        ),
        pytest.param(
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (400, "coding"),
            id="chunks in HTTP/1.0",
        ),
        pytest.param(START + b"A: b\r\n c\r\n\r\n", (400, "syntax"), id="folded"),
        pytest.param(START + b"A : b\r\n\r\n", (400, "syntax"), id="space before the colon"),
        pytest.param(START + b"A: b\nC: d\r\n\r\n", (400, "syntax"), id="bare line feed"),
        pytest.param(START + b"A: \x01\r\n\r\n", (400, "syntax"), id="control"),
        pytest.param(CHUNKED + b"zz\r\n", (400, "syntax"), id="chunk size"),
        pytest.param(CHUNKED + b"1\nx\r\n", (400, "syntax"), id="line feed after chunk size"),
    ],
)
def test_what_is_no_request_is_refused_at_once(data: bytes, expected: tuple[int, str]) -> None:
    """In one piece as byte by byte."""
    assert refusal(data) == expected
    assert refusal(*(bytes([byte]) for byte in data)) == expected


@pytest.mark.parametrize("size", [1, 100, 5000])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET /" + b"a" * TARGET_BYTES, 414, id="target"),
        pytest.param(START + b"A: " + b"b" * FIELD_BYTES + b"\r\n\r\n", 431, id="field"),
        pytest.param(START + b"A: " + b"b" * HEAD_BYTES, 431, id="endless field"),
        pytest.param(START + b"A" * HEAD_BYTES, 431, id="endless name"),
        pytest.param(START + b"A: b\r\n" * (FIELDS + 1), 431, id="fields"),
        pytest.param(b"\r\n" * HEAD_BYTES, 431, id="empty lines"),
        pytest.param(CHUNKED + b"1;" + b"a" * 2 * HEAD_BYTES, 431, id="chunk extension"),
        pytest.param(CHUNKED + b"0\r\nA: " + b"b" * 2 * HEAD_BYTES, 431, id="endless trailer"),
        pytest.param(CHUNKED + b"0\r\n" + b"A: b\r\n" * 20_000, 431, id="trailers"),
    ],
)
def test_limits_hold_before_the_end_has_come(data: bytes, status: int, size: int) -> None:
    """What has no end is not waited for, however it is cut."""
    assert refusal(*(data[at : at + size] for at in range(0, len(data), size)))[0] == status


def test_feed_stops_soon_after_the_end_of_a_request() -> None:
    """A client that sends thousands ahead has a few of them parsed at a time."""
    one = b"GET / HTTP/1.1\r\n\r\n"
    collected = Collected()
    parser = RequestParser(collected)
    rest = parser.feed(one * 10_000)

    assert collected.complete <= PIECE_BYTES // len(one) + 1
    while rest:
        rest = parser.feed(rest)
    assert collected.complete == 10_000


def test_feed_ignores_what_follows_a_request_that_ends_the_connection() -> None:
    """Nobody will be there to read an answer."""
    found = parsed(START + b"Connection: close\r\n\r\n" + b"nonsense", b"\r\n" * 10, START)

    assert (found.complete, len(found.heads)) == (1, 1)


def test_is_within_tells_whether_a_request_has_begun() -> None:
    """From its first byte to its last."""
    parser = RequestParser(Collected())
    seen = [
        parser.feed(bytes([byte])) or parser.is_within for byte in b"\r\nGET / HTTP/1.1\r\n\r\n"
    ]

    assert seen == [False] * 2 + [True] * 17 + [False]


class Failing(Collected):
    """A handler that fails."""

    def on_piece(self, piece: bytes) -> None:
        """Fail."""
        raise KeyError(piece)


def test_a_handler_that_fails_is_503_and_named_by_its_error_and_place() -> None:
    """It is our fault, and no text of the client's is in it."""
    with pytest.raises(Malformed) as refused:
        RequestParser(Failing()).feed(START + b"Content-Length: 1\r\n\r\nx")

    assert refused.value.status == 503
    assert re.fullmatch(r"KeyError at test_parser\.py:\d+", refused.value.kind)


WHOLE = (
    START + b"\r\n",
    START + b"Content-Length: 9000\r\n\r\n" + b"x" * 9000,
    CHUNKED + b"5;a=b\r\nhello\r\n0A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
    START + b"Connection: upgrade\r\nUpgrade: a\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
)


@given(
    requests=st.lists(st.sampled_from(WHOLE), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 20_000), max_size=8),
)
def test_meaning_does_not_depend_on_how_the_bytes_are_cut(
    requests: list[bytes], cuts: list[int]
) -> None:
    """Requests in one piece or in many are the same."""
    data = b"".join(requests)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    found = parsed(*(data[start:end] for start, end in itertools.pairwise(places)))

    assert found.complete == len(requests)
    assert found.meaning() == [one for data in requests for one in parsed(data).meaning()]


@given(st.lists(st.binary(max_size=300), max_size=5), st.sampled_from((b"", START, CHUNKED)))
def test_nothing_but_malformed_is_raised(pieces: list[bytes], start: bytes) -> None:
    """Whatever a stranger sends, the loop that all share goes on."""
    status = 400
    try:
        parsed(start, *pieces)
    except Malformed as malformed:
        status = malformed.status

    assert status in {400, 414, 431, 501}
