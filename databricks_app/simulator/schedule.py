"""The retry rules of reporting webhooks: when an event is tried again, and when it is given up.

Pure: the state before a try, its outcome and the time give the next state. The vendor documents the
timeout of 4 s, the seven days, the statuses that cost an hour, and that all other waits grow
exponentially. It does not document the first wait, the factor and the longest wait.
Source: https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

# The status of the answer, or the reason why there was none (from `core.webhooks.sender.NoAnswer`).
PostOutcome: TypeAlias = int | str

HOUR_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521})
HOUR_REASONS = frozenset({"refused", "reset", "tls", "unknown_host"})


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How calls are made and repeated; all durations in seconds.

    Attributes:
        timeout_seconds: How long to wait for an answer.
        hour_seconds: The wait after one of `HOUR_STATUSES` or `HOUR_REASONS`.
        first_seconds: The first wait after any other failure.
        factor: Each such wait is this many times the wait before.
        longest_seconds: The longest such wait.
        give_up_seconds: How long one event is tried, from its first try on.
        re_sign: Whether each try is signed with a new timestamp, or with that of the first try.
    """

    timeout_seconds: float = 4.0
    hour_seconds: float = 3600.0
    # The next three values and `re_sign` are guesses: the vendor does not publish them.
    first_seconds: float = 10.0
    factor: float = 2.0
    longest_seconds: float = 3600.0
    give_up_seconds: float = 7 * 86400.0
    re_sign: bool = True


class Ending(StrEnum):
    """Why an event is not tried any more."""

    ACKNOWLEDGED = "acknowledged"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class RetryState:
    """The state of the tries of one event; times in Unix seconds.

    Attributes:
        next_at: When it is tried next.
        first_at: When it was first tried; None: not yet.
        failures: How many tries have failed.
    """

    next_at: float
    first_at: float | None = None
    failures: int = 0


def next_state(
    state: RetryState, outcome: PostOutcome, at: float, rules: RetryRules
) -> RetryState | Ending:
    """Return the state after a try, or why the event is not tried any more.

    Args:
        state: The state before the try.
        outcome: The outcome of the try.
        at: When the try ended, in Unix seconds.
        rules: The retry rules.
    """
    if isinstance(outcome, int) and 200 <= outcome < 300:
        return Ending.ACKNOWLEDGED
    first_at = at if state.first_at is None else state.first_at
    end = first_at + rules.give_up_seconds
    if at >= end:
        return Ending.GIVEN_UP
    # The last try is made exactly at the end, so that later events wait the documented seven days.
    next_at = min(at + wait_seconds(outcome, state.failures, rules), end)
    return RetryState(next_at, first_at, state.failures + 1)


def wait_seconds(outcome: PostOutcome, failures: int, rules: RetryRules) -> float:
    """Return the wait after a failure, if `failures` tries failed before it."""
    if outcome in HOUR_STATUSES or outcome in HOUR_REASONS:
        return rules.hour_seconds
    # A power above 64 could overflow; the longest wait is reached long before.
    return min(rules.first_seconds * rules.factor ** min(failures, 64), rules.longest_seconds)
