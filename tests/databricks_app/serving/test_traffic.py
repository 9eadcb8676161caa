"""The traffic summary: one log line a minute from the metric files of all processes."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from structlog.testing import capture_logs

from databricks_app.ingest.inbox import Pending
from databricks_app.serving.traffic import TrafficSummary, quantile
from tests.support.still_time import FixedClock

OLDEST = datetime(2026, 11, 22, 12, tzinfo=UTC)


def count(folder: Path, source: str) -> None:
    """Count in another process, like a worker."""
    start = "from databricks_app.runtime.metrics import Metrics\nmetrics = Metrics()\n"
    subprocess.run(
        [sys.executable, "-c", start + dedent(source)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        check=True,
        timeout=60,
    )


def nothing() -> Pending | None:
    """The number of pending events is unknown."""
    return None


def test_a_line_has_the_counts_since_the_last_line(tmp_path: Path) -> None:
    """Of all processes, by reason, with answer times and pending events."""
    now = FixedClock(OLDEST.timestamp() + 90)
    summary = TrafficSummary(tmp_path, lambda: Pending(7, 700, OLDEST), now)
    worker = """
        metrics.accepted.labels("651bf3b7").inc(3)
        metrics.rejected.labels("wrong_signature", "").inc(2)
        metrics.loaded.labels("webhook_raw_events", "sent").inc(5)
        metrics.loaded.labels("webhook_email_events", "sent").inc(4)
        for _ in range(100):
            metrics.append.observe(0.002)
    """

    with capture_logs() as lines:
        count(tmp_path, worker)
        summary.write()
        count(tmp_path, worker)
        count(tmp_path, 'metrics.rejected.labels("inbox_full", "651bf3b7").inc()')
        summary.write()

    first, second = lines
    assert first == {
        "event": "traffic",
        "log_level": "info",
        "accepted": 3,
        "refused": {"wrong_signature": 2},
        "loaded": 5,
        "p50_ms": 1.8,
        "p99_ms": 2.5,
        "pending": 7,
        "load_lag_seconds": 90.0,
    }
    assert (second["accepted"], second["refused"]) == (3, {"wrong_signature": 2, "inbox_full": 1})


def test_a_quiet_minute_has_no_line(tmp_path: Path) -> None:
    """Before the first request and after the last one."""
    summary = TrafficSummary(tmp_path, nothing)

    with capture_logs() as lines:
        summary.write()
        count(tmp_path, 'metrics.accepted.labels("651bf3b7").inc()')
        summary.write()
        summary.write()

    assert [line["accepted"] for line in lines] == [1]


def test_a_disk_that_hangs_does_not_delay_the_line(tmp_path: Path) -> None:
    """The line has no pending events then, and no second thread asks the disk."""
    let_go = threading.Event()
    asked = []

    def hanging() -> None:
        asked.append(None)
        let_go.wait()

    summary = TrafficSummary(tmp_path, hanging)
    with capture_logs() as lines:
        for _ in range(2):
            count(tmp_path, 'metrics.accepted.labels("651bf3b7").inc()')
            summary.write()
    let_go.set()

    assert ["pending" in line for line in lines] == [False, False]
    assert len(asked) == 1


def test_files_that_cannot_be_read_are_a_warning(tmp_path: Path) -> None:
    """The supervisor continues: its death would end everything."""
    damaged = struct.pack("iii", 64, 0, 40) + b"\xff" * 52
    (tmp_path / "counter_1.db").write_bytes(damaged)

    with capture_logs() as lines:
        TrafficSummary(tmp_path, nothing).write()

    assert [line["event"] for line in lines] == ["traffic_not_written"]


@pytest.mark.parametrize(
    ("buckets", "share", "seconds"),
    [
        ({0.1: 10, math.inf: 10}, 0.5, 0.05),
        ({0.1: 0, 0.2: 10, math.inf: 10}, 0.5, 0.15),
        ({0.1: 5, 0.2: 10, math.inf: 10}, 0.99, 0.198),
        ({0.1: 0, math.inf: 10}, 0.5, 0.1),
    ],
)
def test_a_quantile_is_estimated_within_its_bucket(
    buckets: dict[float, int], share: float, seconds: float
) -> None:
    """Like in Prometheus; above the last bound it is that bound."""
    assert quantile(buckets, share) == pytest.approx(seconds)
