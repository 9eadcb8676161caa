"""The vendor's retry rules for webhooks, without a clock or a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks.sender import destination
from databricks_app.simulator.feeds import Feed, Webhook
from databricks_app.simulator.schedule import (
    Ending,
    PostOutcome,
    RetryRules,
    RetryState,
    next_state,
)

RULES = RetryRules()
WEEK = 7 * 86400.0
HOUR_OUTCOMES: list[PostOutcome] = [
    *(400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521),
    *("refused", "reset", "tls", "unknown_host"),
]
OTHER_OUTCOMES: list[PostOutcome] = [301, 408, 413, 415, 422, 501, 503, 504, 520, 524, "timed_out"]


def waits(outcome: PostOutcome, tries: int) -> list[float]:
    """Return the waits in seconds after each of several tries with the same outcome."""
    state: RetryState | Ending = RetryState(0.0)
    found = []
    for _ in range(tries):
        assert isinstance(state, RetryState)
        at = state.next_at
        state = next_state(state, outcome, at, RULES)
        assert isinstance(state, RetryState)
        found.append(state.next_at - at)
    return found


def test_next_state_counts_failures_and_keeps_the_time_of_the_first_try() -> None:
    """The state holds the next time, the time of the first try, and the number of failures."""
    assert next_state(RetryState(0.0), 400, 5.0, RULES) == RetryState(3605.0, 5.0, 1)
    assert next_state(RetryState(50.0, 5.0, 9), 400, 50.0, RULES) == RetryState(3650.0, 5.0, 10)


def test_next_state_waits_an_hour_after_the_documented_outcomes() -> None:
    """Each of these outcomes costs an hour, at the first try and at the tenth."""
    found = {outcome: waits(outcome, 10) for outcome in HOUR_OUTCOMES}

    assert {outcome for outcome in found if found[outcome] != [3600.0] * 10} == set()


def test_next_state_backs_off_after_other_failures() -> None:
    """After any other failure the waits are 10 s, 20 s and 40 s."""
    found = {outcome: waits(outcome, 3) for outcome in OTHER_OUTCOMES}

    assert {outcome for outcome in found if found[outcome] != [10.0, 20.0, 40.0]} == set()


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_next_state_after_any_2xx_is_acknowledged(status: int) -> None:
    """Every 2xx acknowledges the event, however long it was tried."""
    state = RetryState(0.0, -2 * WEEK, 50)

    assert next_state(state, status, 0.0, RULES) is Ending.ACKNOWLEDGED


def test_next_state_after_seven_days_is_given_up() -> None:
    """The last try is made when the seven days end; no other try follows."""
    last = next_state(RetryState(WEEK - 60, 0.0, 160), 400, WEEK - 60, RULES)
    assert last == RetryState(WEEK, 0.0, 161)
    assert next_state(last, 400, WEEK, RULES) is Ending.GIVEN_UP


@given(st.lists(st.sampled_from([*HOUR_OUTCOMES, *OTHER_OUTCOMES]), min_size=1))
def test_waits_stay_within_their_bounds(outcomes: list[PostOutcome]) -> None:
    """No wait is shorter than the first wait or longer than an hour."""
    state, at = RetryState(0.0), 0.0
    for outcome in outcomes:
        after = next_state(state, outcome, at, RULES)
        if after is Ending.GIVEN_UP:
            assert at >= WEEK
            return
        assert isinstance(after, RetryState)
        assert min(10.0, WEEK - at) <= after.next_at - at <= 3600.0
        state, at = after, after.next_at


def test_a_feed_with_an_empty_queue_has_no_event_to_try() -> None:
    """Starting or recording a try of an empty queue is an error of the caller."""
    url = "http://127.0.0.1:1/"
    feed = Feed(Webhook(1, "lake", url, destination(url), ("email_sent",)), "key")

    with pytest.raises(ValueError, match="empty"):
        feed.start_attempt(0.0)
    with pytest.raises(ValueError, match="empty"):
        feed.record_outcome(200, 0.0, 0, RULES)
    assert feed.due_at is None
