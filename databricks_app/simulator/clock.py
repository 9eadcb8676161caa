"""The simulator's time: as fast as the machine's, faster, standing still, or stepped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SimulatedClock:
    """Unix seconds that pass at a speed of their own. Safe to share between threads."""

    def __init__(
        self,
        start: float,
        *,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            start: What the clock says first, in Unix seconds.
            speed: Its seconds to each of the machine's; 0: it moves by `jump_to` alone.
            monotonic: The machine's seconds.
        """
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._begun = self._set = monotonic()
        self._at = start
        self._jumped = 0.0
        self._speed = speed

    def now(self) -> float:
        """What the clock says."""
        with self._lock:
            return self._now()

    @property
    def speed(self) -> float:
        """Its seconds to each of the machine's."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Go on from the same time at another speed."""
        with self._lock:
            self._at, self._set = self._now(), self._monotonic()
            self._speed = speed

    def jump_to(self, at: float) -> None:
        """Say this time from now on; an earlier time changes nothing."""
        with self._lock:
            gap = at - self._now()
            if gap > 0:
                self._at, self._set = at, self._monotonic()
                self._jumped += gap

    def passed(self) -> float:
        """The machine's seconds since the start, and what was jumped over: the time of rate limits.

        A clock that stands still must not keep a limit in force for ever, and a fast one must not
        undo it.
        """
        with self._lock:
            return self._monotonic() - self._begun + self._jumped

    def machine_seconds_until(self, at: float) -> float | None:
        """How long the machine waits for this time; None: it never comes by itself."""
        with self._lock:
            gap = at - self._now()
            if gap <= 0:
                return 0.0
            return gap / self._speed if self._speed else None

    def _now(self) -> float:
        return self._at + (self._monotonic() - self._set) * self._speed
