"""What the receiver counts, for Prometheus.

Correct across processes: `ciolake serve` sets PROMETHEUS_MULTIPROC_DIR before anything here is
imported, every process writes its own files there and `exposition` adds them up. Label values are
closed lists or fingerprints: nothing that a sender wrote becomes a label.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable
from functools import cache
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

from databricks_app.runtime import metric_files, process_identity

CONTENT_TYPE = CONTENT_TYPE_LATEST
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 4)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
# More than all label values together need: a mapped file that cannot grow kills its process.
_FILE_BYTES = 128 << 10
# Exact up to 2^33 s: a double has 53 bits.
_PARTS = 1 << 20
_AGES = (-3600, -600, -300, 0, 300, 600, 1800, 3600, 7200, 14400, 86400, 259200, 604800)

# What the library raises for a file that is none of its own.
_DAMAGED = (ValueError, RuntimeError, LookupError, struct.error)

log = structlog.get_logger(__name__)


class _Sums(MultiProcessCollector):
    """The sums over all processes, of those that have ended too."""

    def __init__(self, registry: CollectorRegistry, folder: Path) -> None:
        self._folder = folder
        # The library takes a folder that it may not list for an empty one.
        next(folder.iterdir(), None)
        super().__init__(registry, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        found = self._collect()
        for metric in found:
            if any(float(sample.labels.get("le", 0)) < 0 for sample in metric.samples):
                # Its sum falls with each value below zero, and no counter may.
                metric.samples = [one for one in metric.samples if not one.name.endswith("_sum")]
        return found

    def _collect(self) -> list[Metric]:
        try:
            with metric_files.reading(self._folder):
                return list(super().collect())  # type: ignore[no-untyped-call]
        except _DAMAGED as error:
            raise OSError(errno.EIO, "a file of the metrics is damaged") from error


class _Histogram(Histogram):
    """A histogram whose sum is the same in whatever order processes are added up.

    Sums of arbitrary fractions differ in their last bit with the order, and a sum that is less by
    that bit is a restart to Prometheus. Multiples of a power of two add up exactly.
    """

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count a value, rounded to a microsecond or so."""
        super().observe(round(amount * _PARTS) / _PARTS, exemplar)


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
        return _Histogram(f"ciolake_{name}", meaning, buckets=buckets, registry=self.registry)

    def totals(self) -> CollectorRegistry:
        """Return a registry with the sums over all processes, or this one's if it is alone.

        Raises:
            OSError: Their files cannot be read; also when the registry is collected.
        """
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder is None:
            return self.registry
        return sums(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))

    def stale_total(self) -> float:
        """Return how many rightly signed requests came with a timestamp outside the window.

        Raises:
            OSError: The files of all processes cannot be read.
        """
        value = self.totals().get_sample_value("ciolake_stale_timestamp_age_seconds_count")
        return value or 0.0

    def exposition(self) -> bytes:
        """Return all sums in Prometheus' text format.

        Raises:
            OSError: The files of all processes cannot be read.
        """
        return generate_latest(self.totals())


def sums(folder: Path) -> CollectorRegistry:
    """Return a registry with the sums over all processes that share this folder."""
    registry = CollectorRegistry()
    _Sums(registry, folder)
    return registry


@cache
def _values_by_identity() -> type:
    """Return the class of values in files that are named by the identity of the process."""
    # Once a process: two of them would write the same file, each at its own places.
    made: type = values.MultiProcessValue(process_identifier=process_identity.own)  # type: ignore[no-untyped-call]
    return made


def _reserve() -> None:
    """Make this process's files with room for all it will ever count.

    They are mapped: on a full file system the first count in a page without room is a SIGBUS.
    Where there is no room now the process counts for itself, and the sums miss it.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None or values.ValueClass is values.MutexValue:
        return
    try:
        values.ValueClass = _values_by_identity()
        for kind in ("counter", "histogram"):
            metric_files.allocate(Path(folder) / f"{kind}_{process_identity.own()}.db", _FILE_BYTES)
    except OSError as error:
        log.error("metrics_not_shared", error=type(error).__name__)
        values.ValueClass = values.MutexValue
