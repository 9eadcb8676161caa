"""The simulation of a warehouse's days: what must be so whatever the figures are."""

from __future__ import annotations

import pytest

from benchmarks.harness.simulated_days import (
    MIDNIGHT,
    Arrival,
    ModelWarehouse,
    age_at,
    arrivals,
    load_by_policy,
)
from benchmarks.warehouse_days import CASES, SHARED, Case, simulate
from databricks_app.loading.wake_ups import LOOK_SECONDS, PROOF_SECONDS, WakeUpPolicy
from databricks_app.operations.costs import model
from databricks_app.operations.costs.model import TIMES
from databricks_app.setting_values import warehouse_hours

BY_POLICY = [one for one in CASES if not one.is_earlier]


@pytest.fixture(scope="module")
def trickle() -> list[Arrival]:
    """A day with one event in three minutes."""
    return arrivals(model.TRICKLE, seed=1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_event_is_loaded_once(case: Case, trickle: list[Arrival]) -> None:
    """In the order of arrival, and not before it arrived."""
    _, loaded = simulate(case, trickle)

    assert [one.arrived_at for one in loaded] == [one.at for one in trickle]
    assert all(one.age > 0 for one in loaded)


@pytest.mark.parametrize("case", BY_POLICY, ids=lambda case: case.name)
def test_no_event_becomes_older_than_freshness_start_and_load(
    case: Case, trickle: list[Arrival]
) -> None:
    """Also before the policy has learned that start and load are slow."""
    _, loaded = simulate(case, trickle)

    times = case.times
    longest = case.choice.freshness_seconds + times.start + times.load + LOOK_SECONDS
    assert max(one.age for one in loaded) <= longest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_price_function_agrees_with_the_simulation(case: Case, trickle: list[Arrival]) -> None:
    """What `ciolake deploy` prints is what the product's policy would cost on such a day."""
    warehouse, _ = simulate(case, trickle)

    expected = model.price(case.choice, model.TRICKLE, case.times).awake_minutes
    assert warehouse.own_seconds() / 60 == pytest.approx(expected, rel=0.15)


def test_the_seed_decides_the_day() -> None:
    """The same seed gives the same events, another one gives others."""
    assert arrivals(model.TRICKLE, 3) == arrivals(model.TRICKLE, 3) != arrivals(model.TRICKLE, 4)


def test_a_warehouse_is_billed_from_its_start_to_its_stop() -> None:
    """Two loads a minute apart are one run; an hour later it starts again."""
    warehouse = ModelWarehouse(TIMES, auto_stop_seconds=60)

    first = warehouse.load(0, 2000)
    second = warehouse.load(60, 2000)
    later = warehouse.load(3600, 2000)

    assert (first, second, later) == ((8, 14), (0, 66), (8, 3614))
    assert warehouse.own_seconds() == 126 + 74
    warehouse.stop(3616)
    assert warehouse.own_seconds() == 126 + 16


def test_what_others_pay_is_not_ours() -> None:
    """Of a run that others keep alive only the rest is ours."""
    warehouse = ModelWarehouse(TIMES, auto_stop_seconds=60, others=(0, 1000))

    assert warehouse.load(990, 2000) == (0, 996)
    warehouse.load(1040, 2000)

    assert warehouse.own_seconds() == 1106 - 1060


def test_our_own_idle_time_is_never_taken_for_somebody_elses_use(trickle: list[Arrival]) -> None:
    """In declared hours in which nobody comes, a day costs what it costs without such hours."""
    hours = warehouse_hours("mon-sun 00:00-24:00 UTC")
    alone = ModelWarehouse(TIMES, auto_stop_seconds=600)
    load_by_policy(trickle, alone, WakeUpPolicy(freshness_seconds=900, hours=hours))
    without = ModelWarehouse(TIMES, auto_stop_seconds=600)
    load_by_policy(trickle, without, WakeUpPolicy(freshness_seconds=900))

    assert alone.own_seconds() == pytest.approx(without.own_seconds(), rel=0.05)


def test_while_others_use_the_warehouse_rows_are_seconds_old(trickle: list[Arrival]) -> None:
    """In declared hours, with an auto-stop of a minute: 95 of 100 events in less than a minute."""
    _, loaded = simulate(SHARED[0], trickle)

    inside = [one for one in loaded if 9 <= (one.arrived_at - MIDNIGHT) / 3600 < 17]
    assert age_at(inside, 0.95) < 60


def test_when_others_leave_the_warehouse_is_ours_for_half_an_hour_at_most() -> None:
    """With events all the time, which would keep it awake for ever."""
    hours = warehouse_hours("mon-sun 00:00-24:00 UTC")
    day = [Arrival(MIDNIGHT + second, 1) for second in range(0, 4 * 3600, 5)]
    begin = MIDNIGHT + 1800
    with_others = ModelWarehouse(TIMES, 60, others=(begin, begin + 3600))
    load_by_policy(day, with_others, WakeUpPolicy(hours=hours))
    alone = ModelWarehouse(TIMES, 60)
    load_by_policy(day, alone, WakeUpPolicy(hours=hours))

    assert with_others.own_seconds() < alone.own_seconds() + PROOF_SECONDS + 60


def test_a_day_begins_at_midnight() -> None:
    """Declared hours of a weekday are found in it."""
    hours = warehouse_hours("mon 00:00-01:00 UTC")

    assert hours is not None
    assert hours.contain(MIDNIGHT)
