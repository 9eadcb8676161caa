"""The parser: the same meaning for any split of the bytes, and limits for incomplete requests."""

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
    """A handler that keeps everything.

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
        """The parsed requests."""
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


def refusal(*pieces: bytes) -> tuple[int, str] | None:
    """Parse bytes; return status and kind of the refusal, None if they are accepted."""
    try:
        parsed(*pieces)
    except Malformed as malformed:
        return malformed.status, malformed.kind
    return None


def cut(data: bytes, size: int) -> list[bytes]:
    """Cut bytes into pieces of this size."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_a_request_has_method_target_fields_and_body() -> None:
    """Names in lower case, values stripped, repeated names joined."""
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
    """By its version and `Connection`."""
    assert parsed(data).heads[0].closes is closes


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 2\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
)
def test_an_upgrade_request_keeps_its_body(framing: bytes) -> None:
    """The upgrade is ignored: the request and the next one stay HTTP, for any size of pieces."""
    asked = START + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + framing
    data = asked + START + b"\r\n"

    found = {size: parsed(*cut(data, size)) for size in (1, 7, 1000)}

    assert {
        size: (one.bodies, one.complete, one.heads[0].fields[b"upgrade"])
        for size, one in found.items()
    } == dict.fromkeys(found, ([b"ok", b""], 2, b"h2c"))


def test_a_trailer_adds_no_field() -> None:
    """It comes after the body and must not change the head."""
    found = parsed(CHUNKED + b"2\r\nok\r\n0\r\nX-CIO-Signature: 1\r\n\r\n" + START + b"\r\n")

    assert b"x-cio-signature" not in found.heads[0].fields
    assert (found.bodies, found.complete) == ([b"ok", b""], 2)


def test_a_name_with_an_underscore_is_dropped() -> None:
    """WSGI has the same name for it and for the one with a hyphen."""
    assert parsed(START + b"X_CIO_Signature: 1\r\n\r\n").heads[0].fields == {b"host": b"h"}


REFUSED: dict[str, tuple[bytes, tuple[int, str]]] = {
    "no request": (b"nonsense\r\n\r\n", (400, "syntax")),
    "version": (b"GET / HTTP/2.0\r\n\r\n", (400, "version")),
    "HTTP/0.9": (b"GET /\r\n\r\n", (400, "version")),
    "tunnel": (b"CONNECT a:1 HTTP/1.1\r\n\r\n", (501, "method")),
    "two hosts": (START + b"Host: h\r\n\r\n", (400, "hosts")),
    "two lengths": (START + b"Content-Length: 1\r\n" * 2 + b"\r\nx", (400, "syntax")),
    "length and chunks": (
        START + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400, "syntax"),
    ),
    "chunks and length": (
        START + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        (400, "syntax"),
    ),
    "gzip": (START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (501, "coding")),
    "two codings": (
        START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400, "syntax"),
    ),
    "chunks in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400, "coding"),
    ),
    "folded line": (START + b"A: b\r\n c\r\n\r\n", (400, "syntax")),
    "space before the colon": (START + b"A : b\r\n\r\n", (400, "syntax")),
    "bare line feed": (START + b"A: b\nC: d\r\n\r\n", (400, "syntax")),
    "control character": (START + b"A: \x01\r\n\r\n", (400, "syntax")),
    "chunk size": (CHUNKED + b"zz\r\n", (400, "syntax")),
    "line feed after a chunk size": (CHUNKED + b"1\nx\r\n", (400, "syntax")),
}


def test_bytes_that_are_not_a_request_are_refused_at_once() -> None:
    """In one piece and byte by byte."""
    wrong = {
        (name, way): found
        for name, (data, expected) in REFUSED.items()
        for way, size in (("whole", len(data)), ("by bytes", 1))
        if (found := refusal(*cut(data, size))) != expected
    }

    assert wrong == {}


ENDLESS: dict[str, tuple[bytes, int]] = {
    "target": (b"GET /" + b"a" * TARGET_BYTES, 414),
    "field": (START + b"A: " + b"b" * FIELD_BYTES + b"\r\n\r\n", 431),
    "endless field": (START + b"A: " + b"b" * HEAD_BYTES, 431),
    "endless name": (START + b"A" * HEAD_BYTES, 431),
    "fields": (START + b"A: b\r\n" * (FIELDS + 1), 431),
    "empty lines": (b"\r\n" * HEAD_BYTES, 431),
    "chunk extension": (CHUNKED + b"1;" + b"a" * 2 * HEAD_BYTES, 431),
    "endless trailer": (CHUNKED + b"0\r\nA: " + b"b" * 2 * HEAD_BYTES, 431),
    "trailers": (CHUNKED + b"0\r\n" + b"A: b\r\n" * 20_000, 431),
}


def test_limits_apply_to_incomplete_requests() -> None:
    """For any size of the pieces: the parser does not wait for the end."""
    wrong = {
        (name, size): found
        for name, (data, status) in ENDLESS.items()
        for size in (1, 100, 5000)
        if (found := refusal(*cut(data, size))) is None or found[0] != status
    }

    assert wrong == {}


def test_feed_stops_soon_after_the_end_of_a_request() -> None:
    """Of thousands of requests sent ahead, a few are parsed at a time."""
    one = b"GET / HTTP/1.1\r\n\r\n"
    collected = Collected()
    parser = RequestParser(collected)
    rest = parser.feed(one * 10_000)

    assert collected.complete <= PIECE_BYTES // len(one) + 1
    while rest:
        rest = parser.feed(rest)
    assert collected.complete == 10_000


def test_feed_ignores_what_follows_a_request_that_ends_the_connection() -> None:
    """Nobody would read an answer."""
    found = parsed(START + b"Connection: close\r\n\r\n" + b"nonsense", b"\r\n" * 10, START)

    assert (found.complete, len(found.heads)) == (1, 1)


def test_is_within_is_true_inside_a_request() -> None:
    """From its first byte to its last."""
    parser = RequestParser(Collected())
    seen = [
        parser.feed(bytes([byte])) or parser.is_within for byte in b"\r\nGET / HTTP/1.1\r\n\r\n"
    ]

    assert seen == [False] * 2 + [True] * 17 + [False]


class Failing(Collected):
    """A handler that raises an error."""

    def on_piece(self, piece: bytes) -> None:
        """Fail."""
        raise KeyError(piece)


def test_an_error_of_the_handler_is_503_with_type_and_place() -> None:
    """It is our fault, and the text quotes nothing from the client."""
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
def test_the_meaning_does_not_depend_on_the_split(requests: list[bytes], cuts: list[int]) -> None:
    """Requests in one piece or in many are the same."""
    data = b"".join(requests)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    found = parsed(*(data[start:end] for start, end in itertools.pairwise(places)))

    assert found.complete == len(requests)
    assert found.meaning() == [one for data in requests for one in parsed(data).meaning()]


@given(st.lists(st.binary(max_size=300), max_size=5), st.sampled_from((b"", START, CHUNKED)))
def test_only_malformed_is_raised(pieces: list[bytes], start: bytes) -> None:
    """For any bytes, so that the loop of all connections continues."""
    status = 400
    try:
        parsed(start, *pieces)
    except Malformed as malformed:
        status = malformed.status

    assert status in {400, 414, 431, 501}
