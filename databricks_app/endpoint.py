"""The webhook route: its path, and what the receiver and the relay read of a request in one way.

Pure: every part that decides on a path, a length or a signature header asks here, so that all of
them decide the same. Requests are WSGI environs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from core.webhooks.signature import SIGNATURE_PARAMETER, TIMESTAMP_PARAMETER

WEBHOOK_PATH = "/api/webhooks/customerio"

# With every 503; Customer.io decides by itself when it comes again, other senders may obey.
RETRY_AFTER_SECONDS = 5
# A body longer than CIO_MAX_BODY_BYTES times this is refused.
LARGEST_FACTOR = 8

_SEGMENTS = WEBHOOK_PATH.strip("/").split("/")
_MOST_DIGITS = 18
_MOST_PARAMETERS = 8

Claims = tuple[bytes | None, bytes | None]


def is_webhook_path(path: str) -> bool:
    """Whether a path means the webhook route.

    Customer.io waits an hour after a 404, so a slip in the configured address must not cause one:
    more slashes anywhere and upper case mean the same path. Everything else is another path, also
    what some servers would resolve: `.` and `..` segments, `;` parameters, white space.

    Args:
        path: Without the query, percent-encoding decoded once. An encoded slash is a slash by
            then; what was encoded twice is another path.
    """
    if path == WEBHOOK_PATH:
        return True
    # `lower` turns some other letters into ASCII ones, as the Kelvin sign into k.
    return path.isascii() and [one for one in path.lower().split("/") if one] == _SEGMENTS


def header(environ: Mapping[str, Any], name: str) -> bytes | None:
    """Return a header as received; None without it.

    Args:
        environ: The request.
        name: As WSGI names it, e.g. `CONTENT_TYPE` or `HTTP_HOST`.
    """
    value = environ.get(name)
    return None if value is None else str(value).encode("latin-1", "replace")


def signature_headers(environ: Mapping[str, Any]) -> Claims:
    """Return the headers `X-CIO-Signature` and `X-CIO-Timestamp` as received."""
    return header(environ, "HTTP_X_CIO_SIGNATURE"), header(environ, "HTTP_X_CIO_TIMESTAMP")


def signature_query(signature: bytes, timestamp: bytes) -> str:
    """Return the query string that carries signature and timestamp; see `signature_in_query`."""
    return urlencode({SIGNATURE_PARAMETER: signature, TIMESTAMP_PARAMETER: timestamp})


def signature_in_query(query: str) -> Claims:
    """Return signature and timestamp of a query string; one that stands there twice is missing."""
    try:
        given = parse_qs(query, max_num_fields=_MOST_PARAMETERS, encoding="latin-1")
    except ValueError:
        return None, None

    def only(name: str) -> bytes | None:
        values = given.get(name, ())
        return values[0].encode("latin-1") if len(values) == 1 else None

    return only(SIGNATURE_PARAMETER), only(TIMESTAMP_PARAMETER)


def content_length(environ: Mapping[str, Any]) -> int | None:
    """Return the length of the body in bytes; None if it is not known.

    A length that is no number decides nothing: such a body is read to its end.
    """
    text = str(environ.get("CONTENT_LENGTH") or "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else None


def bytes_to_read(length: int | None, total: int, most: int) -> int:
    """Return how many bytes to ask the stream of a body for; 0 at its end.

    A server's stream may wait for all that is asked of it, so no more than the rest is asked for.

    Args:
        length: Of the body; None if it is not known.
        total: Bytes read so far.
        most: Bytes to ask for at once.
    """
    return most if length is None else max(0, min(most, length - total))
