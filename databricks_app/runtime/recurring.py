"""Log lines about what may come thousands of times a second: one when it begins, one at its end.

Strangers decide how many requests are refused, and a broken disk how many groups fail. So there is
no line for each: a kind begins with its first case, and ends when a minute has passed without one.
A process therefore writes at most one line of each in a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from databricks_app.runtime.logs import raised_at

QUIET_SECONDS = 60.0
ENDED = "_ended"

Level = Literal["info", "warning", "error"]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Period:
    """Since when a kind comes, when it came last, and how often."""

    since: float
    last: float
    times: int


class RecurringLog:
    """Logs the beginning and the end of what recurs. Threads share one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin without any.

        Args:
            monotonic: Seconds.
        """
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._periods: dict[tuple[str, str], _Period] = {}

    def note(
        self,
        event: str,
        kind: str = "",
        facts: Mapping[str, object] | None = None,
        *,
        times: int = 1,
        level: Level = "warning",
    ) -> None:
        """Count cases; log them if they are the first of their kind.

        Args:
            event: Name of the line; that of the end has `_ended` behind it.
            kind: What is told apart under this name; one of a few words, nothing that a client
                wrote. It is `reason` in both lines.
            facts: What else the first line says. No personal data.
            times: How many cases these are.
            level: Of the first line; the end is an `info`.
        """
        now = self._monotonic()
        with self._lock:
            period = self._periods.get((event, kind))
            if period is not None:
                period.last = now
                period.times += times
                return
            self._periods[event, kind] = _Period(now, now, times)
        _write(level, event, kind, facts or {})

    def note_error(
        self, event: str, error: BaseException, facts: Mapping[str, object] | None = None
    ) -> None:
        """Count an error that nobody foresaw: its type, file and line are logged, not its text."""
        name, at = type(error).__name__, raised_at(error)
        self.note(
            event, f"{name} at {at}", {"error": name, "at": at, **(facts or {})}, level="error"
        )

    def sweep(self, *, is_end: bool = False) -> None:
        """Log the end of what has not come for a minute.

        Args:
            is_end: Whether this is the last call: then everything ends.
        """
        if not self._periods:
            return
        latest = self._monotonic() - QUIET_SECONDS
        with self._lock:
            ended = [
                (names, one) for names, one in self._periods.items() if is_end or one.last <= latest
            ]
            for names, _ in ended:
                del self._periods[names]
        for (event, kind), period in ended:
            facts = {
                "times": period.times,
                "seconds": round(period.last - period.since, 1),
                "is_process_ending": is_end,
            }
            _write("info", event + ENDED, kind, facts)


def _write(level: Level, event: str, kind: str, facts: Mapping[str, object]) -> None:
    named = {"reason": kind} if kind else {}
    getattr(log, level)(event, **named, **facts)
