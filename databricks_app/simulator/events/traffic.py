"""The events of a workspace over some days, in the order in which they are sent.

Pure: no clock, no I/O; the same `Traffic` gives the same events. Works as a stream: what it keeps
in memory are the life cycles that are not over yet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import accumulate
from random import Random

from core.webhooks import specification
from databricks_app.simulator.events.message_lifecycle import (
    LifecycleStep,
    event_of,
    lifecycle,
    path_to,
)
from databricks_app.simulator.events.payload import Event, SimulatedDelivery, make_delivery
from databricks_app.simulator.events.sample_workspace import (
    SOURCES,
    SimulatedPerson,
    Source,
    make_person,
)

_HOUR, _DAY = 3600, 86400
_HOURS_OF_WEEK = 168
# People are awake from 6 to 22 UTC, most so in the early evening; the mean is 1.
_BY_HOUR = (
    *(0.3, 0.2, 0.2, 0.2, 0.3, 0.5, 0.8, 1.1, 1.3, 1.4, 1.4, 1.3),
    *(1.3, 1.3, 1.3, 1.3, 1.4, 1.6, 1.7, 1.7, 1.5, 1.2, 0.8, 0.5),
)
_NEXT_MESSAGE_SHARE = 0.75
_CUSTOMER_SHARE = 0.04
_EVENTS_OF_A_MESSAGE = 3.0  # a first guess, soon replaced by what was counted


@dataclass(frozen=True, slots=True)
class Traffic:
    """What to make.

    Attributes:
        count: Different events; those sent again come on top.
        now: The end of the time in which they happen, timezone-aware.
        days: How long that time is.
        seed: The same seed makes the same events.
        people: How many people there are.
        late: Share of events that are sent hours to days after younger ones.
        repeat: Share of events that are sent a second time, with the same id.
        full_resolution: Whether every open and click is reported, or the first of each only.
        with_content: Whether `sent` events carry the message.
        every_kind: Whether each kind of event that the facts know occurs at least once.
    """

    count: int
    now: datetime
    days: float = 7.0
    seed: int = 0
    people: int = 5000
    late: float = 0.0
    repeat: float = 0.0
    full_resolution: bool = True
    with_content: bool = False
    every_kind: bool = False


def traffic(wanted: Traffic) -> Iterator[Event]:
    """Make the events, one after the other in the order of sending.

    That is the order of their time, but for those that are late or sent again.

    Raises:
        ValueError: `every_kind` takes more events than `count`; says how many.
    """
    stream = _TrafficStream(wanted)
    if wanted.every_kind:
        stream.begin_every_kind()
    return stream.run()


@dataclass(frozen=True, slots=True)
class _PlannedDelivery:
    """A delivery yet to be made: the message at this place of a source's list."""

    person: SimulatedPerson
    source: Source
    place: int
    journey_id: str | None


@dataclass(frozen=True, slots=True)
class _PlannedEvent:
    """An event yet to be made."""

    delivery: SimulatedDelivery
    step: LifecycleStep


_Pending = _PlannedDelivery | _PlannedEvent | Event


