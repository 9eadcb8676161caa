"""HTTP/1.x requests from bytes: httptools finds the parts, this module sets the limits.

Pure: no socket, no clock. The parser calls `ParserCallbacks` as parts arrive, so that a
body never has to be in memory as a whole.

What httptools (llhttp) leaves to its user and this module does: limits of the request target, of
one field, of the head and of the number of fields, also while they are incomplete; a bound for
chunk extensions and trailers; a body after `Connection: Upgrade`, which llhttp reports as a request
without a body; trailers, which llhttp reports as header fields; other transfer codings, other
versions, `CONNECT` and a second `Host`, which are refused; fields with an underscore in their name,
which WSGI would take for the ones with a hyphen, are dropped.

Leniencies that stay, all of llhttp's, none of them able to move the border between two requests:

- more than one space around the request target;
- empty lines before a request line, bare line feeds and carriage returns among them;
- `RTSP/1.0` and `ICE/1.0` are read as HTTP/1.0;
- an HTTP/1.1 request without `Host` (ours; the receiver answers under every name);
- an `Expect` other than `100-continue` (ours) is ignored;
- the methods that llhttp knows and others do not, as `SOURCE` and `QUERY`;
- a second `Content-Type`, a target that begins with `*`, whatever the method, brackets in the
  authority of an absolute target, a chunk extension without a name or a value, and a trailer of any
  name: none of them decides anything;
- `keep-alive` in any of several `Connection` fields of an HTTP/1.0 request.

`python -m benchmarks.http_fuzz` compares all this with h11 and with gunicorn's parser.
"""

from __future__ import annotations

from typing import Protocol

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from databricks_app.runtime.logs import raised_at

TARGET_BYTES = 4096
FIELD_BYTES = 8190
FIELDS = 100
HEAD_BYTES = 64 << 10
# Of requests that were sent ahead no more is parsed at once than fits in a piece of this size.
PIECE_BYTES = 4096

_VERSIONS = frozenset(("1.0", "1.1"))


class Malformed(Exception):  # noqa: N818  # a client's fault, not ours
    """Bytes that are no request we take; the connection cannot go on.

    Attributes:
        status: What to answer: 400, 414, 431 or 501; 503 if the handler failed.
        kind: A word for the log; nothing that the client wrote.
    """

    def __init__(self, status: int, kind: str) -> None:
        """Keep status and kind."""
        super().__init__(kind)
        self.status = status
        self.kind = kind


class Head:
    """Request line and header fields.

    Attributes:
        method: In upper case.
        target: As received: path, query and all.
        version: `1.0` or `1.1`.
        fields: Values by lower-case name, without the white space around them; the values of
            doubled names are joined by commas, as WSGI servers do.
        length: Bytes of the body; None if it comes in chunks.
        closes: Whether the client wants the connection to end with the answer.
    """

    __slots__ = ("closes", "fields", "length", "method", "target", "version")

    def __init__(
        self,
        method: str,
        target: bytes,
        version: str,
        fields: dict[bytes, bytes],
        closes: bool,
    ) -> None:
        """Take the parts; the length follows from the fields."""
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.closes = closes
        self.length = (
            None if b"transfer-encoding" in fields else int(fields.get(b"content-length", b"0"))
        )

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        expected = self.fields.get(b"expect")
        return expected is not None and self.version == "1.1" and expected.lower() == _CONTINUE


_CONTINUE = b"100-continue"


def _fault(error: BaseException | None) -> str:
    return "unknown" if error is None else f"{type(error).__name__} at {raised_at(error)}"


class ParserCallbacks(Protocol):
    """What a parser calls, in the order of the requests."""

    def on_head(self, head: Head) -> None:
        """Begin a request."""
        ...

    def on_piece(self, piece: bytes) -> None:
        """Take the next bytes of its body."""
        ...

    def on_end(self) -> None:
        """End it: its body is complete."""
        ...


