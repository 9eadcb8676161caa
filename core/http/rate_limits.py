"""Rate limits on the client's side, so that the vendor does not have to answer 429.

`RateWindow` is the rule and pure. `Gate` adds a lock for threads.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from core.http import forks


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` calls start in any period of `per_seconds`."""

    limit: int
    per_seconds: float


class RateWindow:
    """A sliding window over the latest calls. Times are seconds of one monotonic clock."""

    # Not a token bucket: that would let nearly twice `limit` calls pass in the first period.

    __slots__ = ("_not_before", "_rate", "_started")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._started: deque[float] = deque(maxlen=rate.limit)
        self._not_before = float("-inf")

    def reserve(self, at: float, max_wait_seconds: float = float("inf")) -> tuple[bool, float]:
        """Reserve the earliest time at which a call may start.

        Args:
            at: Now.
            max_wait_seconds: Nothing is reserved if the call would have to wait longer than this.

        Returns:
            Whether a time was reserved, and the seconds from now until that time.
        """
        # Threads read the clock before they take the lock, so `at` can lie before the latest
        # reserved time. The times must stay in order.
        moment = max(at, self._not_before, self._started[-1] if self._started else at)
        # The oldest call must be at least one period before this one.
        if len(self._started) == self._rate.limit:
            moment = max(moment, self._started[0] + self._rate.per_seconds)
        if moment - at > max_wait_seconds:
            return False, moment - at
        self._started.append(moment)
        return True, moment - at

    def hold(self, until: float) -> None:
        """Start no call before this time, because the vendor asked for it."""
        self._not_before = max(self._not_before, until)


class Gate:
    """A window shared by threads. A forked child starts with an empty window."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        """Start with a new lock and an empty window."""
        # The old lock may be held by a thread that does not exist in the child.
        self._lock = threading.Lock()
        self._window = RateWindow(self._rate)

    def reserve(self, at: float, max_wait_seconds: float) -> tuple[bool, float]:
        """See `RateWindow.reserve`."""
        with self._lock:
            return self._window.reserve(at, max_wait_seconds)

    def hold(self, until: float) -> None:
        """See `RateWindow.hold`."""
        with self._lock:
            self._window.hold(until)