class _TrafficStream:
    """The state of one run: what is pending, ordered by when it is to be sent."""

    def __init__(self, wanted: Traffic) -> None:
        self._wanted = wanted
        self._random = Random(wanted.seed)  # noqa: S311  # imitates people, protects nothing
        self._end = wanted.now.timestamp()
        self._start = self._end - wanted.days * _DAY
        self._people = [make_person(self._random, number) for number in range(wanted.people)]
        self._rhythm = _Rhythm(self._start, self._end)
        self._heap: list[tuple[float, int, _Pending]] = []
        self._order = 0
        self._scheduled = 0
        self._begun = 0

    def run(self) -> Iterator[Event]:
        """Alternate between starting journeys and sending what is due before the next start."""
        passed = 0.0
        while self._scheduled < self._wanted.count:
            left = self._rhythm.total - passed
            events_each = (
                max(self._scheduled / self._begun, 1) if self._begun > 99 else _EVENTS_OF_A_MESSAGE
            )
            deliveries_left = (self._wanted.count - self._scheduled) / events_each
            gap = self._random.expovariate(1.0) * left / max(deliveries_left, 1.0)
            passed += gap if gap < left else left * self._random.random()
            at = self._rhythm.time_at(passed)
            yield from self._send_until(at)
            self._begin(at)
        yield from self._send_until(float("inf"))

    def begin_every_kind(self) -> None:
        """Schedule life cycles that have every kind of event, at any time.

        Raises:
            ValueError: They have more events than are wanted.
        """
        kinds = {(event.object_type, event.metric) for event in specification.events()}
        paths = [path_to(*kind) for kind in sorted(kinds)]
        for path in sorted(paths, key=len, reverse=True):
            if (path[-1].object_type, path[-1].metric) in kinds:
                kinds -= {(step.object_type, step.metric) for step in path}
                self._scheduled += len(path)
                self._begin_path(path)
        if self._scheduled > self._wanted.count:
            raise ValueError(f"every kind of event takes a count of at least {self._scheduled}")

    def _begin_path(self, path: list[LifecycleStep]) -> None:
        object_type = path[0].object_type
        latest = max(self._end - path[-1].after_seconds, self._start)
        at = self._random.uniform(self._start, latest)
        person = self._random.choice(self._people)
        delivery = SimulatedDelivery(person)
        if object_type != "customer":
            source, message = _BY_CHANNEL[object_type]
            delivery = make_delivery(self._random, person, source, message, seconds=at)
        for step in path:
            self._push(min(at + step.after_seconds, self._end), _PlannedEvent(delivery, step))

    def _begin(self, at: float) -> None:
        """Start a journey, or change a person without one."""
        self._begun += 1
        person = self._random.choice(self._people)
        if self._random.random() < _CUSTOMER_SHARE:
            metric = self._random.choices(_CUSTOMER_METRICS, _CUSTOMER_SHARES)[0]
            self._schedule(at, SimulatedDelivery(person), [LifecycleStep(0.0, metric, "customer")])
        else:
            self._begin_delivery(
                at, _PlannedDelivery(person, self._rhythm.source_at(at, self._random), 0, None)
            )

    def _begin_delivery(self, at: float, planned: _PlannedDelivery) -> None:
        """Make a delivery, schedule its events, and the journey's next message days later."""
        source, place, wanted = planned.source, planned.place, self._wanted
        delivery = make_delivery(
            self._random,
            planned.person,
            source,
            source.messages[place],
            seconds=at,
            journey_id=planned.journey_id,
        )
        steps = lifecycle(delivery, self._random, full_resolution=wanted.full_resolution)
        self._schedule(at, delivery, steps)
        if place + 1 < len(source.messages) and self._random.random() < _NEXT_MESSAGE_SHARE:
            then = at + self._random.uniform(0.8, 1.5) * _DAY
            if then <= self._end:
                self._push(
                    then, _PlannedDelivery(planned.person, source, place + 1, delivery.journey_id)
                )

    def _schedule(self, at: float, delivery: SimulatedDelivery, steps: list[LifecycleStep]) -> None:
        """Plan those steps that have happened by the end, as many as are still wanted."""
        for step in steps[: self._wanted.count - self._scheduled]:
            if at + step.after_seconds > self._end:
                return
            self._scheduled += 1
            self._push(at + step.after_seconds, _PlannedEvent(delivery, step))

    def _push(self, at: float, pending: _Pending) -> None:
        self._order += 1  # equal times keep the order in which they were planned
        heappush(self._heap, (at, self._order, pending))

    def _send_until(self, end: float) -> Iterator[Event]:
        random, wanted = self._random, self._wanted
        while self._heap and self._heap[0][0] <= end:
            at, _, pending = heappop(self._heap)
            if isinstance(pending, _PlannedDelivery):
                if self._scheduled < wanted.count:
                    self._begin_delivery(at, pending)
                continue
            if isinstance(pending, _PlannedEvent):
                pending = self._make(at, pending)
                if random.random() < wanted.repeat:
                    self._push(at + random.expovariate(1 / (_HOUR / 2)), pending)
                if random.random() < wanted.late:
                    self._push(at + min(random.expovariate(1 / (_DAY / 2)), 7 * _DAY), pending)
                    continue
            yield pending

    def _make(self, at: float, due: _PlannedEvent) -> Event:
        return event_of(
            due.delivery,
            due.step,
            at=datetime.fromtimestamp(at, UTC),
            random=self._random,
            with_content=self._wanted.with_content,
        )


class _Rhythm:
    """How busy each hour is: people's days, and the hours in which newsletters go out."""

    def __init__(self, start: float, end: float) -> None:
        self._start = start
        first, last = int(start // _HOUR), int(end // _HOUR)
        edges = [start, *(hour * _HOUR for hour in range(first + 1, last + 1)), end]
        weights = [_HOUR_WEIGHTS[_hour_of_week(edge)][-1] for edge in edges[:-1]]
        spans = zip(edges, edges[1:], weights, strict=False)
        self._edges = edges
        self._passed = [0.0, *accumulate((to - at) * weight for at, to, weight in spans)]
        self.total = self._passed[-1]

    def time_at(self, passed: float) -> float:
        """When this much of `total` has passed, in Unix seconds."""
        hour = min(bisect_right(self._passed, passed) - 1, len(self._edges) - 2)
        width = self._passed[hour + 1] - self._passed[hour]
        share = (passed - self._passed[hour]) / width if width else 0.0
        return self._edges[hour] + share * (self._edges[hour + 1] - self._edges[hour])

    def source_at(self, at: float, random: Random) -> Source:
        """Any of the sources that are at work at a time."""
        return random.choices(SOURCES, cum_weights=_HOUR_WEIGHTS[_hour_of_week(at)])[0]


def _hour_of_week(at: float) -> int:
    return int(at // _HOUR + _EPOCH_HOUR_OF_WEEK) % _HOURS_OF_WEEK


def _weights(hour: int) -> list[float]:
    """Cumulative weights of the sources in an hour of the week."""
    return list(
        accumulate(
            source.weight * _BY_HOUR[hour % 24]
            if source.hour_of_week is None
            else source.weight * (source.hour_of_week == hour)
            for source in SOURCES
        )
    )


_EPOCH_HOUR_OF_WEEK = 3 * 24  # 1970-01-01 was a Thursday
_HOUR_WEIGHTS = [_weights(hour) for hour in range(_HOURS_OF_WEEK)]
_BY_CHANNEL = {
    message.channel: (source, message) for source in SOURCES for message in source.messages
}
_CUSTOMER_METRICS = ("subscribed", "unsubscribed", "cio_subscription_preferences_changed")
_CUSTOMER_SHARES = (6, 2, 3)
