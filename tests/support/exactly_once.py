"""A clock for tests. Not a test module."""

from __future__ import annotations


class Clock:
    """A clock that stands still until a test sets `at`, Unix seconds."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        """Return the time it was set to."""
        return self.at
