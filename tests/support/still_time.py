"""Time that does not pass by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.http.client import Timing


class FixedClock:
    """A clock that stands still until a test sets `at`, Unix seconds."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        """Return the time it was set to."""
        return self.at


class StillTime:
    """A clock that moves only when someone sleeps; `slept` are the waits."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.slept.append(seconds)
        self.at += seconds

    def arguments(self) -> dict[str, Any]:
        """Return it as a client's arguments; chance is always one half, the date stands."""
        return {
            "sleep": self.sleep,
            "now": lambda: datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC),
            "monotonic": lambda: self.at,
            "random": lambda: 0.5,
        }

    def clock(self) -> Timing:
        """Return it as the clock of an `HttpClient`."""
        return Timing(**self.arguments())
