"""The loader loads every durable event into the tables once, and repeats failed loads."""

from __future__ import annotations

import errno
import gc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from databricks_app.errors import LakeError, QueryError
from databricks_app.lake.local.fsync import fsync
from databricks_app.lake.local.store import LocalLake
from tests.support.loading import RECEIVED, LoaderUnderTest, record, stopping_when


@pytest.fixture
def under_test(tmp_path: Path) -> Iterator[LoaderUnderTest]:
    """A loader whose lake is started."""
    under_test = LoaderUnderTest(tmp_path)
    under_test.lake.start()
    yield under_test
    under_test.lake.close()


def test_drain_loads_and_deletes(under_test: LoaderUnderTest) -> None:
    """A loaded event is in the tables and no longer in the inbox."""
    under_test.store(record("A"), record("B"))

    under_test.drain()

    assert under_test.rows("SELECT event_id FROM webhook_email_events ORDER BY 1") == [
        ("A",),
        ("B",),
    ]
    assert under_test.loader.reader.pending().events == 0


def test_the_garbage_collector_is_off_only_during_a_load(tmp_path: Path) -> None:
    """It is on again after a load, also after a failed one."""
    searched: list[bool] = []

    def sync(path: Path) -> None:
        fsync(path)
        if under_test.loader.reader.pending().events:  # not while the lake starts
            searched.append(gc.isenabled())
            raise OSError(errno.EIO, "the disk is gone")

    under_test = LoaderUnderTest(tmp_path)
    under_test.lake = under_test.loader.lake = LocalLake(tmp_path, sync=sync)
    under_test.lake.start()
    under_test.store(record("A"))

    with pytest.raises(LakeError):
        under_test.drain()
    under_test.lake.close()

    assert (set(searched), gc.isenabled()) == ({False}, True)


@pytest.mark.parametrize("timestamp", [1_763_800_000, None])
def test_an_event_resent_the_next_day_is_one_row(
    under_test: LoaderUnderTest, timestamp: int | None
) -> None:
    """The key depends only on the body, also if the body has no timestamp."""
    first = record("A", timestamp=timestamp)
    under_test.store(first)
    under_test.drain()
    under_test.store(
        replace(first, received_at=RECEIVED + timedelta(days=1), timestamp="1763886401")
    )

    under_test.drain()

    assert under_test.rows("SELECT count(*) FROM webhook_raw_events") == [(1,)]
    assert under_test.rows("SELECT received_at FROM webhook_email_events") == [(RECEIVED,)]


def test_an_event_stored_twice_at_once_is_one_row(under_test: LoaderUnderTest) -> None:
    """Two copies in one batch count as one row and one duplicate in each table."""
    under_test.store(record("A"), record("A"))

    under_test.drain()

    assert under_test.rows("SELECT count(*) FROM webhook_email_events") == [(1,)]
    assert under_test.sample("duplicate_events_total", table="webhook_raw_events") == 1
    assert (
        under_test.sample("loaded_rows_total", table="webhook_email_events", metric="opened") == 1
    )


def test_metrics_of_a_load(under_test: LoaderUnderTest) -> None:
    """Rows by table and metric, unrouted by reason, unknown fields and the load itself count."""
    under_test.store(
        record("A"),
        record("B", metric="clicked", data={"new": 1}),
        record("C", metric="levitated"),
        record("D", object_type="pigeon"),
    )

    under_test.drain()

    assert (
        under_test.sample("loaded_rows_total", table="webhook_email_events", metric="clicked") == 1
    )
    assert under_test.sample("loaded_rows_total", table="webhook_raw_events", metric="other") == 1
    assert under_test.sample("unrouted_events_total", reason="unknown_metric") == 1
    assert under_test.sample("unrouted_events_total", reason="unknown_object_type") == 1
    assert under_test.sample("unknown_fields_total", table="webhook_email_events") == 1
    assert under_test.sample("load_seconds_count") == 1
    assert under_test.sample("load_lag_seconds_count") == 1


def test_a_duplicate_is_not_counted_as_a_loaded_row(under_test: LoaderUnderTest) -> None:
    """Rows by metric are those inserted, not those offered."""
    under_test.store(record("A"))
    under_test.drain()
    under_test.store(record("A"), record("B", metric="clicked"))

    under_test.drain()

    assert (
        under_test.sample("loaded_rows_total", table="webhook_email_events", metric="opened") == 1
    )
    assert (
        under_test.sample("loaded_rows_total", table="webhook_email_events", metric="clicked") == 1
    )


