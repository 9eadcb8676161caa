"""Log the attempts of calls. A line has the name of the operation, never a URL or a payload."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.http.exchange import Attempt

# The name under which users know it.
logger = logging.getLogger("core.http.client")


def log_attempt(attempt: Attempt) -> None:
    """Log an attempt at debug level, or as a warning if it is repeated."""
    # The last attempt is not a warning: its error reaches the caller.
    level = logging.DEBUG if attempt.retry_in_seconds is None else logging.WARNING
    if not logger.isEnabledFor(level):
        return
    logger.log(
        level,
        "%s attempt %d: %s after %.3f s%s",
        attempt.operation,
        attempt.number,
        attempt.status or attempt.failure,
        attempt.elapsed_seconds,
        ""
        if attempt.retry_in_seconds is None
        else f", next attempt in {attempt.retry_in_seconds:.2f} s",
    )
