"""When a webhook's call is tried again: the vendor's rules, without any clock or socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks.sender import destination
from databricks_app.simulator.feeds import Feed, Webhook
from databricks_app.simulator.schedule import Ending, PostOutcome, RetryRules, Trial, after

RULES = RetryRules()
WEEK = 7 * 86400.0
HOUR_LIST: list[PostOutcome] = [
    *(400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521),
    *("refused", "reset", "tls", "unknown_host"),
]
OTHERS: list[PostOutcome] = [301, 408, 413, 415, 422, 501, 503, 504, 520, 524, "timed_out"]


@pytest.mark.parametrize("outcome", HOUR_LIST)
def test_after_waits_an_hour_for_the_codes_of_the_list(outcome: PostOutcome) -> None:
    """These outcomes cost an hour each, the first as the tenth."""
    assert after(Trial(0.0), outcome, 5.0, RULES) == Trial(3605.0, 5.0, 1)
    assert after(Trial(50.0, 5.0, 9), outcome, 50.0, RULES) == Trial(3650.0, 5.0, 10)


@pytest.mark.parametrize("outcome", OTHERS)
def test_after_waits_seconds_for_other_failures(outcome: PostOutcome) -> None:
    """A failure outside the list is tried again by backoff: 10 s, then 20, then 40."""
    first = after(Trial(0.0), outcome, 0.0, RULES)
    assert first == Trial(10.0, 0.0, 1)
    second = after(first, outcome, 10.0, RULES)
    assert second == Trial(30.0, 0.0, 2)
    assert after(second, outcome, 30.0, RULES) == Trial(70.0, 0.0, 3)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_after_any_2xx_the_event_is_done(status: int) -> None:
    """All of 2xx acknowledge, late ones too."""
    assert after(Trial(0.0, -2 * WEEK, 50), status, 0.0, RULES) is Ending.ACKNOWLEDGED


def test_after_seven_days_the_event_is_given_up() -> None:
    """The last try is made when the seven days are over, and no other follows."""
    late = after(Trial(WEEK - 60, 0.0, 160), 400, WEEK - 60, RULES)
    assert late == Trial(WEEK, 0.0, 161)
    assert after(late, 400, WEEK, RULES) is Ending.GIVEN_UP


@given(st.lists(st.sampled_from([*HOUR_LIST, *OTHERS]), min_size=1))
def test_after_waits_grow_only_within_bounds(outcomes: list[PostOutcome]) -> None:
    """No wait is shorter than the first one or longer than an hour."""
    trial, at = Trial(0.0), 0.0
    for outcome in outcomes:
        then = after(trial, outcome, at, RULES)
        if then is Ending.GIVEN_UP:
            assert at >= WEEK
            return
        assert isinstance(then, Trial)
        assert min(10.0, WEEK - at) <= then.next_at - at <= 3600.0
        trial, at = then, then.next_at


def test_a_feed_without_events_has_nothing_to_try() -> None:
    """Beginning or settling a try of nothing is a mistake of the caller."""
    url = "http://127.0.0.1:1/"
    feed = Feed(Webhook(1, "lake", url, destination(url), ("email_sent",)), "key")

    with pytest.raises(ValueError, match="nothing"):
        feed.begin(0.0)
    with pytest.raises(ValueError, match="nothing"):
        feed.record(200, 0.0, 0, RULES)
    assert feed.due_at is None
