"""The scheduler: calls in the order of the time at which they are to be made."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import TypeAlias

ScheduledCall: TypeAlias = Callable[[float], object]


class Scheduler:
    """Calls to be made at a time of the simulator's clock; equal times keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, ScheduledCall]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> float | None:
        """When the next call is to be made, in Unix seconds."""
        return self._heap[0][0] if self._heap else None

    def add(self, at: float, call: ScheduledCall) -> None:
        """Plan a call; it gets the time that it was planned for."""
        self._order += 1
        heappush(self._heap, (at, self._order, call))

    def pop(self) -> tuple[float, ScheduledCall]:
        """Take the next call."""
        at, _, call = heappop(self._heap)
        return at, call
