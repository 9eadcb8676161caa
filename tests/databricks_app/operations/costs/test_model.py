"""The price function: known answers, and agreement with the policy of the loader."""

from __future__ import annotations

from dataclasses import replace

import pytest

from databricks_app.loading.wake_ups import WakeUpPolicy
from databricks_app.operations.costs import model
from databricks_app.operations.costs.model import (
    BUSY,
    NEWSLETTERS,
    TIMES,
    TRICKLE,
    DayTraffic,
    WarehouseChoice,
    price,
    steady,
)
from databricks_app.operations.costs.topologies import EARLIER_DEFAULT, topologies

ONE_MINUTE = WarehouseChoice(auto_stop_minutes=1)


def test_a_warehouse_that_never_stops_costs_96_dbu_a_day() -> None:
    """24 hours of 4 DBU, 0.70 USD each, 30.4 days."""
    found = price(WarehouseChoice(auto_stop_minutes=0), TRICKLE)

    assert (found.awake_minutes, found.dbu, round(found.usd)) == (1440, 96, 2043)


def test_an_event_now_and_then_costs_a_start_a_load_and_an_idle_time() -> None:
    """Four events a day, hours apart: each is a wake-up of 8 + 5 + 60 s."""
    found = price(ONE_MINUTE, steady(4))

    assert found.awake_minutes == pytest.approx(4 * 73 / 60, rel=0.05)


@pytest.mark.parametrize(
    ("traffic", "share", "share_stopped"),
    [(TRICKLE, 0.10, 0.04), (NEWSLETTERS, 0.11, 0.05), (BUSY, 0.20, 0.15)],
)
def test_the_default_costs_a_small_part_of_a_load_every_two_seconds(
    traffic: DayTraffic, share: float, share_stopped: float
) -> None:
    """15 minutes of freshness with the least auto-stop, and with a loader that stops it."""
    before = price(EARLIER_DEFAULT, traffic).usd

    assert price(ONE_MINUTE, traffic).usd < share * before
    assert price(replace(ONE_MINUTE, stops=True), traffic).usd < share_stopped * before


def test_the_model_expects_what_the_policy_expects() -> None:
    """Start, load, events a second and the size that is worth a wake-up are the same."""
    policy = WakeUpPolicy()

    assert (TIMES.start, TIMES.load, TIMES.event, TIMES.worth_events) == (
        policy.start_seconds,
        policy.load_seconds,
        policy.event_seconds,
        policy.worth_events,
    )
    assert WarehouseChoice().freshness_seconds == policy.freshness_seconds


def test_days_have_24_hours_and_the_events_of_their_names() -> None:
    """480 events are one in three minutes; the newsletters are part of the 20 a second."""
    assert [round(one.events_a_day) for one in model.VOLUMES] == [480, 1_728_000, 17_280_000]
    assert all(sum(one.hours for one in each.phases) == 24 for each in model.VOLUMES)


def test_without_events_nothing_is_awake() -> None:
    """Nothing but an event wakes the warehouse."""
    assert price(ONE_MINUTE, steady(0)).usd == 0


def test_an_own_warehouse_with_a_short_auto_stop_is_cheaper_at_every_volume() -> None:
    """The first topology is the earlier default; all others cost less."""
    first, *others = ([one.usd(each) for each in model.VOLUMES] for one in topologies())

    assert all(new < old for one in others for new, old in zip(one, first, strict=True))
