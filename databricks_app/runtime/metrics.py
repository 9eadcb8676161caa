"""Prometheus metrics of the receiver, added up over all processes.

Every process writes its own files in PROMETHEUS_MULTIPROC_DIR, which `ciolake serve` sets before
this module is imported. `exposition` adds them up. Label values are closed lists or fingerprints:
nothing that a sender wrote becomes a label.
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
# Bounds of histogram buckets in seconds. Customer.io gives up after 4 s.
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 4)
_PAUSES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 10, 60)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
# More than all label values need together: a mapped file that cannot grow kills its process.
_FILE_BYTES = 128 << 10
# Sums are multiples of 1/_PARTS s, exact up to 2^33 s: a double has 53 bits.
_PARTS = 1 << 20
# Below zero: the timestamp is in the future. 300 s is the default window, 604800 s a week.
_AGES = (-3600, -600, -300, 0, 300, 600, 1800, 3600, 7200, 14400, 86400, 259200, 604800)

# What the library raises for a file that it has not written.
_DAMAGED = (ValueError, RuntimeError, LookupError, struct.error)

log = structlog.get_logger(__name__)


class _Sums(MultiProcessCollector):
    """The sums over all processes, including those that have ended."""

    def __init__(self, registry: CollectorRegistry, folder: Path) -> None:
        self._folder = folder
        # Raises OSError: the library treats a folder that it may not list as an empty one.
        next(folder.iterdir(), None)
        super().__init__(registry, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        try:
            with metric_files.reading(self._folder):
                metrics = list(super().collect())  # type: ignore[no-untyped-call]
        except _DAMAGED as error:
            raise OSError(errno.EIO, "a file of the metrics is damaged") from error
        for metric in metrics:
            if any(float(sample.labels.get("le", 0)) < 0 for sample in metric.samples):
                # A negative value makes the sum smaller, and Prometheus takes that for a restart.
                metric.samples = [one for one in metric.samples if not one.name.endswith("_sum")]
        return metrics


class _Histogram(Histogram):
    """A histogram whose sum does not depend on the order in which processes are added up."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count a value, rounded to about a microsecond."""
        # A sum of arbitrary fractions differs in its last bit with the order, and Prometheus takes
        # a smaller sum for a restart. Multiples of a power of two add up exactly.
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
        self.signature_faults = self._counter(
            "signature_faults",
            "Requests refused because of signature or timestamp, by why it failed.",
            "reason",
        )
        self.stale_age = self._histogram(
            "stale_timestamp_age_seconds",
            "Now minus the timestamp of correctly signed requests outside the window.",
            _AGES,
        )
        self.append = self._histogram(
            "append_seconds", "From a verified body to its durable storage.", _FAST
        )
        self.sender_pause = self._histogram(
            "sender_pause_seconds",
            "From our answer to the next call of the sender, if no other call was in flight.",
            _PAUSES,
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
            "damaged_frames", "Damaged parts of the inbox that could not be read.", "kind"
        )
        self.loads = self._histogram("load_seconds", "Duration of loading a batch.", _SLOW)
        self.load_failures = self._counter("load_failures", "Loads that failed and are repeated.")
        self.wake_ups = self._counter(
            "warehouse_wake_ups", "Loads for which the warehouse was woken or used.", "reason"
        )
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
        """Return a registry with the sums over all processes.

        Without PROMETHEUS_MULTIPROC_DIR it is the registry of this process.

        Raises:
            OSError: The files cannot be read; may also be raised when the registry is collected.
        """
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        return self.registry if folder is None else sums(Path(folder))

    def stale_total(self) -> float:
        """Return how many correctly signed requests had a timestamp outside the window.

        Raises:
            OSError: The files of all processes cannot be read.
        """
        value = self.totals().get_sample_value("ciolake_stale_timestamp_age_seconds_count")
        return value or 0.0

    def exposition(self) -> bytes:
        """Return the sums over all processes in the text format of Prometheus.

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
    """Return the class whose values are in files named by the identity of the process."""
    # Cached, so that a process has one: two of them would write the same file at different offsets.
    made: type = values.MultiProcessValue(process_identifier=process_identity.own)  # type: ignore[no-untyped-call]
    return made


def _reserve() -> None:
    """Make the metric files of this process, with room for everything it may count.

    Without room for them the process counts in its own memory, and the sums do not include it.
    """
    # The files are mapped: on a full file system a write to a page without room is a SIGBUS.
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    # `MutexValue`: an earlier `Metrics` of this process found no room for its files.
    if folder is None or values.ValueClass is values.MutexValue:
        return
    try:
        values.ValueClass = _values_by_identity()
        for kind in ("counter", "histogram"):
            metric_files.allocate(Path(folder) / f"{kind}_{process_identity.own()}.db", _FILE_BYTES)
    except OSError as error:
        log.error("metrics_not_shared", error=type(error).__name__)
        values.ValueClass = values.MutexValue
