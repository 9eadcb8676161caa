"""Segments of people: manual segments, and segments with a filter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from databricks_app.simulator.filters import Predicate, compile_filter

if TYPE_CHECKING:
    from databricks_app.simulator.people import Profile, SimulatedPeople

_PREDEFINED: tuple[tuple[str, object], ...] = (
    ("Everyone", {"attribute": {"field": "cio_id", "operator": "exists"}}),
    ("Unsubscribed", {"attribute": {"field": "unsubscribed", "operator": "eq", "value": "true"}}),
)


@dataclass(slots=True)
class SimulatedSegment:
    """A segment.

    Attributes:
        id: Its number.
        name: Its display name.
        description: Its description.
        predicate: Decides who is in it; None for a manual segment.
        members: `cio_id` of each person in a manual segment, in the order in which they were added.
    """

    id: int
    name: str
    description: str = ""
    predicate: Predicate | None = None
    members: dict[str, None] = field(default_factory=dict)

    def has(self, profile: Profile) -> bool:
        """Return whether a person is in the segment."""
        if self.predicate is None:
            return profile.cio_id in self.members
        return self.predicate(profile)


class SimulatedSegments:
    """All segments by their number; two of them exist from the start."""

    def __init__(self, people: SimulatedPeople) -> None:
        self._people = people
        self._last_id = 0
        self.all: dict[int, SimulatedSegment] = {}
        for name, condition in _PREDEFINED:
            self.add(name).predicate = compile_filter(condition, self.is_in)

    def add(self, name: str, description: str = "") -> SimulatedSegment:
        """Add an empty manual segment."""
        self._last_id += 1
        segment = self.all[self._last_id] = SimulatedSegment(self._last_id, name, description)
        return segment

    def is_in(self, number: int, profile: Profile) -> bool:
        """Return whether a person is in a segment; a segment that does not exist is empty."""
        segment = self.all.get(number)
        return segment is not None and segment.has(profile)

    def members(self, segment: SimulatedSegment) -> list[Profile]:
        """Return the people in a segment."""
        return [profile for profile in self._people if segment.has(profile)]
