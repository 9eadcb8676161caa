"""When a reporting webhook's call is tried again, and when it is given up.

Pure: an outcome and a time give the next state. Documented are the 4 s, the seven days, the
one-hour list and that the other waits grow exponentially; the first wait, the factor and the
longest wait are not, and are guesses that can be changed.
Source: https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

# A status, or why nothing came back: the reasons of `core.webhooks.sender.NoAnswer`.
PostOutcome: TypeAlias = int | str

HOUR_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521})
HOUR_REASONS = frozenset({"refused", "reset", "tls", "unknown_host"})


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How calls are made and repeated; all durations in seconds.

    Attributes:
        timeout_seconds: How long an answer is waited for.
        hour_seconds: The wait after an outcome of the one-hour list.
        first_seconds: The first wait after any other failure.
        factor: Each such wait is so many times the one before.
        longest_seconds: No such wait is longer.
        give_up_seconds: How long one event is tried, from its first try on.
        re_sign: Whether each try is signed with a fresh timestamp; which it is, nobody says.
    """

    timeout_seconds: float = 4.0
    hour_seconds: float = 3600.0
    first_seconds: float = 10.0
    factor: float = 2.0
    longest_seconds: float = 3600.0
    give_up_seconds: float = 7 * 86400.0
    re_sign: bool = True


class Ending(StrEnum):
    """How the tries of an event end."""

    ACKNOWLEDGED = "acknowledged"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Trial:
    """How far the tries of one event have come; times in Unix seconds.

    Attributes:
        next_at: When it is tried next.
        first_at: When it was tried first; None: not yet.
        failures: How often in vain.
    """

    next_at: float
    first_at: float | None = None
    failures: int = 0


def after(trial: Trial, outcome: PostOutcome, at: float, rules: RetryRules) -> Trial | Ending:
    """Decide what follows a try.

    The last try is made when the time is up, so that the events behind wait as long as documented.

    Args:
        trial: The state before it.
        outcome: What came of it.
        at: When it was over.
        rules: How to wait.
    """
    if is_acknowledged(outcome):
        return Ending.ACKNOWLEDGED
    first_at = at if trial.first_at is None else trial.first_at
    end = first_at + rules.give_up_seconds
    if at >= end:
        return Ending.GIVEN_UP
    next_at = min(at + wait_seconds(outcome, trial.failures, rules), end)
    return Trial(next_at, first_at, trial.failures + 1)


def is_acknowledged(outcome: PostOutcome) -> bool:
    """Whether the event is done with."""
    return isinstance(outcome, int) and 200 <= outcome < 300


def wait_seconds(outcome: PostOutcome, failures: int, rules: RetryRules) -> float:
    """How long to wait after a failure that so many others went before."""
    if outcome in HOUR_STATUSES or outcome in HOUR_REASONS:
        return rules.hour_seconds
    # Beyond 64 doublings the power could overflow; the longest wait is reached long before.
    return min(rules.first_seconds * rules.factor ** min(failures, 64), rules.longest_seconds)
