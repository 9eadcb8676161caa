"""The price function: from freshness, auto-stop and traffic to USD a month. Pure.

The model: events arrive at random, at a steady rate in each phase of the day. The loader waits
until the oldest event is as old as the freshness minus the lead, which is the expected start and
load. Then it loads all that waits. The warehouse is billed from its start until it stops, so also
while it starts and while it is idle. Nothing else uses it, and what others use is not counted. The
times of `LoadTimes` are assumptions: nothing was measured on Databricks.

`benchmarks/warehouse_days.py` simulates the same days event by event; a test compares the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from databricks_app.operations.costs import prices

_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the day with a steady rate.

    Attributes:
        hours: Its length.
        events_per_second: Average rate of events.
    """

    hours: float
    events_per_second: float


@dataclass(frozen=True, slots=True)
class DayTraffic:
    """The events of a day: phases that follow one another from midnight, 24 hours in all."""

    name: str
    phases: tuple[Phase, ...]

    @property
    def events_a_day(self) -> float:
        """Average number of events."""
        return sum(one.hours * _HOUR_SECONDS * one.events_per_second for one in self.phases)


def steady(events_a_day: float) -> DayTraffic:
    """Return traffic of the same rate day and night."""
    rate = events_a_day / (24 * _HOUR_SECONDS)
    return DayTraffic(f"{events_a_day:,.0f} events a day", (Phase(24, rate),))


# 480 events: four of five between 8:00 and 18:00.
_DAY_RATE, _NIGHT_RATE = 384 / (10 * _HOUR_SECONDS), 96 / (14 * _HOUR_SECONDS)
TRICKLE = DayTraffic(
    "1 event in 3 min", (Phase(8, _NIGHT_RATE), Phase(10, _DAY_RATE), Phase(6, _NIGHT_RATE))
)
# 20/s on average: a fifth of the events follows each newsletter within half an hour.
_BASE_RATE, _NEWSLETTER_RATE = 20 * 0.6 * 24 / 23, 20 * 0.2 * 24 / 0.5
NEWSLETTERS = DayTraffic(
    "20/s",
    (
        Phase(9, _BASE_RATE),
        Phase(0.5, _NEWSLETTER_RATE),
        Phase(5.5, _BASE_RATE),
        Phase(0.5, _NEWSLETTER_RATE),
        Phase(8.5, _BASE_RATE),
    ),
)
BUSY = DayTraffic("200/s", (Phase(24, 200.0),))
VOLUMES = (TRICKLE, NEWSLETTERS, BUSY)
"""The three volumes for which prices are shown."""


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """How long the steps of a wake-up take, in seconds.

    Attributes:
        start: Start of a stopped warehouse.
        load: A load without its events.
        event: Each event of a load.
        stop: From the end of a load until the loader has stopped the warehouse.
        worth_events: So many events are loaded before they are due.
    """

    start: float = 8.0
    load: float = 5.0
    event: float = 1 / 2000
    stop: float = 2.0
    worth_events: int = 200_000


TIMES = LoadTimes()


@dataclass(frozen=True, slots=True)
class WarehouseChoice:
    """What decides how long the warehouse runs, and the price of that time.

    Attributes:
        freshness_seconds: How old an event may become until it is a row.
        auto_stop_minutes: Idle time after which the warehouse stops; 0 if it never stops.
        stops: Whether the loader stops it after a load.
        size: Size of the serverless warehouse; a key of `prices.SQL_DBU_PER_HOUR`.
        usd_per_dbu: Price of a DBU.
    """

    freshness_seconds: float = 900.0
    auto_stop_minutes: float = 10.0
    stops: bool = False
    size: str = prices.LEAST_SIZE
    usd_per_dbu: float = prices.SQL_USD_PER_DBU


@dataclass(frozen=True, slots=True)
class Price:
    """What the warehouse costs, at list prices.

    Attributes:
        awake_minutes: Minutes a day in which it runs.
        dbu: DBU a day.
        usd: USD a month.
    """

    awake_minutes: float
    dbu: float
    usd: float


def price(choice: WarehouseChoice, traffic: DayTraffic, times: LoadTimes = TIMES) -> Price:
    """Return what the warehouse costs with this traffic.

    Raises:
        KeyError: The size has no known price.
    """
    minutes = sum(
        one.hours * 60 * _awake_share(choice, one.events_per_second, times)
        for one in traffic.phases
    )
    return of_minutes(choice, minutes)


def of_minutes(choice: WarehouseChoice, minutes: float) -> Price:
    """Return what so many minutes a day cost.

    Raises:
        KeyError: The size has no known price.
    """
    dbu = minutes / 60 * prices.SQL_DBU_PER_HOUR[choice.size]
    return Price(minutes, dbu, dbu * choice.usd_per_dbu * prices.MONTH_DAYS)


def _awake_share(choice: WarehouseChoice, rate: float, times: LoadTimes) -> float:
    """Return the share of the time in which the warehouse runs, at one rate of events."""
    if not choice.stops and not choice.auto_stop_minutes:
        return 1.0
    if not rate:
        return 0.0
    freshness = choice.freshness_seconds
    # The load of n = 1 + rate * wait events begins n * event seconds earlier. The lead takes at
    # most half of the freshness.
    wait = (freshness - times.start - times.load - times.event) / (1 + times.event * rate)
    wait = min(max(wait, freshness / 2), times.worth_events / rate)
    load = times.load + times.event * (1 + rate * wait)
    wait = max(wait, load)  # one load at a time
    awake = times.start + load + (times.stop if choice.stops else choice.auto_stop_minutes * 60)
    # A cycle is the time to the first event, which is random with the average 1 / rate, and the
    # wait. Of it the warehouse runs for `awake` at most.
    cycle = 1 / rate + wait
    if wait >= awake:
        return awake / cycle
    return (wait + (1 - math.exp(-rate * (awake - wait))) / rate) / cycle
