"""What the receiver counts, for Prometheus.

Correct across processes: `ciolake serve` sets PROMETHEUS_MULTIPROC_DIR before anything here is
imported, every process writes its own files there and `exposition` adds them up. Label values are
closed lists or fingerprints: nothing that a sender wrote becomes a label.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 4)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
# More than all label values together need: a mapped file that cannot grow kills its process.
_FILE_BYTES = 128 << 10
_AGES = (-3600, -600, -300, 0, 300, 600, 1800, 3600, 7200, 14400, 86400, 259200, 604800)

log = structlog.get_logger(__name__)


class _Sums(MultiProcessCollector):
    """The sums over all processes; a file may go while it reads, when its process has ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        try:
            return self._collect()
        except FileNotFoundError:
            return self._collect()

    def _collect(self) -> list[Metric]:
        return list(super().collect())  # type: ignore[no-untyped-call]


class Metrics:
    """The instruments of one process."""

    def __init__(self) -> None:
        """Make the instruments, in a registry of their own."""
        _reserve()
        self.registry = CollectorRegistry()
        self.accepted = self._counter(
            "accepted_events", "Requests stored and answered 200, by key.", "key"
        )
        self.accepted_bytes = self._counter("accepted_bytes", "Bytes of accepted bodies.")
        self.rejected = self._counter(
            "rejected_requests",
            "Requests not stored, by reason and by the key that matched, if one did.",
            "reason",
            "key",
        )
        self.stale_age = self._histogram(
            "stale_timestamp_age_seconds",
            "Now minus the timestamp of rightly signed requests outside the window.",
            _AGES,
        )
        self.append = self._histogram(
            "append_seconds", "From a verified body to its durable storage.", _FAST
        )
        self.loaded = self._counter(
            "loaded_rows", "Rows put into a table, by metric of the event.", "table", "metric"
        )
        self.duplicates = self._counter(
            "duplicate_events", "Events whose key a table already held.", "table"
        )
        self.unrouted = self._counter(
            "unrouted_events", "Events kept in the raw table alone, by reason.", "reason"
        )
        self.unknown_fields = self._counter(
            "unknown_fields", "Fields of events that have no column, by table.", "table"
        )
        self.damaged = self._counter(
            "damaged_frames", "Stretches of the inbox that could not be read.", "kind"
        )
        self.loads = self._histogram("load_seconds", "Duration of loading a batch.", _SLOW)
        self.load_failures = self._counter("load_failures", "Loads that failed and are repeated.")
        self.lag = self._histogram(
            "load_lag_seconds",
            "From the receipt of the oldest event of a batch to its load.",
            _SLOW,
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"ciolake_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"ciolake_{name}", meaning, buckets=buckets, registry=self.registry)

    def totals(self) -> CollectorRegistry:
        """Return a registry with the sums over all processes, or this one's if it is alone."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self.registry
        registry = CollectorRegistry()
        _Sums(registry)
        return registry

    def stale_total(self) -> float:
        """Return how many rightly signed requests came with a timestamp outside the window."""
        value = self.totals().get_sample_value("ciolake_stale_timestamp_age_seconds_count")
        return value or 0.0

    def exposition(self) -> bytes:
        """Return all sums in Prometheus' text format."""
        return generate_latest(self.totals())


def _reserve() -> None:
    """Make this process's files with room for all it will ever count.

    They are mapped: on a full file system the first count in a page without room is a SIGBUS.
    Where there is no room now the process counts for itself, and the sums miss it.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None or values.ValueClass is values.MutexValue:
        return
    try:
        for kind in ("counter", "histogram"):
            _allocate(Path(folder) / f"{kind}_{os.getpid()}.db")
    except OSError as error:
        log.error("metrics_not_shared", error=type(error).__name__)
        values.ValueClass = values.MutexValue


def _allocate(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(descriptor, 0, _FILE_BYTES)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
