"""Logs a summary of the traffic once a minute, for receivers whose `/metrics` nobody scrapes.

The supervisor writes it: it lives longer than the workers, and it alone adds up their metric files.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from databricks_app.ingest.inbox import Pending
from databricks_app.runtime.logs import raised_at
from databricks_app.runtime.metrics import sums

# The supervisor calls every 60 s; a period of 60 s would sometimes skip a minute.
PERIOD_SECONDS = 59.0
# A disk that hangs must not stop the supervisor for longer than this.
_PENDING_SECONDS = 2.0
_RAW_TABLE = "webhook_raw_events"

log = structlog.get_logger(__name__)


class TrafficSummary:
    """Logs what the processes have counted since the last line."""

    def __init__(
        self,
        folder: Path,
        pending: Callable[[], Pending | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Start with all counts at zero.

        Args:
            folder: Folder of the metric files.
            pending: Counts the events that are stored and not loaded; None if unknown.
            now: Unix seconds.
        """
        self._folder = folder
        self._pending = pending
        self._now = now
        self._written = _Counts()
        self._due = time.monotonic() + PERIOD_SECONDS
        self._counting: threading.Thread | None = None

    def write_if_due(self) -> None:
        """Write the line if a minute has passed since the last one. Never raises."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + PERIOD_SECONDS
            self.write()

    def write(self) -> None:
        """Write the line, if anything was accepted, refused or loaded. Never raises."""
        try:
            counts = _Counts.read(self._folder)
            since = counts.since(self._written)
            self._written = counts
            if since.is_empty:
                return
            log.info("traffic", **since.fields(), **self._pending_fields())
        except Exception as error:  # noqa: BLE001  # the supervisor's death would end everything
            log.warning("traffic_not_written", error=type(error).__name__, at=raised_at(error))

    def _pending_fields(self) -> dict[str, object]:
        """Return how many events wait to be loaded and for how long; empty if not known in time."""
        counted: list[Pending | None] = []

        def count() -> None:
            try:
                counted.append(self._pending())
            except (OSError, ValueError):
                counted.append(None)  # the loader and `/readyz` say why

        # A count that still hangs on the disk is not started a second time.
        if self._counting is None or not self._counting.is_alive():
            self._counting = threading.Thread(target=count, name="pending", daemon=True)
            self._counting.start()
            self._counting.join(_PENDING_SECONDS)
        if not counted or counted[0] is None:
            return {}
        oldest_at = counted[0].oldest_at
        lag = 0.0 if oldest_at is None else max(0.0, self._now() - oldest_at.timestamp())
        return {"pending": counted[0].events, "load_lag_seconds": round(lag, 1)}


class _Counts:
    """Totals since the start, or the difference between two of them."""

    def __init__(self) -> None:
        self.accepted = 0
        self.loaded = 0
        self.refused: Counter[str] = Counter()
        self.answers: dict[float, int] = {}

    @classmethod
    def read(cls, folder: Path) -> _Counts:
        """Add up the metric files; `answers` has the cumulative count of each histogram bucket."""
        found = cls()
        for family in sums(folder).collect():
            for sample in family.samples:
                labels, value = sample.labels, round(sample.value)
                if sample.name == "ciolake_accepted_events_total":
                    found.accepted += value
                elif sample.name == "ciolake_rejected_requests_total":
                    found.refused[labels["reason"]] += value
                elif sample.name == "ciolake_append_seconds_bucket":
                    found.answers[float(labels["le"])] = value
                elif sample.name == "ciolake_loaded_rows_total" and labels["table"] == _RAW_TABLE:
                    found.loaded += value
        return found

    def since(self, before: _Counts) -> _Counts:
        """Return the difference to earlier totals."""
        found = _Counts()
        found.accepted = self.accepted - before.accepted
        found.loaded = self.loaded - before.loaded
        found.refused = self.refused - before.refused
        found.answers = {
            bound: number - before.answers.get(bound, 0) for bound, number in self.answers.items()
        }
        return found

    @property
    def is_empty(self) -> bool:
        return self.accepted <= 0 and self.loaded <= 0 and not self.refused

    def fields(self) -> dict[str, object]:
        fields: dict[str, object] = {
            "accepted": self.accepted,
            "refused": dict(self.refused),
            "loaded": self.loaded,
        }
        if any(self.answers.values()):
            for share in (50, 99):
                seconds = quantile(self.answers, share / 100)
                fields[f"p{share}_ms"] = round(seconds * 1000, 1)
        return fields


def quantile(buckets: Mapping[float, int], share: float) -> float:
    """Estimate a quantile by linear interpolation within a bucket, as Prometheus does.

    Args:
        buckets: Cumulative counts by upper bound. The last bound is infinite; not all are 0.
        share: The quantile, between 0 and 1.
    """
    wanted = share * max(buckets.values())
    lower = below = 0.0
    for bound in sorted(buckets):
        if buckets[bound] >= wanted:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (wanted - below) / (buckets[bound] - below)
        lower, below = bound, buckets[bound]
    return lower
