"""When a failed call is tried again, and after how long.

Pure. Two failures are safe to repeat whatever the call does, because it was certainly not done:
a connection that was never established, and the status 429. All other failures worth a retry
leave the outcome unknown; they are repeated only if doing the call twice does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The statuses that Customer.io's own clients take for passing: customerio-node 5.2.0.
PASSING = frozenset({408, 429, 500, 502, 503, 504, 522, 524})

Kind = Literal["not_connected", "no_answer", "unreadable_call"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that got no answer.

    Attributes:
        kind: `not_connected`: it cannot have arrived. `no_answer`: it may have.
            `unreadable_call`: it cannot be sent at all, a retry is no use.
        reason: The transport's name for it.
    """

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is.

    Attributes:
        attempts: How often a call is sent at most; 1 means no retries.
        base_seconds: The upper bound of the first wait; it doubles with each attempt.
        cap_seconds: The upper bound of any wait that the server did not ask for.
        patience_seconds: A longer `Retry-After`, or a longer wait for the rate class, is left to
            the caller.
        total_seconds: No retry begins later than this after the first attempt.
    """

    attempts: int = 4
    base_seconds: float = 0.25
    cap_seconds: float = 8.0
    patience_seconds: float = 60.0
    total_seconds: float = 120.0


NO_RETRIES = RetryPolicy(attempts=1)


def may_repeat(failed: int | Failure, *, is_repeatable: bool) -> bool:
    """Decide whether a failure is worth a retry, and a retry is harmless.

    Args:
        failed: The status of the answer, or why there was none.
        is_repeatable: Whether doing the call twice does no harm.
    """
    if isinstance(failed, Failure):
        return failed.kind == "not_connected" or (failed.kind == "no_answer" and is_repeatable)
    return failed == 429 or (failed in PASSING and is_repeatable)


def wait_seconds(
    policy: RetryPolicy,
    *,
    attempt: int,
    elapsed_seconds: float,
    retry_after_seconds: float | None,
    random: float,
) -> float | None:
    """Choose the wait before the next attempt: full jitter, never less than the server asks for.

    Args:
        policy: The limits.
        attempt: Which attempt failed; the first is 1.
        elapsed_seconds: Since the first attempt began.
        retry_after_seconds: What the server asks for, if it does.
        random: Evenly distributed in [0, 1).

    Returns:
        Seconds; None if the call is given up.
    """
    if attempt >= policy.attempts:
        return None
    ceiling = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(attempt - 1, 60))
    wait = random * ceiling
    if retry_after_seconds is not None:
        if retry_after_seconds > policy.patience_seconds:
            return None
        # A little later than asked for, so that many waiting clients do not return at once.
        wait = retry_after_seconds + random * policy.base_seconds
    return wait if elapsed_seconds + wait <= policy.total_seconds else None
