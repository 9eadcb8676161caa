"""The simulator's clock: it runs at any speed, stands still, or jumps forward."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SimulatedClock:
    """A clock in Unix seconds that runs at its own speed. Safe to share between threads."""

    def __init__(
        self,
        start: float,
        *,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            start: The first time that it shows, in Unix seconds.
            speed: Seconds of this clock per second of the machine; 0: only `jump_to` moves it.
            monotonic: Returns seconds of the machine's monotonic clock.
        """
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # The clock showed `_at` when the machine's monotonic clock showed `_set`.
        self._started = self._set = monotonic()
        self._at = start
        self._jumped = 0.0
        self._speed = speed

    def now(self) -> float:
        """Return the current time, in Unix seconds."""
        with self._lock:
            return self._now()

    @property
    def speed(self) -> float:
        """Seconds of this clock per second of the machine."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Change the speed; the current time does not change."""
        with self._lock:
            self._at, self._set = self._now(), self._monotonic()
            self._speed = speed

    def jump_to(self, at: float) -> None:
        """Set the clock forward to this time; an earlier time has no effect."""
        with self._lock:
            gap = at - self._now()
            if gap > 0:
                self._at, self._set = at, self._monotonic()
                self._jumped += gap

    def elapsed(self) -> float:
        """Return the machine's seconds since the start plus all jumps: the time of rate limits."""
        # Not the time of this clock: while it stands still a limit would never end, and at a high
        # speed no limit would be reached.
        with self._lock:
            return self._monotonic() - self._started + self._jumped

    def machine_seconds_until(self, at: float) -> float | None:
        """Return how long the machine must wait until this time; None: the clock stands still."""
        with self._lock:
            gap = at - self._now()
            if gap <= 0:
                return 0.0
            return gap / self._speed if self._speed else None

    def _now(self) -> float:
        return self._at + (self._monotonic() - self._set) * self._speed
