"""The loader over a lake that stages: all batches, one commit, then the inbox is emptied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.crashes import in_child
from benchmarks.staging import measured
from databricks_app.errors import LakeError
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.loading.loader import Loader
from databricks_app.runtime import crash_points, status
from databricks_app.runtime.metrics import Metrics
from tests.support.duck_warehouse import VOLUME
from tests.support.lake_backends import WarehouseBackend, ids
from tests.support.lake_events import EMAIL, RAW
from tests.support.loading import record

NOTE = ".attempt.json"


class StagingLoader:
    """A local inbox, a warehouse and the loader between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = WarehouseBackend(folder / "volume")
        self.metrics = Metrics()
        self.statuses: list[status.LoaderStatus] = []
        reader, lake = SegmentReader(folder / "inbox"), self.backend.lake()
        self.loader = Loader(reader, lake, self.metrics, 0.01, self.statuses.append)
        # Each segment is a batch.
        self.loader.batch_bytes = 1

    def start(self) -> None:
        """Open the lake as `Loader.run` does."""
        self.loader.lake.start()
        self.loader._attempts.begin()
        self.backend.warehouse.ran.clear()

    def store(self, *names: str) -> None:
        """Put one segment into the inbox."""
        inbox = LocalInbox(self.folder / "inbox")
        for name in names:
            inbox.append(record(name), 5)
        inbox.close()

    @property
    def pending(self) -> int:
        """Events in the inbox."""
        return self.loader.reader.pending().events

    @property
    def merges(self) -> int:
        """MERGEs that were sent."""
        return sum(sql.startswith("MERGE") for sql in self.backend.warehouse.ran)

    def close(self) -> None:
        """End."""
        self.loader.lake.close()
        self.backend.close()


@pytest.fixture
def under_test(tmp_path: Path) -> Iterator[StagingLoader]:
    """A started loader with three batches."""
    under_test = StagingLoader(tmp_path)
    under_test.start()
    for names in ("AB", "C", "DE"):
        under_test.store(*names)
    yield under_test
    under_test.close()


def test_all_batches_are_loaded_with_one_commit(under_test: StagingLoader) -> None:
    """One MERGE for each of two tables, and one load in the metrics."""
    under_test.loader.drain()

    assert ids(under_test.backend, RAW) == ids(under_test.backend, EMAIL) == list("ABCDE")
    assert (under_test.merges, under_test.pending) == (2, 0)
    loads = under_test.metrics.registry.get_sample_value("ciolake_load_seconds_count")
    assert loads == 1
    assert under_test.statuses[-1].pending_events == 0
    assert under_test.backend.files.names(f"{VOLUME}/staging") == []


def test_a_load_that_is_full_is_committed_and_the_next_begins(under_test: StagingLoader) -> None:
    """In the same drain."""
    under_test.loader.batch_rows = 200_000  # no second batch of this size fits

    under_test.loader.drain()

    assert ids(under_test.backend, RAW) == list("ABCDE")
    assert (under_test.merges, under_test.pending) == (6, 0)


def test_nothing_is_deleted_before_the_commit(under_test: StagingLoader) -> None:
    """All batches are staged again after a failure."""

    def fail(sql: str) -> None:
        assert under_test.pending == 5
        if sql.startswith(f"MERGE INTO `{EMAIL}`"):
            raise OSError("reset")

    under_test.backend.warehouse.before = fail
    with pytest.raises(LakeError):
        under_test.loader.drain()
    left = under_test.pending
    under_test.backend.warehouse.before = lambda _sql: None
    under_test.loader.drain()

    assert (left, under_test.pending) == (5, 0)
    assert ids(under_test.backend, RAW) == ids(under_test.backend, EMAIL) == list("ABCDE")


def test_a_stop_does_not_wait_for_a_commit(under_test: StagingLoader) -> None:
    """What is staged stays in the inbox, and the note says that nobody has died."""
    under_test.loader.stopping.set()

    under_test.loader.drain()

    assert (under_test.merges, under_test.pending) == (0, 5)
    under_test.loader._attempts.begin()
    assert not under_test.loader._attempts.has_died


def _drain(folder: Path, point: str) -> None:
    under_test = StagingLoader(folder)
    under_test.start()
    crash_points.arm(point)
    under_test.loader.drain()
    under_test.close()


POINTS = [
    "loader.after_stage",
    "loader.after_stage:2",
    "loader.before_commit",
    "lake.after_raw_merge",
    "lake.after_typed_merge",
    "loader.before_delete",
    "loader.after_delete",
    "loader.after_delete:2",
]


@pytest.mark.parametrize("point", POINTS)
def test_after_a_death_each_batch_is_loaded_alone_and_once(tmp_path: Path, point: str) -> None:
    """Until all are loaded; then several are staged again."""
    under_test = StagingLoader(tmp_path)
    under_test.close()
    for names in ("AB", "C", "DE"):
        under_test.store(*names)
    assert in_child(_drain, tmp_path, point) == -9

    under_test = StagingLoader(tmp_path)
    under_test.start()
    was_noted = under_test.loader._attempts.has_died
    under_test.loader.drain()
    loaded = ids(under_test.backend, RAW), ids(under_test.backend, EMAIL), under_test.pending
    under_test.store("F")
    under_test.store("G")
    under_test.backend.warehouse.ran.clear()
    under_test.loader.drain()

    assert loaded == (list("ABCDE"), list("ABCDE"), 0)
    # The note of a commit ends with the first deletion.
    assert was_noted is (":2" not in point or "delete" not in point)
    assert under_test.merges == 2
    under_test.close()


@pytest.mark.slow
def test_a_load_of_200_000_events_needs_less_than_700_mb(tmp_path: Path) -> None:
    """Only keys stay in memory; raw and each typed table get one MERGE."""
    found = measured(tmp_path, 200_000, 400)

    assert found["left"] == 0
    assert found["MERGE"] == 5
    assert found["megabytes"] < 700


def test_an_event_that_kills_the_loader_while_it_is_staged_is_isolated(tmp_path: Path) -> None:
    """It becomes a raw row; all other events are loaded."""
    under_test = StagingLoader(tmp_path)
    under_test.close()
    for names in ("AB", "C", "DE"):
        under_test.store(*names)

    codes = [in_child(_drain, tmp_path, "event.C") for _ in range(4)]

    # Three deaths may come from outside; after the third the event is the cause.
    assert codes == [-9, -9, -9, 0]
    under_test = StagingLoader(tmp_path)
    assert ids(under_test.backend, RAW) == list("ABCDE")
    assert ids(under_test.backend, EMAIL) == list("ABDE")
    under_test.backend.close()
