"""The events of a workspace over some days, in the order in which they are sent.

Pure: no clock, no I/O; the same `Traffic` gives the same events. It is a stream: only the life
cycles that have not ended yet are in memory.
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
# Traffic by UTC hour relative to the mean: busy from 6 to 22, most in the early evening.
_BY_HOUR = (
    *(0.3, 0.2, 0.2, 0.2, 0.3, 0.5, 0.8, 1.1, 1.3, 1.4, 1.4, 1.3),
    *(1.3, 1.3, 1.3, 1.3, 1.4, 1.6, 1.7, 1.7, 1.5, 1.2, 0.8, 0.5),
)
# Share of messages that are followed by the next message of their campaign, and share of starts
# that are a change of a person without a message.
_NEXT_MESSAGE_SHARE = 0.75
_CUSTOMER_SHARE = 0.04
# An estimate for the first 100 deliveries; after them the counted mean is used.
_FIRST_EVENTS_PER_DELIVERY = 3.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Which events to make.

    Attributes:
        count: Number of different events; repeated events are added to it.
        now: End of the period in which they happen, timezone-aware.
        days: Length of that period in days.
        seed: The same seed makes the same events.
        people: Number of people.
        late: Share of events that are sent hours to days late, after newer ones.
        repeat: Share of events that are sent a second time, with the same id.
        full_resolution: Whether every open and click is reported, or only the first of each.
        with_content: Whether `sent` events contain the message.
        every_kind: Whether each kind of event in the specification occurs at least once.
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


def traffic(options: Traffic) -> Iterator[Event]:
    """Make the events in the order of sending: by time, except late and repeated events.

    Raises:
        ValueError: `every_kind` needs more events than `count`; the text says how many.
    """
    stream = _TrafficStream(options)
    if options.every_kind:
        stream.schedule_every_kind()
    return stream.run()


@dataclass(frozen=True, slots=True)
class _PlannedDelivery:
    """A delivery that is made later: of the message with this index in the source's list."""

    person: SimulatedPerson
    source: Source
    index: int
    journey_id: str | None


@dataclass(frozen=True, slots=True)
class _PlannedEvent:
    """An event that is made later."""

    delivery: SimulatedDelivery
    step: LifecycleStep


_Pending = _PlannedDelivery | _PlannedEvent | Event


