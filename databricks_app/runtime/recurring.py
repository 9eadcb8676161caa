"""Logs the beginning and the end of repeated cases instead of every case.

A kind begins with its first case and ends after a minute without one. So a process writes at most
one line of each kind a minute, however many requests a stranger sends.
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
    """Times of the first and the last case of a kind, and the number of cases."""

    since: float
    last: float
    times: int


class RecurringLog:
    """Logs the beginning and the end of repeated cases. Threads may share one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start without cases.

        Args:
            monotonic: Clock in seconds.
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
            event: Event name of the first line. The last line has `_ended` appended.
            kind: Distinguishes cases of the same event, and is `reason` in both lines. One of a
                few fixed words, nothing that a client wrote.
            facts: More fields of the first line. No personal data.
            times: Number of cases.
            level: Level of the first line; the last line is `info`.
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
        """Count an unforeseen error; log its type, file and line."""
        # Not its text, which may quote a request.
        name, at = type(error).__name__, raised_at(error)
        self.note(
            event, f"{name} at {at}", {"error": name, "at": at, **(facts or {})}, level="error"
        )

    def sweep(self, *, is_end: bool = False) -> None:
        """Log the end of each kind that had no case for a minute.

        Args:
            is_end: Whether the process ends: then every kind ends.
        """
        if not self._periods:  # without the lock: the event loop calls this four times a second
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
