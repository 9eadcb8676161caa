"""One log line a minute with what came and went, for whom nobody scrapes `/metrics`.

The supervisor writes it: it outlives the workers, and only it adds up their metric files.
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

# A disk that hangs must not hold up the supervisor for longer.
PERIOD_SECONDS = 59.0  # the supervisor looks every 60
_PENDING_SECONDS = 2.0
_RAW_TABLE = "webhook_raw_events"

log = structlog.get_logger(__name__)


class TrafficSummary:
    """Writes what the processes have counted since the line before."""

    def __init__(
        self,
        folder: Path,
        pending: Callable[[], Pending | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin with nothing counted.

        Args:
            folder: Of the metric files.
            pending: Counts what is stored and not loaded; None if nobody knows.
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
            log.info("traffic", **since.facts(), **self._pending_facts())
        except Exception as error:  # noqa: BLE001  # the supervisor's death would end all
            log.warning("traffic_not_written", error=type(error).__name__, at=raised_at(error))

    def _pending_facts(self) -> dict[str, object]:
        """Return how much waits to be loaded, and for how long; empty if nobody knows in time."""
        found: list[Pending | None] = []

        def count() -> None:
            try:
                found.append(self._pending())
            except (OSError, ValueError):
                found.append(None)  # the loader and `/readyz` say why

        if self._counting is None or not self._counting.is_alive():
            self._counting = threading.Thread(target=count, name="pending", daemon=True)
            self._counting.start()
            self._counting.join(_PENDING_SECONDS)
        if not found or found[0] is None:
            return {}
        oldest_at = found[0].oldest_at
        lag = 0.0 if oldest_at is None else max(0.0, self._now() - oldest_at.timestamp())
        return {"pending": found[0].events, "load_lag_seconds": round(lag, 1)}


class _Counts:
    """What was counted: since the start, or between two such."""

    def __init__(self) -> None:
        self.accepted = 0
        self.loaded = 0
        self.refused: Counter[str] = Counter()
        self.answers: dict[float, int] = {}

    @classmethod
    def read(cls, folder: Path) -> _Counts:
        """Add up the metric files; `answers` are those of each bucket, by its upper bound."""
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
        """Return what was counted in between."""
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

    def facts(self) -> dict[str, object]:
        said: dict[str, object] = {
            "accepted": self.accepted,
            "refused": dict(self.refused),
            "loaded": self.loaded,
        }
        if any(self.answers.values()):
            for share in (50, 99):
                seconds = quantile(self.answers, share / 100)
                said[f"p{share}_ms"] = round(seconds * 1000, 1)
        return said


def quantile(buckets: Mapping[float, int], share: float) -> float:
    """Estimate a quantile as Prometheus does, by interpolation within a bucket.

    Args:
        buckets: How many are at most so large, by upper bound, the last one infinite; not all 0.
        share: Of all, between 0 and 1.
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
