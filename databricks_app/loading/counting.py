"""Count a load in the metrics, and log it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from core.webhooks import specification

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from databricks_app.events.decoding import Reading
    from databricks_app.events.record import Record
    from databricks_app.ingest.inbox import Batch
    from databricks_app.lake import LoadReport
    from databricks_app.runtime.metrics import Metrics

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Offered:
    """What a load has been given so far.

    Attributes:
        events: Number of events.
        oldest_at: When the oldest was received, UTC; None without events.
        unknown_fields: Number of payload fields without a column, by table; "" is no table.
    """

    events: int = 0
    oldest_at: datetime | None = None
    unknown_fields: Counter[str] = field(default_factory=Counter)

    def add(self, records: Sequence[Record], readings: Sequence[Reading]) -> None:
        """Add records, at least one, and their readings."""
        self.events += len(records)
        oldest_at = min(record.received_at for record in records)
        self.oldest_at = oldest_at if self.oldest_at is None else min(self.oldest_at, oldest_at)
        self.unknown_fields.update(one.table or "" for one in readings for _ in one.unknown_fields)


def count_load(metrics: Metrics, offered: Offered, report: LoadReport, now: float) -> None:
    """Count a load and log it.

    Args:
        metrics: The metrics of this process.
        offered: What was loaded; at least one event.
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
    for table, fields in offered.unknown_fields.items():
        metrics.unknown_fields.labels(table).inc(fields)
    metrics.loads.observe(report.seconds)
    if offered.oldest_at is not None:
        metrics.lag.observe(max(0.0, now - offered.oldest_at.timestamp()))
    log.info(
        "batch_loaded",
        events=offered.events,
        inserted=sum(report.inserted.values()),
        seconds=round(report.seconds, 3),
    )


def count_damage(metrics: Metrics, batch: Batch) -> None:
    """Count the stretches of a batch that could not be read, and log them."""
    for kind, number in (("damaged", batch.damaged), ("torn", batch.torn)):
        if number:
            metrics.damaged.labels(kind).inc(number)
            log.warning("segment_damaged", kind=kind, stretches=number, kept="quarantine")
