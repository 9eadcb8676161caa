"""Deadlines of connections: one ordered list for each kind, checked by a periodic sweep."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Members and the times when they are due, the earliest first."""

    def __init__(self, seconds: float) -> None:
        """Start without members.

        Args:
            seconds: Time from `add` until a member is due.
        """
        # The same time for all members: the list is then always sorted, and a request needs no
        # timer of the loop.
        self._seconds = seconds
        self._due: OrderedDict[T, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, member: T) -> bool:
        return member in self._due

    def __iter__(self) -> Iterator[T]:
        return iter(self._due)

    def add(self, member: T, now: float) -> None:
        """Add a member, or start its time again."""
        self._due[member] = now + self._seconds
        self._due.move_to_end(member)

    def discard(self, member: T) -> None:
        """Remove a member, if it is there."""
        self._due.pop(member, None)

    def oldest(self) -> T | None:
        """Return the member that is due first; None if there is none."""
        return next(iter(self._due), None)

    def due(self, now: float) -> Iterator[T]:
        """Yield the members that are due; each is removed unless the caller adds it again."""
        while self._due:
            member, at = next(iter(self._due.items()))
            if at > now:
                return
            yield member
            if self._due.get(member) == at:
                self.discard(member)

    def shorten(self, seconds: float, now: float) -> None:
        """Limit the time of all members, present and future."""
        self._seconds = min(self._seconds, seconds)
        latest = now + seconds
        for member, at in self._due.items():
            self._due[member] = min(at, latest)