class _TrafficStream:
    """The state of one run: what is still to be sent, ordered by time."""

    def __init__(self, options: Traffic) -> None:
        self._options = options
        self._random = Random(options.seed)  # noqa: S311  # imitates people, protects nothing
        self._end = options.now.timestamp()
        self._start = self._end - options.days * _DAY
        self._people = [make_person(self._random, number) for number in range(options.people)]
        self._activity = _Activity(self._start, self._end)
        self._heap: list[tuple[float, int, _Pending]] = []
        self._order = 0
        self._scheduled = 0
        self._started = 0

    def run(self) -> Iterator[Event]:
        """Start journeys one after the other, and send what is due before each start."""
        passed = 0.0
        while self._scheduled < self._options.count:
            # The remaining starts are spread over the remaining period, so that the number of
            # events reaches the count near its end.
            left = self._activity.total - passed
            events_per_start = (
                max(self._scheduled / self._started, 1)
                if self._started > 99
                else _FIRST_EVENTS_PER_DELIVERY
            )
            starts_left = (self._options.count - self._scheduled) / events_per_start
            gap = self._random.expovariate(1.0) * left / max(starts_left, 1.0)
            # A gap beyond the end is replaced by a random start in the remaining period.
            passed += gap if gap < left else left * self._random.random()
            at = self._activity.time_at(passed)
            yield from self._send_until(at)
            self._start_journey(at)
        yield from self._send_until(float("inf"))

    def schedule_every_kind(self) -> None:
        """Schedule life cycles that together have every kind of event, at random times.

        Raises:
            ValueError: They have more events than the count.
        """
        kinds = {(event.object_type, event.metric) for event in specification.events()}
        paths = [path_to(*kind) for kind in sorted(kinds)]
        # Longest first: a long path contains the events of many short ones.
        for path in sorted(paths, key=len, reverse=True):
            if (path[-1].object_type, path[-1].metric) in kinds:
                kinds -= {(step.object_type, step.metric) for step in path}
                self._scheduled += len(path)
                self._schedule_path(path)
        if self._scheduled > self._options.count:
            raise ValueError(f"every kind of event needs a count of at least {self._scheduled}")

    def _schedule_path(self, path: list[LifecycleStep]) -> None:
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

    def _start_journey(self, at: float) -> None:
        """Start a journey, or report a change of a person without a journey."""
        self._started += 1
        person = self._random.choice(self._people)
        if self._random.random() < _CUSTOMER_SHARE:
            metric = self._random.choices(_CUSTOMER_METRICS, _CUSTOMER_SHARES)[0]
            self._schedule(at, SimulatedDelivery(person), [LifecycleStep(0.0, metric, "customer")])
        else:
            source = self._activity.source_at(at, self._random)
            self._deliver(at, _PlannedDelivery(person, source, 0, None))

    def _deliver(self, at: float, planned: _PlannedDelivery) -> None:
        """Make a delivery, and schedule its events and the next message of its journey."""
        source, index = planned.source, planned.index
        delivery = make_delivery(
            self._random,
            planned.person,
            source,
            source.messages[index],
            seconds=at,
            journey_id=planned.journey_id,
        )
        full_resolution = self._options.full_resolution
        steps = lifecycle(delivery, self._random, full_resolution=full_resolution)
        self._schedule(at, delivery, steps)
        if index + 1 < len(source.messages) and self._random.random() < _NEXT_MESSAGE_SHARE:
            then = at + self._random.uniform(0.8, 1.5) * _DAY
            if then <= self._end:
                self._push(
                    then, _PlannedDelivery(planned.person, source, index + 1, delivery.journey_id)
                )

    def _schedule(self, at: float, delivery: SimulatedDelivery, steps: list[LifecycleStep]) -> None:
        """Schedule the steps that happen before the end, but not more than the count."""
        for step in steps[: self._options.count - self._scheduled]:
            if at + step.after_seconds > self._end:
                return
            self._scheduled += 1
            self._push(at + step.after_seconds, _PlannedEvent(delivery, step))

    def _push(self, at: float, pending: _Pending) -> None:
        self._order += 1  # keeps entries with equal times in the order in which they were added
        heappush(self._heap, (at, self._order, pending))

    def _send_until(self, end: float) -> Iterator[Event]:
        """Yield the events that are sent by this time, and make the planned deliveries."""
        random, options = self._random, self._options
        while self._heap and self._heap[0][0] <= end:
            at, _, pending = heappop(self._heap)
            if isinstance(pending, _PlannedDelivery):
                if self._scheduled < options.count:
                    self._deliver(at, pending)
                continue
            if isinstance(pending, _PlannedEvent):
                pending = event_of(
                    pending.delivery,
                    pending.step,
                    at=datetime.fromtimestamp(at, UTC),
                    random=random,
                    with_content=options.with_content,
                )
                if random.random() < options.repeat:
                    self._push(at + random.expovariate(1 / (_HOUR / 2)), pending)
                if random.random() < options.late:
                    self._push(at + min(random.expovariate(1 / (_DAY / 2)), 7 * _DAY), pending)
                    continue
            yield pending


class _Activity:
    """How busy each hour of the period is: by hour of the day, and by the newsletters sent in it.

    Attributes:
        total: The seconds of the period, each weighted by how busy its hour is.
    """

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
        """Return the time at which this much of `total` has passed, in Unix seconds."""
        hour = min(bisect_right(self._passed, passed) - 1, len(self._edges) - 2)
        width = self._passed[hour + 1] - self._passed[hour]
        share = (passed - self._passed[hour]) / width if width else 0.0
        return self._edges[hour] + share * (self._edges[hour + 1] - self._edges[hour])

    def source_at(self, at: float, random: Random) -> Source:
        """Return a random source, by the weights of the hour."""
        return random.choices(SOURCES, cum_weights=_HOUR_WEIGHTS[_hour_of_week(at)])[0]


def _hour_of_week(at: float) -> int:
    return int(at // _HOUR + _EPOCH_HOUR_OF_WEEK) % _HOURS_OF_WEEK


def _weights(hour: int) -> list[float]:
    """Return the cumulative weights of the sources in an hour of the week."""
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
