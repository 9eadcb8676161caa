"""Declare operations: which may be repeated, and which rate limit they have. Pure."""

from __future__ import annotations

from core.http.exchange import Operation
from core.http.rate_limits import Rate

# Source: https://docs.customer.io/integrations/api/app/ and, for Design Studio,
# https://docs.customer.io/integrations/api/app/tag/design-studio-emails/previewemail/
RATES = {
    "default": Rate(limit=10, per_seconds=1.0),
    "transactional": Rate(limit=3000, per_seconds=3.0),
    "broadcast_trigger": Rate(limit=1, per_seconds=10.0),
    "archived_message": Rate(limit=100, per_seconds=86_400.0),
    "design_studio": Rate(limit=5, per_seconds=1.0),
    "download": Rate(limit=10, per_seconds=1.0),
}


def declare(
    name: str,
    method: str,
    path: str,
    *,
    rate: str = "default",
    is_repeatable: bool | None = None,
) -> Operation:
    """Declare an operation.

    Args:
        name: The vendor's `operationId`.
        method: In upper case.
        path: With ids in braces, as the specification spells them.
        rate: One of `RATES`.
        is_repeatable: Whether executing it twice does no harm. By default True except for POST;
            a POST that only searches sets True.
    """
    # The vendor has no idempotency key, so a second POST sends or creates a second time.
    repeatable = method != "POST" if is_repeatable is None else is_repeatable
    return Operation(name, method, path, is_repeatable=repeatable, rate=rate)
