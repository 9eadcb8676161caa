"""Rate limits kept on our side, so that the vendor need not enforce them.

`RateWindow` is the rule and pure; `Gate` puts a lock around it for threads. Exact: in no stretch of
`per_seconds` do more than `limit` calls begin, whereas a token bucket would let nearly twice as
many pass in the first stretch.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from core.http import forks


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` calls begin in any stretch of `per_seconds`."""

    limit: int
    per_seconds: float


class RateWindow:
    """The calls of the last stretch; times are of one monotonic clock, in seconds."""

    __slots__ = ("_begun", "_not_before", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._begun: deque[float] = deque(maxlen=rate.limit)
        self._not_before = float("-inf")

    def reserve(self, at: float, patience_seconds: float = float("inf")) -> tuple[bool, float]:
        """Reserve the next free moment for a call.

        Args:
            at: Now.
            patience_seconds: Nothing is reserved if the moment is further away than this.

        Returns:
            Whether it was reserved, and the seconds from now until that moment.
        """
        # Threads read the clock before they get here: never before the call reserved last.
        moment = max(at, self._not_before, self._begun[-1] if self._begun else at)
        if len(self._begun) == self._rate.limit:
            moment = max(moment, self._begun[0] + self._rate.per_seconds)
        if moment - at > patience_seconds:
            return False, moment - at
        self._begun.append(moment)
        return True, moment - at

    def hold(self, until: float) -> None:
        """Let no call begin before this moment: the vendor asked for it."""
        self._not_before = max(self._not_before, until)


class Gate:
    """A window that threads share; a forked child begins with an empty one."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        """Begin anew: the lock may be held by a thread that the child does not have."""
        self._lock = threading.Lock()
        self._window = RateWindow(self._rate)

    def reserve(self, at: float, patience_seconds: float) -> tuple[bool, float]:
        """See `RateWindow.reserve`."""
        with self._lock:
            return self._window.reserve(at, patience_seconds)

    def hold(self, until: float) -> None:
        """See `RateWindow.hold`."""
        with self._lock:
            self._window.hold(until)