def test_run_waits_for_a_lake_that_another_loader_has_locked(tmp_path: Path) -> None:
    """Events stay in the inbox meanwhile, and the status has the problem."""
    under_test = LoaderUnderTest(tmp_path)
    under_test.store(record("A"))
    other = LocalLake(tmp_path)
    other.start()
    patient = stopping_when(under_test.loader, lambda: len(under_test.statuses) == 1)

    patient.run()
    other.close()

    assert "nothing is lost" in under_test.statuses[-1].problems[0]
    assert under_test.loader.reader.pending().events == 1
    assert under_test.sample("load_failures_total") == 1


def test_a_failing_load_is_logged_when_it_begins_and_when_it_ends(
    under_test: LoaderUnderTest,
) -> None:
    """With one line for each problem, for any number of tries."""
    loader = under_test.loader
    error = LakeError("the tables are locked: stop the other loader")

    with capture_logs() as lines:
        for _ in range(3):
            loader._after_failure(error)
        loader._after_failure(OSError(28, "secret text"))
        loader._after_failure(QueryError("secret text"))
        loader._report_success()

    logged = [line for line in lines if line["event"].startswith("load_failed")]
    assert [(line["event"], line.get("problem")) for line in logged] == [
        ("load_failed", "the tables are locked: stop the other loader"),
        ("load_failed", "the disk: No space left on device"),
        ("load_failed", "QueryError"),
        ("load_failed_ended", None),
    ]
    assert logged[-1]["times"] == 5


def test_unreadable_segments_are_logged_once(under_test: LoaderUnderTest) -> None:
    """With their number; the others are loaded."""
    under_test.store(record("A"))
    (under_test.folder / "inbox" / f"{0:016d}-{0:016x}-1.seg").mkdir()

    with capture_logs() as lines:
        for _ in range(3):
            under_test.drain()
            under_test.loader._report_success()

    logged = [line for line in lines if line["event"] == "segments_unreadable"]
    assert [line["segments"] for line in logged] == [1]
    assert under_test.rows("SELECT event_id FROM webhook_raw_events") == [("A",)]


def test_the_status_has_the_pending_events(under_test: LoaderUnderTest) -> None:
    """The count before a pass, minus the loaded events."""
    under_test.store(record("A"), record("B"))
    under_test.loader._pending = under_test.loader.reader.pending()
    under_test.loader._report(())

    under_test.drain()

    said = [(one.pending_events, one.oldest_pending_at is None) for one in under_test.statuses]
    assert said == [(2, False), (0, True)]


def test_run_loads_after_the_other_loader_ended(tmp_path: Path) -> None:
    """It starts without help."""
    under_test = LoaderUnderTest(tmp_path)
    under_test.store(record("A"))
    patient = stopping_when(
        under_test.loader, lambda: under_test.statuses[-1].last_load_at is not None
    )

    patient.run()

    assert under_test.statuses[-1].problems == ()
    assert under_test.rows("SELECT count(*) FROM webhook_raw_events") == [(1,)]


def test_a_damaged_segment_is_reported(under_test: LoaderUnderTest) -> None:
    """The frames around the damage are loaded, and the status has the problem."""
    under_test.store(record("A"), record("B"), record("C"))
    (segment,) = (under_test.folder / "inbox").glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)

    under_test.drain()

    assert under_test.rows("SELECT event_id FROM webhook_raw_events ORDER BY 1") == [("A",), ("C",)]
    assert under_test.sample("damaged_frames_total", kind="damaged") == 1
    assert "quarantine" in under_test.statuses[-1].problems[0]


def test_drain_stops_after_the_current_batch(under_test: LoaderUnderTest) -> None:
    """A stop does not wait for the backlog."""
    for number in range(3):
        under_test.store(*(record(f"{number}-{one}") for one in range(2)))
    under_test.loader.stopping.set()
    under_test.loader.batch_bytes = 1

    under_test.drain()

    assert under_test.rows("SELECT count(*) FROM webhook_raw_events") == [(2,)]
    assert under_test.loader.reader.pending().events == 4
