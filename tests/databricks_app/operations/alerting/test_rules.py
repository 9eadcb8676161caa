"""Alerts fire once and clear once, and only for what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks.diagnosis import SignatureFault
from databricks_app.operations.alerting.rules import AlertLimits, AlertRules, Sample

MINUTE = 60.0
HOUR = 3600.0


def told(watch: AlertRules, samples: Iterable[Sample]) -> list[tuple[str, str, float]]:
    """What a watch says of samples: alert, state, time."""
    return [
        (change.alert, change.state, change.at)
        for sample in samples
        for change in watch.observe(sample)
    ]


def every_minute(start: float, minutes: int, per_minute: float, first: float = 0) -> list[Sample]:
    """A feed's samples: so many events each minute."""
    return [
        Sample(start + number * MINUTE, accepted=first + number * per_minute)
        for number in range(minutes)
    ]


def test_a_silent_feed_fires_once_and_clears_with_the_next_event() -> None:
    """Silence is measured against the usual pauses, never less than the limit."""
    watch = AlertRules()
    busy = every_minute(0, 60, 5)
    silent = [Sample(HOUR + n * MINUTE, accepted=295) for n in range(60)]
    again = Sample(2 * HOUR, accepted=296)

    assert told(watch, busy) == []
    changes = told(watch, [*silent, again])

    assert [change[:2] for change in changes] == [
        ("feed_silent", "firing"),
        ("feed_silent", "resolved"),
    ]
    assert changes[0][2] - 59 * MINUTE == 16 * MINUTE
    assert changes[1][2] == again.at


def test_a_feed_that_pauses_every_night_is_not_called_silent_for_it() -> None:
    """After a night of eight hours, nine hours are nothing to wake anybody for."""
    watch = AlertRules()
    day = every_minute(0, 960, 5)
    next_day = every_minute(24 * HOUR, 960, 5, first=5000)
    night = [Sample(40 * HOUR + n * MINUTE, accepted=9795) for n in range(9 * 60)]
    told(watch, day)
    told(watch, [Sample(16 * HOUR + n * MINUTE, accepted=4795) for n in range(1, 480)])
    watch.firing.clear()
    told(watch, next_day)

    assert told(watch, night) == []


def test_a_feed_that_has_hardly_begun_is_not_called_silent() -> None:
    """A few test events are not a feed."""
    watch = AlertRules()

    assert told(watch, [Sample(0), Sample(60, accepted=3), Sample(10 * HOUR, accepted=3)]) == []


def test_a_restart_counts_from_zero_again() -> None:
    """Totals that fall are new totals: events since then are events."""
    watch = AlertRules()
    told(watch, every_minute(0, 60, 5))

    changes = told(watch, [Sample(HOUR + n * MINUTE, accepted=n + 1) for n in range(60)])

    assert changes == []


@pytest.mark.parametrize(
    ("field", "wrong", "alert"),
    [
        ("oldest_pending_seconds", 601.0, "backlog"),
        ("unrouted", 60.0, "unrouted_growth"),
        ("stale", 1.0, "stale_timestamps"),
        ("wrong_signatures", 5.0, "wrong_signatures"),
    ],
)
def test_each_rule_fires_once_and_clears(field: str, wrong: float, alert: str) -> None:
    """However long it lasts, there is one word at its beginning and one at its end."""
    watch = AlertRules()
    feed = every_minute(0, 300, 5)
    samples = [
        # Totals keep what they counted; an age falls again.
        replace(one, **{field: wrong if n >= 30 and (n < 60 or field != AGE) else 0.0})
        for n, one in enumerate(feed)
    ]

    changes = told(watch, samples)

    assert [change[:2] for change in changes] == [(alert, "firing"), (alert, "resolved")]
    assert changes[0][2] == 30 * MINUTE


AGE = "oldest_pending_seconds"


def test_a_few_unrouted_events_among_many_are_no_alert() -> None:
    """Neither a handful nor a small share."""
    watch = AlertRules()

    assert told(watch, [Sample(0), Sample(60, accepted=1000, unrouted=49)]) == []
    assert told(watch, [Sample(120, accepted=1010, unrouted=51)])


def test_the_text_says_what_to_do() -> None:
    """Numbers and the next step; never what a sender wrote."""
    (change,) = AlertRules().observe(Sample(0, pending_events=7, oldest_pending_seconds=1200))

    assert change.text.startswith("7 events wait to be loaded, the oldest for 20 minutes.")
    assert "/readyz" in change.text


