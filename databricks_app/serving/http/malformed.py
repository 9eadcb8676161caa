"""Log lines about bytes that are no request: one when a kind begins, then one a minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

PERIOD_SECONDS = 60.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Period:
    """Since when a kind is counted, and how often it came after the line that said so."""

    since: float
    status: int
    more: int = 0


class Refusals:
    """Logs refusals without a line for each: strangers decide how many there are."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begin without any.

        Args:
            monotonic: Seconds.
        """
        self._monotonic = monotonic
        self._periods: dict[str, _Period] = {}

    def note(self, status: int, kind: str) -> None:
        """Count one; log it if it is the first of its kind.

        Args:
            status: The answer.
            kind: One of a few words; nothing that a client wrote.
        """
        period = self._periods.get(kind)
        if period is not None:
            period.more += 1
            return
        self._periods[kind] = _Period(self._monotonic(), status)
        log.warning("request_refused_by_server", error=kind, status=status)

    def sweep(self, *, is_end: bool = False) -> None:
        """Log what came since, where a minute is over; a kind that stays away is forgotten.

        Args:
            is_end: Whether this is the last call.
        """
        now = self._monotonic()
        for kind, period in list(self._periods.items()):
            if not is_end and now - period.since < PERIOD_SECONDS:
                continue
            if period.more:
                log.warning(
                    "requests_refused_by_server",
                    error=kind,
                    status=period.status,
                    requests=period.more,
                    seconds=round(now - period.since),
                )
                period.since, period.more = now, 0
            else:
                del self._periods[kind]