class RequestParser:
    """Parses one connection's requests."""

    __slots__ = (
        "_ends",
        "_fields",
        "_handler",
        "_is_head",
        "_is_muted",
        "_is_over",
        "_is_upgrade",
        "_left",
        "_number",
        "_parser",
        "_quiet",
        "_refusal",
        "_target",
        "is_within",
    )

    def __init__(self, handler: ParserCallbacks) -> None:
        """Begin before the first request.

        Args:
            handler: Should not raise; if it does, the request is `Malformed` with status 503.

        Attributes:
            is_within: Whether a request has begun and is not complete.
        """
        self._handler = handler
        self._parser = HttpRequestParser(self)
        self._refusal: Malformed | None = None
        self._is_muted = self._is_upgrade = self._is_over = self.is_within = False
        self._is_head = True
        self._ends = self._left = self._number = self._quiet = 0
        self._target = b""
        self._fields: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> bytes:
        """Parse, and stop soon after the end of a request.

        Returns:
            What was not parsed, because a request is complete: to be fed when it is answered.
            After a request that ends the connection everything is ignored.

        Raises:
            Malformed: The bytes are no request that we take. The parser has no further use.
        """
        size = len(data)
        if size <= PIECE_BYTES:
            self._execute(data)
            return b""
        view = memoryview(data)
        ends = self._ends
        at = 0
        while at < size:
            if self._ends != ends:
                return data[at:]
            end = at + max(PIECE_BYTES, self._left)
            self._execute(view[at:end])
            at = end
        return b""

    def _execute(self, data: bytes | memoryview) -> None:
        if self._is_over and not self.is_within:
            return
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if self._refusal is not None:
                raise self._refusal from None
            self._pass_over_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            if self._is_over and not self.is_within:
                return
            if not isinstance(error, HttpParserCallbackError):
                raise Malformed(400, "syntax") from None
            raise self._refusal or Malformed(503, _fault(error.__context__)) from None
        if self._quiet > HEAD_BYTES:
            raise Malformed(431, "head")

    def _pass_over_upgrade(self, rest: bytes | memoryview) -> None:
        """Go on with the body of a request that asks for another protocol.

        We speak no other, so that the request stays HTTP (RFC 9110, 7.8), and so does its body:
        a parser of its own is told the framing, and nothing of the rest.
        """
        self._is_upgrade = False
        framing = b"Content-Length: %d" % self._left
        if b"transfer-encoding" in self._fields:
            framing = b"Transfer-Encoding: chunked"
        if self._is_over:
            framing += b"\r\nConnection: close"
        self._parser = HttpRequestParser(self)
        self._is_muted = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        if len(rest):
            self._execute(rest)

    # httptools calls these.

    def on_message_begin(self) -> None:
        """Forget the request before; after the last one there is none."""
        if self._is_muted:
            return
        if self._is_over:
            raise EOFError
        self.is_within = self._is_head = True
        self._target = b""
        self._fields = {}
        self._number = 0

    def on_url(self, piece: bytes) -> None:
        """Take the next bytes of the request target: it may come in pieces."""
        if self._is_muted:
            return
        self._target += piece
        if len(self._target) > TARGET_BYTES:
            self._refuse(414, "target")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; trailers, which come after the body, add none."""
        if self._is_muted or not self._is_head:
            return
        self._number += 1
        if self._number > FIELDS or len(name) + len(value) > FIELD_BYTES:
            self._refuse(431, "field")
        if b"_" in name:
            return
        name = name.lower()
        value = value.strip(b" \t")
        known = self._fields.get(name)
        if known is not None:
            if name == b"host":
                self._refuse(400, "hosts")
            value = known + b"," + value
        self._fields[name] = value

    def on_headers_complete(self) -> None:
        """Begin the request, or refuse it."""
        if self._is_muted:
            self._is_muted = False
            return
        parser = self._parser
        version = parser.get_http_version()
        fields = self._fields
        if version not in _VERSIONS:
            self._refuse(400, "version")
        method = parser.get_method().decode("ascii")
        if method == "CONNECT":
            self._refuse(501, "method")
        coding = fields.get(b"transfer-encoding")
        if coding is not None:
            if version == "1.0":
                self._refuse(400, "coding")
            if coding.lower() != b"chunked":
                self._refuse(501, "coding")
        self._is_upgrade = parser.should_upgrade()
        # llhttp lets `keep-alive` win over `close` in HTTP/1.0.
        wishes = fields.get(b"connection", b"").lower().replace(b" ", b"").split(b",")
        closes = not parser.should_keep_alive() or b"close" in wishes
        head = Head(method, self._target, version, fields, closes)
        self._is_head = False
        self._is_over = head.closes
        self._left = head.length or 0
        self._quiet = 0
        self._handler.on_head(head)

    def on_body(self, piece: bytes) -> None:
        """Pass on a piece of the body."""
        self._quiet = 0
        if self._left:
            self._left -= len(piece)
        self._handler.on_piece(piece)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._is_upgrade:
            return  # its body follows: see `_pass_over_upgrade`
        self._ends += 1
        self.is_within = False
        self._quiet = 0
        self._handler.on_end()

    def _refuse(self, status: int, kind: str) -> None:
        self._refusal = Malformed(status, kind)
        raise self._refusal
