"""Crash points: named places where a test can kill the process.

Not for production. With `CIO_CRASH_POINT` the process kills itself (SIGKILL: no clean-up, no flush)
when it reaches the named point; with `name:N` when it reaches the point for the Nth time. Without
it a call costs one comparison. Imports only the standard library.
"""

from __future__ import annotations

import os
import signal
import threading


class CrashPoint:
    """An armed crash point, and how often it was reached.

    Attributes:
        name: The point at which the process dies.
        nth: The visit at which it dies; 1 is the first.
    """

    def __init__(self, name: str, nth: int = 1) -> None:
        self.name = name
        self.nth = nth
        self._visits = 0
        self._lock = threading.Lock()  # the typed tables are written by several threads

    @classmethod
    def parse(cls, text: str) -> CrashPoint | None:
        """Parse `name` or `name:N`; return None for an empty text.

        Raises:
            ValueError: N is not a whole number of at least 1.
        """
        name, _, count = text.strip().partition(":")
        if not name:
            return None
        nth = int(count) if count else 1
        if nth < 1:
            raise ValueError("CIO_CRASH_POINT counts visits from 1")
        return cls(name, nth)

    def is_due(self, name: str) -> bool:
        """Count a visit of `name`; return whether the process should die now."""
        if name != self.name:
            return False
        with self._lock:
            self._visits += 1
            return self._visits == self.nth


_armed: CrashPoint | None = None


def arm(text: str) -> None:
    """Arm the point `name`, or the Nth visit of `name:N`; an empty text disarms.

    Raises:
        ValueError: N is not a whole number of at least 1.
    """
    global _armed  # one process, one crash point
    _armed = CrashPoint.parse(text)


def is_armed() -> bool:
    """Return whether a point is armed, for callers with very many points."""
    return _armed is not None


def reach(name: str) -> None:
    """Kill the process if this point is armed."""
    if _armed is not None and _armed.is_due(name):
        os.kill(os.getpid(), signal.SIGKILL)


# Read once at import: the process that starts this one sets the variable.
arm(os.environ.get("CIO_CRASH_POINT", ""))
