"""Simulated days of a SQL warehouse: how long it is awake, what it costs, how old events become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from benchmarks.harness import simulated_days as days
from benchmarks.harness.simulated_days import MIDNIGHT, Arrival, Loaded, ModelWarehouse
from benchmarks.outcome import Plan, Section, Surroundings, table
from databricks_app.loading.wake_ups import WakeUpPolicy
from databricks_app.operations.costs import model, prices
from databricks_app.operations.costs.model import TIMES, DayTraffic, LoadTimes, WarehouseChoice
from databricks_app.operations.costs.topologies import EARLIER_DEFAULT
from databricks_app.setting_values import warehouse_hours

_SEED = 19
_HOURS = (MIDNIGHT + 9 * 3600, MIDNIGHT + 17 * 3600)
_HOURS_TEXT = "mon-fri 09:00-17:00 UTC"
_DEFAULT = WarehouseChoice(auto_stop_minutes=1)
_HOUR = replace(_DEFAULT, freshness_seconds=3600)
_GOALS = {model.TRICKLE: (10, 4), model.NEWSLETTERS: (11, 5), model.BUSY: (20, 15)}


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table.

    Attributes:
        name: In words.
        choice: Freshness, auto-stop, and whether the loader stops the warehouse.
        times: How long start and load take.
        is_earlier: Whether to load by the flush interval, as releases before did.
        is_shared: Whether others use the warehouse in the declared hours.
    """

    name: str
    choice: WarehouseChoice
    times: LoadTimes = TIMES
    is_earlier: bool = False
    is_shared: bool = False


CASES = (
    Case("before: a load every 2 s, auto-stop 10 min", EARLIER_DEFAULT, is_earlier=True),
    Case("900 s, auto-stop 10 min", replace(_DEFAULT, auto_stop_minutes=10)),
    Case("900 s, auto-stop 5 min", replace(_DEFAULT, auto_stop_minutes=5)),
    Case("900 s, auto-stop 1 min", _DEFAULT),
    Case("900 s, the loader stops it", replace(_DEFAULT, stops=True)),
    Case("3,600 s, auto-stop 1 min", _HOUR),
    Case("3,600 s, the loader stops it", replace(_HOUR, stops=True)),
    Case("900 s, auto-stop 1 min, start 60 s", _DEFAULT, days.SLOW_START),
    Case("900 s, auto-stop 1 min, slow load", _DEFAULT, days.SLOW_LOAD),
    Case("900 s, auto-stop 1 min, both", _DEFAULT, days.SLOW),
    Case("900 s, the loader stops it, both", replace(_DEFAULT, stops=True), days.SLOW),
)
SHARED = tuple(
    Case(f"auto-stop {minutes} min", replace(_DEFAULT, auto_stop_minutes=minutes), is_shared=True)
    for minutes in (1, 5, 10)
)


def simulate(case: Case, day: list[Arrival]) -> tuple[ModelWarehouse, list[Loaded]]:
    """Run one day; return the warehouse and the events that were loaded."""
    warehouse = ModelWarehouse(
        case.times,
        case.choice.auto_stop_minutes * 60,
        others=_HOURS if case.is_shared else None,
    )
    if case.is_earlier:
        return warehouse, days.load_by_interval(day, warehouse, case.choice.freshness_seconds)
    policy = WakeUpPolicy(
        freshness_seconds=case.choice.freshness_seconds,
        hours=warehouse_hours(_HOURS_TEXT) if case.is_shared else None,
    )
    return warehouse, days.load_by_policy(day, warehouse, policy, stops=case.choice.stops)


