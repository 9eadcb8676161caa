"""Segments of people: manual ones, and those that a filter makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from databricks_app.simulator.filters import Test, compile_filter

if TYPE_CHECKING:
    from databricks_app.simulator.people import Profile, SimulatedPeople

_MADE: tuple[tuple[str, object], ...] = (
    ("Everyone", {"attribute": {"field": "cio_id", "operator": "exists"}}),
    ("Unsubscribed", {"attribute": {"field": "unsubscribed", "operator": "eq", "value": "true"}}),
)


@dataclass(slots=True)
class SimulatedSegment:
    """A segment.

    Attributes:
        id: Its number.
        name: For people.
        description: For people too.
        test: Who is in it; None: a manual one.
        members: `cio_id` of each person in a manual one, in the order they came.
    """

    id: int
    name: str
    description: str = ""
    test: Test | None = None
    members: dict[str, None] = field(default_factory=dict)

    def has(self, profile: Profile) -> bool:
        """Whether a person is in it."""
        return profile.cio_id in self.members if self.test is None else self.test(profile)


class SimulatedSegments:
    """All segments by their number; two are there from the start."""

    def __init__(self, people: SimulatedPeople) -> None:
        self._people = people
        self._last_id = 0
        self.all: dict[int, SimulatedSegment] = {}
        for name, condition in _MADE:
            self.add(name).test = compile_filter(condition, self.is_in)

    def add(self, name: str, description: str = "") -> SimulatedSegment:
        """Make an empty manual segment."""
        self._last_id += 1
        segment = self.all[self._last_id] = SimulatedSegment(self._last_id, name, description)
        return segment

    def is_in(self, number: int, profile: Profile) -> bool:
        """Whether a person is in a segment; nobody is in one that does not exist."""
        segment = self.all.get(number)
        return segment is not None and segment.has(profile)

    def members(self, segment: SimulatedSegment) -> list[Profile]:
        """Who is in it."""
        return [profile for profile in self._people if segment.has(profile)]
