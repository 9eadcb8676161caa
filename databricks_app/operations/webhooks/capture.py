"""Read a captured webhook request from the text that a tool shows: HTTP, or a curl command.

No error shows a part of the request.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from databricks_app.errors import ReceiverError

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\r?\n", re.ASCII)
_HEADER_OPTIONS = ("-H", "--header")
_DATA_OPTIONS = ("-d", "--data", "--data-ascii", "--data-raw", "--data-binary")


class CaptureError(ReceiverError):
    """The text is not a complete request; the error says what is missing."""


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """A captured request.

    Attributes:
        body: The whole body.
        signature: Header `X-CIO-Signature`; None if it is missing.
        timestamp: Header `X-CIO-Timestamp`; None if it is missing.
    """

    body: bytes = field(repr=False)
    signature: bytes | None = None
    timestamp: bytes | None = None


def captured(content: bytes, read_file: Callable[[str], bytes]) -> CapturedRequest:
    """Read a captured request.

    Args:
        content: A request as HTTP/1.1 sends it, with CRLF or LF, or a curl command.
        read_file: Returns the content of a file that a curl command names.

    Raises:
        CaptureError: It is neither, or the body is not complete.
        OSError: From `read_file`.
    """
    if content.lstrip().startswith(b"curl "):
        return _from_curl(content, read_file)
    end = _END_OF_HEADERS.search(content)
    if end is None:
        raise CaptureError(
            "there is no empty line between headers and body. Give the request as HTTP sends it, "
            "or use --body, --timestamp and --signature"
        )
    headers = _headers(content[: end.start()].splitlines())
    return _request(headers, _body(headers, content[end.end() :]))


def _body(headers: dict[bytes, bytes], rest: bytes) -> bytes:
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        return _without_chunks(rest)
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or len(length) > len(str(1 << 40)):
        return rest
    if len(rest) < int(length):
        raise CaptureError(
            f"the body has {len(rest)} bytes, and Content-Length says {int(length)}: the capture "
            "is not complete, or a tool has changed it"
        )
    return rest[: int(length)]


def _without_chunks(rest: bytes) -> bytes:
    """Join the chunks of a body; a tool may have done that already."""
    pieces: list[bytes] = []
    at = 0
    while size := _SIZE.match(rest, at):
        length = int(size[1], 16)
        if not length:
            return b"".join(pieces)
        at = size.end() + length
        pieces.append(rest[size.end() : at])
        at += len(rest[at : at + 2]) - len(rest[at : at + 2].lstrip(b"\r\n"))
    if pieces:
        raise CaptureError("the last chunk of the body is missing: the capture is not complete")
    return rest


def _from_curl(content: bytes, read_file: Callable[[str], bytes]) -> CapturedRequest:
    try:
        # Every byte survives, also one that is not UTF-8.
        words = shlex.split(content.decode(errors="surrogateescape"))
    except ValueError:
        raise CaptureError("the quotes of the curl command do not match") from None
    headers: list[bytes] = []
    bodies: list[bytes] = []
    options = iter(words[1:])
    for word in options:
        name, mark, given = word.partition("=") if word.startswith("--") else (word, "", "")
        if name not in (*_HEADER_OPTIONS, *_DATA_OPTIONS):
            continue
        value = given if mark else next(options, "")
        if name in _HEADER_OPTIONS:
            headers.append(_bytes(value))
        else:
            bodies.append(_data(name, value, read_file))
    if not bodies:
        raise CaptureError("the curl command has no body (--data-raw or --data-binary)")
    return _request(_headers(headers), b"&".join(bodies))


def _data(option: str, value: str, read_file: Callable[[str], bytes]) -> bytes:
    """Return what curl sends for an option."""
    if not value.startswith("@") or option == "--data-raw":
        if value.startswith("$"):
            raise CaptureError(
                "the body of the curl command is written as $'...': put it into a file and use "
                "--body, --timestamp and --signature"
            )
        return _bytes(value)
    content = read_file(value[1:])
    if option == "--data-binary":
        return content
    return content.translate(None, b"\r\n\0")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    """Return the headers by lower-case name; the values of a repeated one are joined."""
    found: dict[bytes, bytes] = {}
    for line in lines:
        name, mark, value = line.partition(b":")
        if mark:
            key = name.strip().lower()
            found[key] = b",".join((found[key], value.strip())) if key in found else value.strip()
    return found


def _request(headers: dict[bytes, bytes], body: bytes) -> CapturedRequest:
    return CapturedRequest(body, headers.get(b"x-cio-signature"), headers.get(b"x-cio-timestamp"))
