"""The rules for retries: when a failed call is repeated, and after how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The statuses that Customer.io's own client repeats: customerio-node 5.2.0.
PASSING = frozenset({408, 429, 500, 502, 503, 504, 522, 524})

Kind = Literal["not_connected", "no_answer", "unreadable_call"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that got no answer.

    Attributes:
        kind: `not_connected`: the call did not arrive. `no_answer`: it may have arrived.
            `unreadable_call`: it cannot be sent at all, and a retry would fail too.
        reason: The name of the transport's exception.
    """

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a client repeats a call.

    Attributes:
        attempts: How often a call is sent at most; 1 means no retries.
        base_seconds: The maximum of the first wait. It doubles with each attempt.
        cap_seconds: The maximum of any wait that the server did not ask for.
        max_wait_seconds: The longest `Retry-After`, and the longest wait for the rate limit, that
            the client waits for. If it is longer, the call fails.
        total_seconds: No retry starts later than this after the first attempt.
    """

    attempts: int = 4
    base_seconds: float = 0.25
    cap_seconds: float = 8.0
    max_wait_seconds: float = 60.0
    total_seconds: float = 120.0


NO_RETRIES = RetryPolicy(attempts=1)


def may_repeat(failed: int | Failure, *, is_repeatable: bool) -> bool:
    """Decide whether a failed call may be sent again.

    Args:
        failed: The status of the answer, or why there was no answer.
        is_repeatable: Whether executing the call twice does no harm.
    """
    # After `not_connected` and 429 the vendor certainly did not execute the call, so every call may
    # be repeated. After other failures the outcome is unknown.
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
    """Choose the wait before the next attempt: full jitter, at least what the server asks for.

    Args:
        policy: The limits.
        attempt: The number of the failed attempt; the first is 1.
        elapsed_seconds: Since the first attempt started.
        retry_after_seconds: The wait that the server asks for; None if it does not.
        random: Uniformly distributed in [0, 1).

    Returns:
        Seconds; None if there is no further attempt.
    """
    if attempt >= policy.attempts:
        return None
    # The exponent is limited because a large one overflows a float.
    ceiling = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(attempt - 1, 60))
    wait = random * ceiling
    if retry_after_seconds is not None:
        if retry_after_seconds > policy.max_wait_seconds:
            return None
        # A little longer than the server asks for, so that waiting clients do not return together.
        wait = retry_after_seconds + random * policy.base_seconds
    return wait if elapsed_seconds + wait <= policy.total_seconds else None
