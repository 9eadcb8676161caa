"""Named places where a process can be made to die, so that crash tests reach every step.

Not for production: without `CIO_CRASH_POINT` a call costs one comparison. With it, the process
kills itself (SIGKILL: no clean-up, no flush) when it reaches the named point, or reaches it
for the Nth time with `name:N`. Imports the standard library alone.
"""

from __future__ import annotations

import os
import signal
import threading


class CrashPoint:
    """One armed crash point and how often it was reached.

    Attributes:
        name: The point at which the process dies.
        nth: At which visit; 1 is the first.
    """

    def __init__(self, name: str, nth: int = 1) -> None:
        self.name = name
        self.nth = nth
        self._visits = 0
        self._lock = threading.Lock()  # the typed tables are written by several threads

    @classmethod
    def parse(cls, text: str) -> CrashPoint | None:
        """Read `name` or `name:N`; None of an empty text.

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
        """Count a visit of `name`; whether it is the one to die at."""
        if name != self.name:
            return False
        with self._lock:
            self._visits += 1
            return self._visits == self.nth


_armed: CrashPoint | None = None


def arm(text: str) -> None:
    """Die at `name`, or at the Nth visit of `name:N`; nowhere for an empty text.

    Raises:
        ValueError: N is not a whole number of at least 1.
    """
    global _armed  # one process, one crash point
    _armed = CrashPoint.parse(text)


def is_armed() -> bool:
    """Whether any point is armed: for points too many to be reached in vain."""
    return _armed is not None


def reach(name: str) -> None:
    """Die here if this point is armed."""
    if _armed is not None and _armed.is_due(name):
        os.kill(os.getpid(), signal.SIGKILL)


# Read once: a process is armed by whoever starts it.
arm(os.environ.get("CIO_CRASH_POINT", ""))