def run(plan: Plan) -> Section:
    """Simulate all cases with the same events."""
    around = Surroundings()
    around.look()
    share = 0.02 if plan.is_smallest else 1.0
    lines = [
        "A simulation, not a measurement: nothing here was measured on Databricks. Three days of "
        f"events (seed {_SEED}), the same for every row. The product's own policy "
        "(`loading/wake_ups.py`) decides when to load; the first row of each table loads as "
        "releases before did. Assumptions: a start takes "
        f"{TIMES.start:g} s; a load takes {TIMES.load:g} s and 1 s for {1 / TIMES.event:,.0f} "
        "events; what arrives after a load has begun waits for the next one; the warehouse is "
        "billed by the second from its start until it stops, start and idle time included, with "
        "no minimum for a start; it stops exactly at its auto-stop; the loader needs "
        f"{TIMES.stop:g} s to stop it; an event has 1 kB. Slow load: {days.SLOW_LOAD.load:g} s and "
        f"1 s for {1 / days.SLOW_LOAD.event:g} events. Prices: 2X-Small, "
        f"{prices.SQL_DBU_PER_HOUR[prices.LEAST_SIZE]:g} DBU an hour, "
        f"{prices.SQL_USD_PER_DBU:.2f} USD a DBU (list price in the US, {prices.AS_OF}; in the EU "
        f"{prices.SQL_USD_PER_DBU_EU:.2f}), {prices.MONTH_DAYS} days. Age: from the arrival of an "
        "event to its row. Model: the price function that `ciolake deploy` and `ciolake doctor` "
        "use, which knows only averages.",
    ]
    for traffic in model.VOLUMES:
        day = days.arrivals(traffic, _SEED, share)
        lines += ["", f"**{_title(traffic)}**", "", *_table(traffic, day)]
    lines += ["", *_shared(share)]
    return Section("warehouse_days", "Days of a SQL warehouse (simulated)", lines, around)


def _title(traffic: DayTraffic) -> str:
    """Return the traffic in words, with its goals."""
    words = {
        model.TRICKLE: "1 event in 3 minutes on average, four of five from 8:00 to 18:00",
        model.NEWSLETTERS: "20 events/s on average, two newsletters with a fifth of the events "
        "each in half an hour",
        model.BUSY: "200 events/s",
    }[traffic]
    own, stopped = _GOALS[traffic]
    return (
        f"{words}. Goals at 900 s: at most {own} % of before with auto-stop 1, {stopped} % if the "
        "loader stops it; age p95 at most 16 min"
    )


def _table(traffic: DayTraffic, day: list[Arrival]) -> list[str]:
    rows: list[tuple[object, ...]] = []
    before = 0.0
    for case in CASES:
        warehouse, loaded = simulate(case, day)
        found = model.of_minutes(case.choice, warehouse.own_seconds() / 60)
        before = before or found.usd
        expected = model.price(case.choice, traffic, case.times)
        rows.append(
            (
                case.name,
                f"{found.awake_minutes:,.0f}",
                f"{found.dbu:.1f}",
                f"{found.usd:,.0f}",
                f"{100 * found.usd / before:.1f} %",
                f"{expected.usd:,.0f}",
                _ages(loaded),
            )
        )
    heads = ("", "awake min a day", "DBU a day", "USD a month", "of before", "model", "age")
    return table((*heads[:-1], "age p50 / p95 / max"), rows)


def _shared(share: float) -> Iterator[str]:
    """Yield the table of declared hours while others use the warehouse."""
    yield (
        "**Declared hours (`CIO_WAREHOUSE_HOURS`) from 9:00 to 17:00, in which others use the "
        "warehouse without a pause.** Awake: only what the loader adds to the time of the others, "
        "whole day. Age: of the events that arrive in these hours. Goal: p95 under 60 s"
    )
    yield ""
    rows = []
    for case in SHARED:
        for traffic in model.VOLUMES:
            warehouse, loaded = simulate(case, days.arrivals(traffic, _SEED, share))
            inside = [one for one in loaded if _HOURS[0] <= one.arrived_at < _HOURS[1]]
            minutes = f"{warehouse.own_seconds() / 60:,.0f}"
            rows.append((case.name, traffic.name, minutes, _ages(inside)))
    yield from table(("", "events", "awake min a day, added", "age p50 / p95 / max"), rows)


def _ages(loaded: Iterable[Loaded]) -> str:
    known = list(loaded)
    return " / ".join(_duration(days.age_at(known, share)) for share in (0.5, 0.95, 1.0))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
