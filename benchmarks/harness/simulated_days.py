"""A day of events, a warehouse and a loader, simulated: seconds of the model, none of waiting.

The loader follows the product's own policy (`databricks_app.loading.wake_ups`). Everything else is
a model: arrivals at random with a seed, a warehouse that starts, loads, idles and stops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from databricks_app.loading import wake_ups
from databricks_app.loading.wake_ups import Situation, WakeUpPolicy
from databricks_app.operations.costs.model import DayTraffic, LoadTimes

# A Monday, 0:00 UTC.
MIDNIGHT = 1_764_547_200.0
_EVENT_BYTES = 1000
_MANY_A_SECOND = 1.0
_RUNNING = "RUNNING"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Events that arrive at the same time: one, or those of one second. Unix seconds."""

    at: float
    events: int


@dataclass(slots=True)
class ModelWarehouse:
    """A serverless warehouse: when it runs, because of us and because of others.

    Attributes:
        times: How long start and load take.
        auto_stop_seconds: Idle time after which it stops.
        others: From when to when others use it without a longer pause; None for never.
        runs: From when to when it runs because of us; the last one may become longer.
    """

    times: LoadTimes
    auto_stop_seconds: float
    others: tuple[float, float] | None = None
    runs: list[tuple[float, float]] = field(default_factory=list)

    def is_kept_by_others(self, now: float) -> bool:
        """Whether others use it, or have used it so lately that it has not stopped."""
        begin, end = self._others_run
        return begin <= now < end

    def is_running(self, now: float) -> bool:
        """Whether it runs."""
        return self.is_kept_by_others(now) or (bool(self.runs) and now < self.runs[-1][1])

    def load(self, now: float, events: int) -> tuple[float, float]:
        """Load; return the seconds of the start, 0 if it was running, and when the load ends."""
        is_running = self.is_running(now)
        start = 0.0 if is_running else self.times.start
        end = now + start + self.times.load + self.times.event * events
        run = (now, end + self.auto_stop_seconds)
        if self.runs and now <= self.runs[-1][1]:
            run = (self.runs.pop()[0], run[1])
        self.runs.append(run)
        return start, end

    def stop(self, now: float) -> None:
        """Stop it."""
        self.runs[-1] = (self.runs[-1][0], now)

    def own_seconds(self) -> float:
        """Return how long it runs only because of us."""
        begin, end = self._others_run
        return sum(
            (last - first) - max(0.0, min(last, end) - max(first, begin))
            for first, last in self.runs
        )

    @property
    def _others_run(self) -> tuple[float, float]:
        if self.others is None:
            return math.inf, math.inf
        return self.others[0], self.others[1] + self.auto_stop_seconds


@dataclass(frozen=True, slots=True)
class Loaded:
    """Events that were loaded together: when they arrived, how many, and when they were rows."""

    arrived_at: float
    events: int
    row_at: float

    @property
    def age(self) -> float:
        """Seconds from the arrival to the row."""
        return self.row_at - self.arrived_at


def arrivals(traffic: DayTraffic, seed: int, share: float = 1.0) -> list[Arrival]:
    """Return the events of a day, in order; the same seed gives the same events.

    Args:
        traffic: The average rates.
        seed: Seed of the random numbers.
        share: Part of each phase that is simulated.
    """
    random = Random(seed)  # noqa: S311  # a simulation, no secret
    found = []
    begin = MIDNIGHT
    for phase in traffic.phases:
        end = begin + phase.hours * 3600 * share
        rate = phase.events_per_second
        at = begin
        while rate < _MANY_A_SECOND and (at := at + random.expovariate(rate)) < end:
            found.append(Arrival(at, 1))
        while rate >= _MANY_A_SECOND and at < end:
            # The normal distribution is close to Poisson's at these rates.
            if count := max(0, round(random.gauss(rate, math.sqrt(rate)))):
                found.append(Arrival(at + 0.5, count))
            at += 1
        begin = end
    return found


def load_by_interval(
    day: Sequence[Arrival], warehouse: ModelWarehouse, interval_seconds: float
) -> list[Loaded]:
    """Load as releases before did: whatever waits, then pause for the flush interval."""
    loaded: list[Loaded] = []
    now, done = MIDNIGHT, 0
    while done < len(day):
        ready = _arrived(day, done, now)
        if ready > done:
            _, now = _load(day[done:ready], warehouse, now, loaded)
            done = ready
        now += interval_seconds
    return loaded


def load_by_policy(
    day: Sequence[Arrival],
    warehouse: ModelWarehouse,
    policy: WakeUpPolicy,
    *,
    stops: bool = False,
) -> list[Loaded]:
    """Load when the product's policy says so.

    Args:
        day: The events.
        warehouse: The warehouse.
        policy: What is allowed; as in the product, it learns from each load.
        stops: Whether to stop the warehouse after a load, if nobody else uses it.
    """
    loaded: list[Loaded] = []
    now, done = MIDNIGHT, 0
    ready, events = 0, 0
    last_statement_at = MIDNIGHT
    proven_at: float | None = None
    while done < len(day):
        arrived = _arrived(day, ready, now)
        events += sum(one.events for one in day[ready:arrived])
        ready = arrived
        situation = Situation(
            now=now,
            oldest_at=day[done].at if ready > done else None,
            events=events,
            bytes=events * _EVENT_BYTES,
            last_statement_at=last_statement_at,
            auto_stop_seconds=warehouse.auto_stop_seconds,
            proven_at=proven_at,
        )
        decision = wake_ups.decide(policy, situation)
        if decision.is_state_wanted:
            state = _RUNNING if warehouse.is_running(now) else "STOPPED"
            decision = wake_ups.decide(policy, replace(situation, state=state))
        if decision.is_proven is not None:
            proven_at = now if decision.is_proven else None
        if decision.load:
            began = now
            start, now = _load(day[done:ready], warehouse, now, loaded)
            policy = policy.after_load(events, now - began - start, start or None)
            done, events, last_statement_at = ready, 0, now
            if stops and not warehouse.is_kept_by_others(now):
                now += warehouse.times.stop
                warehouse.stop(now)
        now += decision.look_again_seconds
    return loaded


def _arrived(day: Sequence[Arrival], first: int, now: float) -> int:
    """Return the index after the last event that has arrived."""
    while first < len(day) and day[first].at <= now:
        first += 1
    return first


def _load(
    waiting: Sequence[Arrival], warehouse: ModelWarehouse, now: float, loaded: list[Loaded]
) -> tuple[float, float]:
    """Load these events; return the seconds of the start and the end of the load."""
    start, end = warehouse.load(now, sum(one.events for one in waiting))
    loaded += [Loaded(one.at, one.events, end) for one in waiting]
    return start, end


def age_at(loaded: Sequence[Loaded], share: float) -> float:
    """Return a percentile of the ages of the events, in seconds; `share` 1 is the oldest."""
    ordered = sorted((one.age, one.events) for one in loaded)
    wanted = share * sum(events for _, events in ordered)
    for age, events in ordered:
        wanted -= events
        if wanted <= 0:
            return age
    return ordered[-1][0] if ordered else 0.0


SLOW_START = LoadTimes(start=60.0)
SLOW_LOAD = LoadTimes(load=20.0, event=1 / 500)
SLOW = LoadTimes(start=60.0, load=20.0, event=1 / 500)
