"""Differential fuzzing of the request parser against h11 and gunicorn's own parser.

    python -m benchmarks.http_fuzz [COUNT] [SEED]

It makes requests, changes them in a few places, cuts them at random, and gives them to all three
parsers. A request that our parser accepts must be accepted by the others with the same method,
target, fields, body and end, or one of `LENIENCIES` must explain the difference. A request that our
parser refuses is not compared, because refusing more is safe. Exit code 1 if a difference is
unexplained.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import h11
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from databricks_app.serving.http.parser import Head, Malformed, RequestParser

_MAX_HEAD_BYTES = 1 << 20
_MAX_SHOWN = 20

Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Meaning:
    """A request as a parser understands it."""

    method: str
    target: bytes
    fields: tuple[Field, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Leniency:
    """A kind of request that our parser accepts and another parser refuses.

    Attributes:
        name: A short description.
        of: The parsers that refuse it.
        reason: Why accepting it is safe.
        explains: Returns whether a request, given as meaning and bytes, is of this kind.
    """

    name: str
    of: tuple[str, ...]
    reason: str
    explains: Callable[[Meaning, bytes], bool]


def _starts(pattern: bytes) -> Callable[[Meaning, bytes], bool]:
    compiled = re.compile(rb"[\r\n]*" + pattern)
    return lambda _meaning, raw: compiled.match(raw) is not None


LENIENCIES = (
    Leniency(
        "more than one space around the target",
        ("h11", "gunicorn"),
        "the target is the same, and no border moves",
        _starts(rb"\S+(?: {2,}\S+ +| +\S+ {2,})\S+\r\n"),
    ),
    Leniency(
        "empty lines, bare line feeds and carriage returns before a request line",
        ("h11", "gunicorn"),
        "RFC 9112, 2.2 asks to ignore empty lines; nothing stands in them",
        lambda _meaning, raw: raw[:1] in (b"\r", b"\n"),
    ),
    Leniency(
        "RTSP/1.0 and ICE/1.0 for HTTP/1.0",
        ("h11", "gunicorn"),
        "llhttp does not tell them apart; the connection ends with the answer",
        _starts(rb"\S+ +\S+ +(?:RTSP|ICE)/"),
    ),
    Leniency(
        "no Host in HTTP/1.1",
        ("h11",),
        "the receiver answers under every name",
        lambda meaning, _raw: b"host" not in dict(meaning.fields),
    ),
    Leniency(
        "an Expect other than 100-continue",
        ("gunicorn",),
        "ignored, as RFC 9110, 10.1.1 allows",
        lambda meaning, _raw: (
            dict(meaning.fields).get(b"expect", b"100-continue").lower() != b"100-continue"
        ),
    ),
    Leniency(
        "a target that begins with *, with any method",
        ("gunicorn",),
        "no such path: 404",
        lambda meaning, _raw: meaning.target[:1] == b"*",
    ),
    Leniency(
        "a trailer field of any name",
        ("gunicorn",),
        "trailers are ignored",
        lambda meaning, raw: (
            b"transfer-encoding" in dict(meaning.fields)
            and re.search(rb"\r\n0+[^\r\n]*\r\n(?:[^\r\n]+\r\n)+\r\n\Z", raw) is not None
        ),
    ),
    Leniency(
        "an authority with brackets in an absolute target",
        ("gunicorn",),
        "only the path decides",
        lambda meaning, _raw: re.match(rb"[^/]+://[^/?]*[\[\]]", meaning.target) is not None,
    ),
    Leniency(
        "a chunk extension without a name or a value",
        ("gunicorn",),
        "extensions are ignored",
        lambda _meaning, raw: re.search(rb"[0-9a-f];[^\r\n]*=?[^\r\n]*\r\n", raw, re.I) is not None,
    ),
    Leniency(
        "a second Content-Type",
        ("gunicorn",),
        "joined to one; the receiver does not look at it",
        lambda meaning, _raw: b"," in dict(meaning.fields).get(b"content-type", b""),
    ),
)


@dataclass(slots=True)
class _Collected:
    """A handler that collects whole requests."""

    whole: list[Meaning] = field(default_factory=list)
    head: Head | None = None
    body: bytearray = field(default_factory=bytearray)
    closes: bool = False

    def on_head(self, head: Head) -> None:
        self.head, self.body = head, bytearray()

    def on_piece(self, piece: bytes) -> None:
        self.body += piece

    def on_end(self) -> None:
        assert self.head is not None  # noqa: S101  # the parser's order
        fields = _joined(list(self.head.fields.items()))
        self.whole.append(Meaning(self.head.method, self.head.target, fields, bytes(self.body)))
        self.closes = self.head.closes


def ours(data: bytes, cuts: list[int]) -> tuple[list[Meaning], bool]:
    """Return the whole requests of our parser, and whether the last one ends the connection."""
    collected = _Collected()
    parser = RequestParser(collected)
    places = [0, *cuts, len(data)]
    try:
        for start, end in itertools.pairwise(places):
            rest = data[start:end]
            while rest:
                rest = parser.feed(rest)
    except Malformed as malformed:
        if malformed.status == 503:
            raise
    return collected.whole, collected.closes


def h11s(data: bytes) -> list[Meaning]:
    """Return the whole requests that h11 finds before it refuses one."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
    found: list[Meaning] = []
    head: h11.Request | None = None
    body = b""
    try:
        server.receive_data(data)
        while True:
            event = server.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                fields = _joined(list(head.headers))
                found.append(Meaning(head.method.decode(), head.target, fields, body))
                server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                server.send(h11.EndOfMessage())
                if head.http_version == b"1.0" and _is_kept(fields):  # which h11 does not know
                    return found + h11s(server.trailing_data[0])
                if server.our_state is not h11.DONE or server.their_state is not h11.DONE:
                    return found
                server.start_next_cycle()
            else:
                return found
    except (h11.ProtocolError, UnicodeDecodeError):
        return found


