"""The scheduler: keeps calls that are due later, in the order of their times."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import TypeAlias

ScheduledCall: TypeAlias = Callable[[float], object]


class Scheduler:
    """Calls that are due at a time of the simulator's clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, ScheduledCall]] = []
        self._order = 0  # keeps calls with equal times in the order in which they were added

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> float | None:
        """When the next call is due, in Unix seconds; None: there is none."""
        return self._heap[0][0] if self._heap else None

    def add(self, at: float, call: ScheduledCall) -> None:
        """Schedule a call; it gets the time `at` as its argument."""
        self._order += 1
        heappush(self._heap, (at, self._order, call))

    def pop(self) -> tuple[float, ScheduledCall]:
        """Remove and return the next call with its time."""
        at, _, call = heappop(self._heap)
        return at, call
