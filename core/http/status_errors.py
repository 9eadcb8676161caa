"""From an answer that is a failure to the error of its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContentTooLargeError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    RedirectError,
    ServerError,
    UnprocessableError,
)
from core.http.responses import Response, retry_after_seconds, vendor_messages
from core.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: ContentTooLargeError,
    422: UnprocessableError,
    429: RateLimitError,
}


def _class_of(status: int) -> type[ApiError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return RedirectError
    return ServerError if status >= 500 else ApiError


def from_response(
    response: Response,
    *,
    operation: str,
    attempts: int,
    now: datetime,
    scrub: Callable[[str], str] = str,
) -> ApiError:
    """Make the error of an answer that is a failure.

    Args:
        response: The answer.
        operation: The vendor's name of the call.
        attempts: How often it was sent.
        now: For `Retry-After` with a date; aware.
        scrub: Takes the key out of the server's words.
    """
    kind = _class_of(response.status)
    words = [scrub(text) for text in vendor_messages(response)]
    message = "; ".join(words) or None
    said = f' "{redacted(message)}"' if message else " (no message)"
    id_ = scrub(response.request_id) if response.request_id else None
    tail = f" Request id: {redacted(id_)}." if id_ else ""
    error = kind(
        f"{operation}: status {response.status}{said}. {kind.advice}{tail}",
        operation=operation,
        attempts=attempts,
        retry_after_seconds=retry_after_seconds(response, now),
        status=response.status,
        vendor_message=message,
        body=scrub(response.body.decode(errors="replace"))[:65_536],
        request_id=id_,
    )
    error.is_outcome_unknown = error.is_outcome_unknown or response.status == 408
    return error
