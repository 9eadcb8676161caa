"""Parses HTTP/1.x requests. httptools (llhttp) finds the parts, this module sets the limits.

Pure: no socket, no clock. The parser calls `ParserCallbacks` as parts arrive, so that a complete
body need not be in memory.

llhttp leaves these tasks to its user, so this module

- limits the request target, each field, the number of fields and the head, also while they are
  incomplete, and limits chunk extensions and trailers;
- reads the body after `Connection: Upgrade` (llhttp reports such a request without a body);
- ignores trailers (llhttp reports them as header fields);
- refuses other transfer codings, other versions, `CONNECT` and a second `Host`;
- drops fields with an underscore in their name: WSGI has the same name for `a_b` and `a-b`.

These lenient cases of llhttp are accepted. None of them can move the border between two requests:

- more than one space around the request target;
- empty lines before a request line, with bare line feeds or carriage returns too;
- `RTSP/1.0` and `ICE/1.0`, which are read as HTTP/1.0;
- an HTTP/1.1 request without `Host`: the receiver answers under every name;
- an `Expect` other than `100-continue`, which is ignored;
- methods that only llhttp knows, such as `SOURCE` and `QUERY`;
- a second `Content-Type`, a target that begins with `*` for any method, brackets in the authority
  of an absolute target, a chunk extension without a name or a value, and any trailer: nothing
  depends on them;
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
# httptools cannot stop at the end of a request. Small pieces limit how many of the requests that
# a client has sent ahead are parsed before the first one is answered.
PIECE_BYTES = 4096

_VERSIONS = frozenset(("1.0", "1.1"))


class Malformed(Exception):  # noqa: N818  # the client's fault, not ours
    """Bytes that are not an acceptable request; the connection has to end.

    Attributes:
        status: Status of the answer: 400, 414, 431 or 501; 503 if the handler failed.
        kind: A word for the log. It quotes nothing from the client.
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
        target: Path and query as received.
        version: `1.0` or `1.1`.
        fields: Values by lower-case name, without surrounding white space. The values of a
            repeated name are joined by commas, as WSGI servers do.
        length: Length of the body in bytes; None if it is chunked.
        closes: Whether the client wants the connection to end after the answer.
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
        """Keep the parts; the length comes from the fields."""
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


class ParserCallbacks(Protocol):
    """The methods that a parser calls, in the order of the requests."""

    def on_head(self, head: Head) -> None:
        """Start a request."""
        ...

    def on_piece(self, piece: bytes) -> None:
        """Handle the next bytes of the body."""
        ...

    def on_end(self) -> None:
        """End the request: its body is complete."""
        ...


class RequestParser:
    """Parses the requests of one connection."""

    __slots__ = (
        "_body_left",
        "_ends",
        "_fields",
        "_handler",
        "_has_last_request",
        "_idle_bytes",
        "_ignores_head",
        "_is_head",
        "_is_upgrade",
        "_number",
        "_parser",
        "_refusal",
        "_target",
        "is_within",
    )

    def __init__(self, handler: ParserCallbacks) -> None:
        """Start before the first request.

        Args:
            handler: Should not raise. If it does, `feed` raises `Malformed` with status 503.

        Attributes:
            is_within: Whether a request has begun and is not complete.
        """
        self._handler = handler
        self._parser = HttpRequestParser(self)
        # `_has_last_request`: a request has ended the connection, so ignore what follows.
        # `_ignores_head`: the parser reads the head that `_ignore_upgrade` has made.
        # `_idle_bytes`: bytes since the last head, piece of a body or end of a request.
        self._refusal: Malformed | None = None
        self._ignores_head = self._is_upgrade = self._has_last_request = self.is_within = False
        self._is_head = True
        self._ends = self._body_left = self._number = self._idle_bytes = 0
        self._target = b""
        self._fields: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> bytes:
        """Parse bytes, and stop soon after the end of a request.

        All bytes after a request that ends the connection are ignored.

        Returns:
            The bytes that were not parsed because a request is complete. Feed them when it is
            answered.

        Raises:
            Malformed: The bytes are not an acceptable request. The parser cannot be used again.
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
            end = at + max(PIECE_BYTES, self._body_left)
            self._execute(view[at:end])
            at = end
        return b""

    def _execute(self, data: bytes | memoryview) -> None:
        if self._has_last_request and not self.is_within:
            return
        self._idle_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if self._refusal is not None:
                raise self._refusal from None
            self._ignore_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            if self._has_last_request and not self.is_within:
                return
            if not isinstance(error, HttpParserCallbackError):
                raise Malformed(400, "syntax") from None
            raised = error.__context__
            fault = f"{type(raised).__name__} at {raised_at(raised)}" if raised else "unknown"
            raise self._refusal or Malformed(503, fault) from None
        if self._idle_bytes > HEAD_BYTES:
            raise Malformed(431, "head")

    def _ignore_upgrade(self, rest: bytes | memoryview) -> None:
        """Continue with the body of a request that asks for another protocol."""
        # A server may ignore `Upgrade` (RFC 9110, 7.8); the request and its body stay HTTP. llhttp
        # stops here, so a new parser gets a head with the same framing and then the body.
        self._is_upgrade = False
        framing = b"Content-Length: %d" % self._body_left
        if b"transfer-encoding" in self._fields:
            framing = b"Transfer-Encoding: chunked"
        if self._has_last_request:
            framing += b"\r\nConnection: close"
        self._parser = HttpRequestParser(self)
        self._ignores_head = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        if len(rest):
            self._execute(rest)

    # httptools calls these.

    def on_message_begin(self) -> None:
        """Drop the previous request."""
        if self._ignores_head:
            return
        if self._has_last_request:
            raise EOFError  # `_execute` ignores what follows the last request
        self.is_within = self._is_head = True
        self._target = b""
        self._fields = {}
        self._number = 0

    def on_url(self, piece: bytes) -> None:
        """Add the next bytes of the request target, which may come in pieces."""
        if self._ignores_head:
            return
        self._target += piece
        if len(self._target) > TARGET_BYTES:
            self._refuse(414, "target")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field; ignore trailers, which come after the body."""
        if self._ignores_head or not self._is_head:
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
        """Start the request, or refuse it."""
        if self._ignores_head:
            self._ignores_head = False
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
        # If both are there in HTTP/1.0, llhttp decides for `keep-alive`; we decide for `close`.
        options = fields.get(b"connection", b"").lower().replace(b" ", b"").split(b",")
        closes = not parser.should_keep_alive() or b"close" in options
        head = Head(method, self._target, version, fields, closes)
        self._is_head = False
        self._has_last_request = head.closes
        self._body_left = head.length or 0
        self._idle_bytes = 0
        self._handler.on_head(head)

    def on_body(self, piece: bytes) -> None:
        """Pass on a piece of the body."""
        self._idle_bytes = 0
        if self._body_left:
            self._body_left -= len(piece)
        self._handler.on_piece(piece)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._is_upgrade:
            return  # the body follows: see `_ignore_upgrade`
        self._ends += 1
        self.is_within = False
        self._idle_bytes = 0
        self._handler.on_end()

    def _refuse(self, status: int, kind: str) -> None:
        self._refusal = Malformed(status, kind)
        raise self._refusal
