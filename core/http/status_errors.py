"""Turn an answer with a failure status into the error class of that status. Pure."""

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
    NotSupportedError,
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
    501: NotSupportedError,
}


def from_response(
    response: Response,
    *,
    operation: str,
    attempts: int,
    now: datetime,
    scrub: Callable[[str], str] = str,
) -> ApiError:
    """Create the error for a failed answer.

    Args:
        response: The answer.
        operation: The vendor's name of the call.
        attempts: How often the call was sent.
        now: The current time with a time zone; used if `Retry-After` is a date.
        scrub: Removes the key from a text.
    """
    status = response.status
    if 300 <= status < 400:
        kind: type[ApiError] = RedirectError
    else:
        kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    message = "; ".join(scrub(text) for text in vendor_messages(response)) or None
    quoted = f'"{redacted(message)}"' if message else "(no message)"
    id_ = scrub(response.request_id) if response.request_id else None
    id_text = f" Request id: {redacted(id_)}." if id_ else ""
    error = kind(
        f"{operation}: status {status} {quoted}. {kind.advice}{id_text}",
        operation=operation,
        attempts=attempts,
        retry_after_seconds=retry_after_seconds(response, now),
        status=status,
        vendor_message=message,
        body=scrub(response.body.decode(errors="replace"))[:65_536],
        request_id=id_,
    )
    # 408: the server stopped waiting for the request. It may have executed it.
    error.is_outcome_unknown = error.is_outcome_unknown or status == 408
    return error
