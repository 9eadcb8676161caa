"""Messages that are sent without a call: campaigns and transactional messages, at all hours."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from databricks_app.simulator.delivery_engine import SendOptions
from databricks_app.simulator.events.sample_workspace import SOURCES

if TYPE_CHECKING:
    from databricks_app.simulator.delivery_engine import DeliveryEngine
    from databricks_app.simulator.people import SimulatedPeople
    from databricks_app.simulator.scheduler import Scheduler

_HOUR = 3600.0
_SOURCES = [source for source in SOURCES if source.hour_of_week is None]
_WEIGHTS = [source.weight for source in _SOURCES]


class Journeys:
    """Sends random messages to random people, as the campaigns of a workspace would."""

    def __init__(
        self,
        seed: int,
        per_hour: float,
        scheduler: Scheduler,
        engine: DeliveryEngine,
        people: SimulatedPeople,
    ) -> None:
        """Prepare.

        Args:
            seed: Seed of the random generator.
            per_hour: Average number of messages per hour; 0: none.
            scheduler: Schedules them.
            engine: Sends them.
            people: The people who get them.
        """
        self._random = Random(f"{seed}/journeys")  # noqa: S311  # imitates people
        self._per_hour = per_hour
        self._scheduler = scheduler
        self._engine = engine
        self._people = people

    def start(self, at: float) -> None:
        """Schedule the first message after this time; each message schedules the next."""
        if self._per_hour > 0:
            gap = self._random.expovariate(self._per_hour / _HOUR)
            self._scheduler.add(at + gap, self._send)

    def _send(self, at: float) -> None:
        people = list(self._people)
        if people:
            source = self._random.choices(_SOURCES, _WEIGHTS)[0]
            message, person = self._random.choice(source.messages), self._random.choice(people)
            is_blocked = person.is_unsubscribed and source.origin != "transactional"
            self._engine.send(person, source, message, at, SendOptions(is_blocked=is_blocked))
        self.start(at)
