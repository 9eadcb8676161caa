"""When the warehouse is woken: the freshness, the size, the hours, the ceiling."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from databricks_app import warehouse_hours
from databricks_app.loading.wake_ups import (
    IDLE_MARGIN_SECONDS,
    PROOF_SECONDS,
    WORTH_BYTES,
    WORTH_EVENTS,
    Decision,
    Reason,
    Situation,
    WakeUpPolicy,
    decide,
)

ALWAYS = warehouse_hours.parse("00:00-24:00 UTC", ZoneInfo)
T = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
POLICY = WakeUpPolicy()
# 300 s after our last statement, with an auto-stop of 60 s: somebody else can be proven.
QUIET = Situation(
    now=T, oldest_at=T - 20, events=1, last_statement_at=T - 300, auto_stop_seconds=60
)


def test_one_event_waits_for_the_freshness_less_start_and_load() -> None:
    """One wake-up for all events of the freshness, and no event becomes older."""
    just_before = replace(QUIET, oldest_at=T - 886)

    early, due = decide(POLICY, just_before), decide(POLICY, replace(just_before, now=T + 2))

    assert (early.load, early.reason) == (False, Reason.WAITING)
    assert early.look_again_seconds == pytest.approx(1.0, abs=0.01)
    assert (due.load, due.reason) == (True, Reason.DUE)


def test_nothing_that_waits_is_no_reason_to_wake() -> None:
    """An idle receiver costs nothing, inside the hours too."""
    nothing = replace(QUIET, oldest_at=None, events=0)

    decision = decide(WakeUpPolicy(hours=ALWAYS), nothing)

    assert (decision.load, decision.is_state_wanted) == (False, False)


@pytest.mark.parametrize("size", [{"events": WORTH_EVENTS}, {"bytes": WORTH_BYTES}])
def test_a_large_backlog_is_loaded_before_it_is_due(size: dict[str, int]) -> None:
    """Waiting for more saves little then."""
    assert decide(POLICY, replace(QUIET, **size)).reason is Reason.SIZE  # type: ignore[arg-type]


def test_a_load_learns_how_long_the_warehouse_takes() -> None:
    """A slow warehouse is woken earlier."""
    policy = POLICY
    for _ in range(20):
        policy = policy.after_load(events=1, load_seconds=60.0, start_seconds=90.0)

    assert policy.lead_seconds(1, 900.0) == pytest.approx(150.0, rel=0.02)


def test_a_warehouse_slower_than_the_freshness_still_rests() -> None:
    """Otherwise a load would follow a load, and the warehouse would never stop."""
    slow = WakeUpPolicy(freshness_seconds=60.0, start_seconds=120.0)

    assert not decide(slow, replace(QUIET, oldest_at=T - 29)).load
    assert decide(slow, replace(QUIET, oldest_at=T - 30)).load


def test_inside_the_hours_an_event_is_loaded_while_somebody_else_uses_the_warehouse() -> None:
    """The state is asked first, and only a running warehouse is used."""
    policy = WakeUpPolicy(hours=ALWAYS)

    assert decide(policy, QUIET) == Decision(False, Reason.WAITING, 10.0, is_state_wanted=True)
    assert decide(policy, replace(QUIET, state="RUNNING")).reason is Reason.OTHERS
    assert not decide(policy, replace(QUIET, state="STOPPED")).load
    assert not decide(policy, replace(QUIET, state="STARTING")).load


@pytest.mark.parametrize("seconds", [0.0, 30.0, 60.0, 60.0 + IDLE_MARGIN_SECONDS])
def test_our_own_idle_time_is_no_proof_of_somebody_else(seconds: float) -> None:
    """After our own load the warehouse runs on for its auto-stop; nothing rides on that."""
    own_tail = replace(QUIET, last_statement_at=T - seconds, state="RUNNING")

    decision = decide(WakeUpPolicy(hours=ALWAYS), own_tail)

    assert (decision.load, decision.is_state_wanted) == (False, False)


def test_a_running_warehouse_alone_never_keeps_itself_awake() -> None:
    """One hour with an event each second: the warehouse runs only for what was due."""
    policy, last, oldest, loads = WakeUpPolicy(hours=ALWAYS), T - 1000, None, 0
    for second in range(3600):
        now = T + second
        oldest = oldest or now
        state = "RUNNING" if now < last + 60 else "STOPPED"
        seen = Situation(now, oldest, 100, 0, state, last, 60.0)
        if decide(policy, seen).load:
            last, oldest, loads = now + 10, None, loads + 1

    assert loads == 4


def test_a_proof_of_somebody_else_counts_for_half_an_hour() -> None:
    """So that events need not wait for the auto-stop before each load; then it is needed again."""
    policy = WakeUpPolicy(hours=ALWAYS)
    first = decide(policy, replace(QUIET, state="RUNNING"))
    after = replace(QUIET, last_statement_at=T - 10, state="RUNNING")

    assert first.is_proven is True
    assert decide(policy, replace(after, proven_at=T - 60)).reason is Reason.OTHERS
    assert not decide(policy, replace(after, proven_at=T - PROOF_SECONDS)).load
    assert not decide(policy, after).load


def test_a_warehouse_that_has_stopped_ends_the_proof() -> None:
    """Others have left; what then runs may be our own idle time."""
    stopped = replace(QUIET, proven_at=T - 60, state="STOPPED")

    decision = decide(WakeUpPolicy(hours=ALWAYS), stopped)

    assert (decision.load, decision.is_proven) == (False, False)


@pytest.mark.parametrize("unknown", [{"last_statement_at": None}, {"auto_stop_seconds": None}])
def test_what_is_unknown_is_no_proof(unknown: dict[str, None]) -> None:
    """After a restart without a memory the warehouse can run because of us."""
    seen = replace(QUIET, state="RUNNING", **unknown)  # type: ignore[arg-type]

    assert not decide(WakeUpPolicy(hours=ALWAYS), seen).load


def test_a_warehouse_that_never_stops_is_used_at_once() -> None:
    """It costs the same with and without a load."""
    seen = replace(QUIET, auto_stop_seconds=0, last_statement_at=T - 1, state="RUNNING")

    assert decide(WakeUpPolicy(hours=ALWAYS), seen).reason is Reason.OTHERS


def test_outside_the_hours_a_running_warehouse_changes_nothing() -> None:
    """And its state is not asked."""
    decision = decide(POLICY, replace(QUIET, state="RUNNING"))

    assert (decision.load, decision.is_state_wanted) == (False, False)


def test_above_the_ceiling_loads_are_hourly() -> None:
    """Nothing is refused or lost: it waits longer, and neither size nor others count."""
    policy = WakeUpPolicy(hours=ALWAYS, daily_seconds=600.0)
    over = replace(QUIET, used_seconds=600.0, state="RUNNING", events=10 * WORTH_EVENTS)

    assert decide(policy, over).reason is Reason.CEILING
    assert not decide(policy, replace(over, oldest_at=T - 3000, events=1)).load
    assert decide(policy, replace(over, oldest_at=T - 3590, events=1)).reason is Reason.DUE
    assert decide(policy, replace(over, inbox_share=0.5)).reason is Reason.FULL


@pytest.mark.parametrize(
    ("day", "hour", "expected"),
    [(30, 6, False), (30, 7, True), (30, 16, True), (30, 17, False), (29, 10, False)],
)
def test_hours_are_local_time(day: int, hour: int, expected: bool) -> None:
    """2026-11-30 is a Monday; Berlin is one hour ahead of UTC in winter."""
    hours = warehouse_hours.parse("mon-fri 08:00-18:00 Europe/Berlin", ZoneInfo)

    assert hours.contain(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp()) is expected


def test_several_spans_share_a_zone() -> None:
    """A night is two spans, and days may go over the end of the week."""
    hours = warehouse_hours.parse("sat-mon 22:00-24:00, 00:00-06:00 UTC", ZoneInfo)
    monday = datetime(2026, 11, 30, tzinfo=UTC)

    inside = [hour for hour in range(24) if hours.contain(monday.timestamp() + hour * 3600)]

    assert inside == [0, 1, 2, 3, 4, 5, 22, 23]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "08:00-18:00",
        "mon-fri 08:00-18:00 Mars/Olympus",
        "mon-fry 08:00-18:00 UTC",
        "22:00-06:00 UTC",
        "08:00-25:00 UTC",
        "mon-fri 8-18 UTC",
        "08:00-18:00 ../../etc/passwd",
    ],
)
def test_other_texts_are_no_hours(text: str) -> None:
    """A wrong setting is said at start."""
    with pytest.raises(ValueError, match=r"zone|span|day|end"):
        warehouse_hours.parse(text, ZoneInfo)
