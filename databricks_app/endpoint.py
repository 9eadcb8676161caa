"""The path of the webhook route, and how a request is read.

Receiver and relay both use these functions, so that both decide in the same way about a path, a
length or a signature header. Requests are WSGI environs. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from core.webhooks.signature import SIGNATURE_PARAMETER, TEST_HEADER, TIMESTAMP_PARAMETER

WEBHOOK_PATH = "/api/webhooks/customerio"

# Sent with every 503. Customer.io has its own schedule for retries; other senders may use this.
RETRY_AFTER_SECONDS = 5
# A body longer than CIO_MAX_BODY_BYTES times this is answered 413.
LARGEST_FACTOR = 8

TEST_ENVIRON = "HTTP_" + TEST_HEADER.upper().replace("-", "_")
"""The WSGI name of the header that marks our own requests."""

_SEGMENTS = WEBHOOK_PATH.strip("/").split("/")
# More digits than any real length has, and still a 64-bit integer.
_MAX_DIGITS = 18
# The query of a webhook request has two parameters; a few more may come from a proxy.
_MAX_PARAMETERS = 8

Claims = tuple[bytes | None, bytes | None]


def is_webhook_path(path: str) -> bool:
    """Return whether a path is the webhook route.

    Extra slashes and upper case are accepted. `.` and `..` segments, `;` parameters and white
    space are not resolved: such a path is another path.

    Args:
        path: Without the query, percent-encoding decoded once. So an encoded slash counts as a
            slash, and a slash that was encoded twice does not.
    """
    if path == WEBHOOK_PATH:
        return True
    # Customer.io waits an hour after a 404, so a small mistake in the configured address must not
    # cause one. `isascii` first: `lower` turns some other letters into ASCII ones (the Kelvin sign
    # becomes k).
    return path.isascii() and [one for one in path.lower().split("/") if one] == _SEGMENTS


def header(environ: Mapping[str, Any], name: str) -> bytes | None:
    """Return the bytes of a header as received; None if it is missing.

    Args:
        environ: The request.
        name: The WSGI name, e.g. `CONTENT_TYPE` or `HTTP_HOST`.
    """
    value = environ.get(name)
    return None if value is None else str(value).encode("latin-1", "replace")


def signature_headers(environ: Mapping[str, Any]) -> Claims:
    """Return the headers `X-CIO-Signature` and `X-CIO-Timestamp` as received."""
    return header(environ, "HTTP_X_CIO_SIGNATURE"), header(environ, "HTTP_X_CIO_TIMESTAMP")


def is_test(value: bytes | None) -> bool:
    """Return whether this value of `X-Ciolake-Test` marks a request as ours."""
    return value == b"1"


def signature_query(signature: bytes, timestamp: bytes) -> str:
    """Return the query string that carries signature and timestamp; see `signature_in_query`."""
    return urlencode({SIGNATURE_PARAMETER: signature, TIMESTAMP_PARAMETER: timestamp})


def signature_in_query(query: str) -> Claims:
    """Return signature and timestamp of a query string; None for a missing or repeated one."""
    try:
        given = parse_qs(query, max_num_fields=_MAX_PARAMETERS, encoding="latin-1")
    except ValueError:
        return None, None

    def only(name: str) -> bytes | None:
        values = given.get(name, ())
        return values[0].encode("latin-1") if len(values) == 1 else None

    return only(SIGNATURE_PARAMETER), only(TIMESTAMP_PARAMETER)


def content_length(environ: Mapping[str, Any]) -> int | None:
    """Return the length of the body in bytes; None if it is unknown or not a number."""
    text = str(environ.get("CONTENT_LENGTH") or "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else None


def bytes_to_read(length: int | None, total: int, most: int) -> int:
    """Return how many bytes to read next from the stream of a body; 0 at its end.

    Args:
        length: Length of the body in bytes; None if it is unknown.
        total: Bytes read so far.
        most: Largest number of bytes for one read.
    """
    # `read(n)` of some servers blocks until n bytes have come: never ask for more than the rest.
    return most if length is None else max(0, min(most, length - total))