_CONFIG = Config()
_CONFIG.set("forwarded_allow_ips", "")
_CONFIG.set("limit_request_line", 8190)
_CONFIG.set("header_map", "drop")


def gunicorns(data: bytes) -> list[Meaning]:
    """Return the whole requests that gunicorn's parser finds before it refuses one."""
    found: list[Meaning] = []
    unreader = IterUnreader(iter([data]))
    try:
        for number in range(1, 20):
            request = Request(_CONFIG, unreader, ("192.0.2.1", 1), number)
            body = request.body.read()
            length = dict(request.headers).get("CONTENT-LENGTH")
            if length is not None and len(body) < int(length):
                return found
            headers = [
                (n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in request.headers
            ]
            target = request.uri.encode("latin-1")
            found.append(Meaning(request.method, target, _joined(headers), body))
            # gunicorn reads only the first field `Connection`.
            if request.should_close() and not _is_kept(_joined(headers)):
                return found
    except (ParseException, OSError, StopIteration, ValueError):
        pass
    return found


def _is_kept(fields: tuple[Field, ...]) -> bool:
    """Return whether a client explicitly asks to keep the connection."""
    wishes = dict(fields).get(b"connection", b"").lower().replace(b" ", b"").split(b",")
    return b"keep-alive" in wishes and b"close" not in wishes


def _joined(headers: list[Field]) -> tuple[Field, ...]:
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if b"_" not in name:
            if name == b"transfer-encoding":
                value = value.lower()  # as h11 does
            fields[name] = fields[name] + b"," + value if name in fields else value
    return tuple(sorted(fields.items()))


_LINES = (
    b"Accept: */*", b"Content-Type: application/json", b"X-CIO-Signature: 00",
    b"X-CIO-Timestamp: 1", b"Connection: close", b"Connection: keep-alive", b"Upgrade: h2c",
    b"Connection: upgrade", b"Expect: 100-continue", b"X_CIO_Signature: 1", b"Cookie:", b"A:\tb \t",
    b"Trailer: x", b"TE: trailers", b"Accept: \x80\xff",
)  # fmt: skip
_STARTS = (
    b"POST /a HTTP/1.1", b"POST /a HTTP/1.1", b"GET /b?c=d HTTP/1.1", b"POST /a HTTP/1.0",
    b"OPTIONS * HTTP/1.1", b"PUT http://h/x?y HTTP/1.1", b"POST //a/%2e HTTP/1.1",
)  # fmt: skip
_PIECES = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"1", b"9" * 20, b"-", b"+",
    b"_", b"\xff", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.0",
    b"Transfer-Encoding: identity\r\n", b"chunked, ", b"0\r\n\r\n", b"\r\n\r\n", b"2\r\nab\r\n",
    b"HTTP/1.1", b"HTTP/2.0", b"RTSP/1.0", b"Host: x\r\n", b"Connection: close\r\n",
    b"0x", b"a" * 9,
    b"Content-Length: ", b"Transfer-Encoding : chunked\r\n", b" chunked\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip


def made(chance: random.Random) -> bytes:
    """Return one valid request."""
    lines = [chance.choice(_STARTS), *chance.choices(_LINES, k=chance.randint(0, 5))]
    if chance.random() < 0.9:
        lines.insert(chance.randint(1, len(lines)), b"Host: h")
    body = chance.randbytes(chance.randint(0, 12))
    kind = chance.randrange(4)
    if kind == 0:
        half = len(body) // 2
        pieces = [one for one in (body[:half], body[half:]) if one]
        extension = chance.choice((b"", b"", b";a=b", b';a="b"'))
        trailer = chance.choice((b"", b"", b"X-T: 1\r\n"))
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x%s\r\n%s\r\n" % (len(one), extension, one) for one in pieces)
        body += b"0\r\n" + trailer + b"\r\n"
    elif kind == 1:
        body = b""
    else:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, b"", body))


