"""Count a load in the metrics, and log it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from core.webhooks import specification

if TYPE_CHECKING:
    from databricks_app.events.decoding import Reading
    from databricks_app.events.record import Record
    from databricks_app.lake import LoadReport
    from databricks_app.runtime.metrics import Metrics

log = structlog.get_logger(__name__)


def count_load(
    metrics: Metrics,
    records: Sequence[Record],
    readings: Sequence[Reading],
    report: LoadReport,
    now: float,
) -> None:
    """Count a load and log it.

    Args:
        metrics: The metrics of this process.
        records: The loaded records; at least one.
        readings: The readings of these records.
        report: The report of the lake.
        now: Unix seconds.
    """
    for (table, metric), rows in report.by_metric.items():
        # A sender must not be able to create labels: Prometheus keeps a time series for each.
        label = metric if metric in specification.metrics() else "other"
        metrics.loaded.labels(table, label).inc(rows)
    for table, duplicates in report.duplicates.items():
        metrics.duplicates.labels(table).inc(duplicates)
    for reason, rows in report.unrouted.items():
        metrics.unrouted.labels(reason.partition(":")[0]).inc(rows)
    unknown = Counter(one.table or "" for one in readings for _ in one.unknown_fields)
    for table, fields in unknown.items():
        metrics.unknown_fields.labels(table).inc(fields)
    metrics.loads.observe(report.seconds)
    oldest = min(record.received_at for record in records).timestamp()
    metrics.lag.observe(max(0.0, now - oldest))
    log.info(
        "batch_loaded",
        events=len(records),
        inserted=sum(report.inserted.values()),
        seconds=round(report.seconds, 3),
    )