def test_limits_can_be_changed() -> None:
    """They are arguments."""
    watch = AlertRules(AlertLimits(backlog_seconds=5))

    assert told(watch, [Sample(0, oldest_pending_seconds=6)]) == [("backlog", "firing", 0)]


@given(
    st.lists(
        st.builds(
            Sample,
            at=st.just(0.0),
            accepted=st.integers(0, 500).map(float),
            unrouted=st.integers(0, 100).map(float),
            stale=st.integers(0, 3).map(float),
            wrong_signatures=st.integers(0, 10).map(float),
            pending_events=st.integers(0, 10),
            oldest_pending_seconds=st.floats(0, 2000),
        )
    )
)
def test_firing_and_resolved_alternate_whatever_comes(samples: list[Sample]) -> None:
    """No alert fires twice in a row, none clears that does not fire."""
    watch = AlertRules()
    states: dict[str, list[str]] = {}
    for number, sample in enumerate(samples):
        for change in watch.observe(replace(sample, at=number * 10 * MINUTE)):
            states.setdefault(change.alert, []).append(change.state)

    for said in states.values():
        assert said[::2] == ["firing"] * len(said[::2])
        assert said[1::2] == ["resolved"] * len(said[1::2])


def looks(hours: float, every: float = 600) -> Iterable[float]:
    """The times at which the alerting process looks."""
    return (number * every for number in range(int(hours * HOUR / every)))


def tries(at: float) -> float:
    """How often Customer.io has tried until then: once an hour, as after each 401, a bit late."""
    return float(int(at // (HOUR + 5)))


@pytest.mark.parametrize("total", ["wrong_signatures", "stale"])
def test_one_try_an_hour_is_one_alert_that_lasts(total: str) -> None:
    """Customer.io waits an hour after a 401: an alert needs neither more tries nor flaps."""
    week = 7 * 24
    watch = AlertRules()

    changes = told(watch, (Sample(at, **{total: tries(at)}) for at in looks(week)))

    assert [change[1] for change in changes] == ["firing"]
    assert changes[0][2] <= 2 * HOUR + 600


def test_one_wrong_signature_while_every_key_is_proven_is_no_alert() -> None:
    """Strangers try."""
    watch = AlertRules()

    assert told(watch, (Sample(at, wrong_signatures=1.0) for at in looks(5))) == []


def test_a_suspect_key_is_an_alert_at_once() -> None:
    """From the first refusal, with the names of the workspaces."""
    watch = AlertRules()

    (begin,) = watch.observe(Sample(0, wrong_signatures=1, suspects=("shop",)))
    (end,) = watch.observe(Sample(60, wrong_signatures=1, accepted=1))

    assert (begin.alert, begin.state, end.state) == ("wrong_signatures", "firing", "resolved")
    assert "shop" in begin.text


def test_an_alert_says_why_signatures_failed() -> None:
    """A proof alone is an alert too: a proxy may change one body, and the feed waits for it."""
    watch = AlertRules()
    faults = (SignatureFault.REENCODED_BODY,)

    (begin,) = watch.observe(Sample(0, wrong_signatures=1, signature_faults=faults))
    (end,) = watch.observe(Sample(60, wrong_signatures=1))

    assert (begin.alert, begin.state, end.state) == ("wrong_signatures", "firing", "resolved")
    assert "let it pass every byte" in begin.text


def test_the_ceiling_of_the_warehouse_is_an_alert_until_the_day_ends() -> None:
    """While the loader does not report, the last state stays."""
    texts = ["", "The warehouse has run for too long.", None, "", None]
    samples = [Sample(at, warehouse=text) for at, text in enumerate(texts)]

    assert told(AlertRules(), samples) == [
        ("warehouse_seconds", "firing", 1),
        ("warehouse_seconds", "resolved", 3),
    ]


def test_above_the_ceiling_an_hour_of_waiting_is_no_backlog() -> None:
    """The loader says how long an event may wait now."""
    watch = AlertRules()
    samples = [Sample(at, oldest_pending_seconds=4000, stall_seconds=4200) for at in range(2)]

    assert told(watch, samples) == []
    assert told(watch, [Sample(2, oldest_pending_seconds=4300, stall_seconds=4200)]) == [
        ("backlog", "firing", 2)
    ]