def changed(data: bytes, chance: random.Random) -> bytes:
    """Change a request in a few places."""
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((0, 0, 1, 1, 2, 8))
        new = chance.choice(
            (b"", chance.choice(_PIECES), chance.choice(_PIECES), chance.randbytes(1))
        )
        data = data[:at] + new + data[at + size :]
    return data


def raws(data: bytes) -> list[bytes]:
    """Return the bytes of each whole request, with the bytes before its request line."""
    collected = _Collected()
    parser = RequestParser(collected)
    found: list[bytes] = []
    start = 0
    try:
        for at in range(len(data)):
            parser.feed(data[at : at + 1])
            if len(collected.whole) > len(found):
                found.append(data[start : at + 1])
                start = at + 1
    except Malformed:
        pass
    return found


def compare(name: str, data: bytes, found: list[Meaning], theirs: list[Meaning]) -> str | None:
    """Return the leniency that explains the first difference.

    It is empty if there is no difference, and None if nothing explains it.
    """
    for number, one in enumerate(found):
        if number < len(theirs):
            if one != theirs[number]:
                return None
            continue
        raw = raws(data)[number]
        for leniency in LENIENCIES:
            if name in leniency.of and leniency.explains(one, raw):
                return leniency.name
        return None
    return ""


def run(count: int, seed: int) -> tuple[Counter[str], list[tuple[str, bytes]]]:
    """Compare the parsers with random inputs.

    Args:
        count: Number of inputs.
        seed: Seed of the random generator.

    Returns:
        The number of inputs by result, and the unexplained differences.
    """
    chance = random.Random(seed)  # noqa: S311  # makes inputs, no secrets
    seen: Counter[str] = Counter()
    unexplained: list[tuple[str, bytes]] = []
    for _ in range(count):
        data = b"".join(made(chance) for _ in range(chance.choice((1, 1, 2, 3))))
        data = changed(data, chance)
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
        found, _ = ours(data, cuts)
        seen["requests accepted"] += len(found)
        seen["inputs accepted in part or whole"] += bool(found)
        if not found:
            continue
        for name, theirs in (("h11", h11s), ("gunicorn", gunicorns)):
            reason = compare(name, data, found, theirs(data))
            if reason is None:
                unexplained.append((name, data))
            seen[f"{name}: " + ("unexplained" if reason is None else reason or "the same")] += 1
    return seen, unexplained


def main() -> int:
    """Compare as the command line says, and print the results."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    started = time.monotonic()
    seen, unexplained = run(count, seed)
    print(f"{count} inputs, seed {seed}, {time.monotonic() - started:.0f} s")
    for name, number in sorted(seen.items()):
        print(f"{number:10d} {name}")
    for name, data in unexplained[:_MAX_SHOWN]:
        print(name, data)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
