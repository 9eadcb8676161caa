"""The inbox in a volume, for the loader: the objects of all processes, oldest first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from structlog.testing import capture_logs

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.volume_files import TimedFiles
from databricks_app.databricks.workspace import DatabricksWorkspace, WorkspaceError, connect
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Pending
from databricks_app.ingest.inbox.volume_reader import Names, ObjectReader, PendingWatch
from tests.doubles.databricks import Databricks
from tests.doubles.faults import Fault

RECEIVED_AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
VOLUME = "/Volumes/main/cio/landing"
Put = Callable[..., str]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.at


def record(body: bytes) -> Record:
    """A record with this body."""
    return Record(body, RECEIVED_AT, "1700000000", "651bf3b7", len(body))


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume."""
    with Databricks(tmp_path / "double", volume="main.cio.landing") as double:
        yield double


@pytest.fixture
def files(double: Databricks) -> Iterator[DatabricksWorkspace]:
    """Its files."""
    files = connect(double.environment())
    yield files
    files.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that the test advances."""
    return Clock()


@pytest.fixture
def reader(files: DatabricksWorkspace, clock: Clock, tmp_path: Path) -> ObjectReader:
    """A reader with that clock."""
    return ObjectReader(files, VOLUME, tmp_path / "note", clock)


@pytest.fixture
def put(files: DatabricksWorkspace) -> Put:
    """Puts an object with these bodies at this time, and returns its name."""

    def put(*bodies: bytes, at: float = 1.0) -> str:
        name, content = Names(lambda: at).frame(map(record, bodies))
        files.put(f"{VOLUME}/inbox/{name}", content, overwrite=False)
        return name

    return put


def bodies(reader: ObjectReader) -> list[bytes]:
    """The bodies of all stored records, in order."""
    return [one.body for batch in reader.batches(10**9, 10**12) for one in batch.records]


def test_names_are_unique() -> None:
    """Even if the clock does not advance."""
    names = Names(lambda: 1.0)

    found = {names.frame([record(b"x")])[0] for _ in range(100)}

    assert len(found) == 100
    assert all(name.startswith(f"{names.instance}/0000000001000000-") for name in found)


def test_objects_of_all_processes_come_oldest_first(reader: ObjectReader, put: Put) -> None:
    """By the time in their names, in any folder."""
    for at in (3.0, 1.0, 2.0):
        put(b"%d" % at, at=at)

    assert bodies(reader) == [b"1", b"2", b"3"]


def test_a_listing_of_many_pages_is_read_to_its_end(
    double: Databricks, reader: ObjectReader, put: Put
) -> None:
    """Every pending event is counted and read."""
    double.workspace.page_size = 2
    for number in range(5):
        put(b"%d" % number, at=float(number))

    assert len(bodies(reader)) == 5
    assert reader.pending().events == 5
    assert reader.pending().oldest_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_an_object_that_another_loader_deleted_is_no_error(
    reader: ObjectReader, files: DatabricksWorkspace, put: Put
) -> None:
    """It can disappear between the listing and the reading."""
    name = put(b"gone", at=1.0)
    put(b"there", at=2.0)
    batches = reader.batches(1, 1 << 20)
    iterator = iter(batches)
    files.delete(f"{VOLUME}/inbox/{put(b'also there', at=3.0)}")
    files.delete(f"{VOLUME}/inbox/{name}")

    assert [one.body for batch in iterator for one in batch.records] == [b"there"]


def test_an_object_that_cannot_be_read_does_not_stop_the_others(
    double: Databricks, reader: ObjectReader, put: Put
) -> None:
    """It is reported and stays pending."""
    name = put(b"refused", at=1.0)
    put(b"good", at=2.0)
    double.faults.set(Fault("error", "files.get", name, times=None))

    assert bodies(reader) == [b"good"]
    assert reader.unreadable == (name,)
    assert reader.pending().events == 2


@pytest.mark.parametrize("action", ["throttled", "error"])
def test_an_object_that_cannot_be_deleted_does_not_stop_the_others(
    double: Databricks, reader: ObjectReader, put: Put, action: Literal["throttled", "error"]
) -> None:
    """It is logged, loaded again and deleted then."""
    names = [put(b"%d" % number, at=float(number)) for number in range(12)]
    (batch,) = reader.batches(10**9, 10**12)
    double.faults.set(Fault(action, "files.delete", names[0], times=None, retry_after=60))

    with capture_logs() as lines:
        reader.delete(batch)
    assert bodies(reader) == [b"0"]
    assert [(one["event"], one["objects"]) for one in lines] == [("objects_not_deleted", 1)]

    double.faults.clear()
    for left in reader.batches(10**9, 10**12):
        reader.delete(left)
    assert reader.pending().events == 0


def test_a_deletion_that_is_refused_is_an_error_after_the_others(
    files: DatabricksWorkspace, put: Put, tmp_path: Path
) -> None:
    """A try later would not succeed either."""

    class Refusing(TimedFiles):
        def delete(self, path: str) -> None:
            if path.endswith(names[0]):
                raise WorkspaceError("refused", "the workspace refuses a call (HTTP 400)")
            super().delete(path)

    reader = ObjectReader(Refusing(files, CallTimeout()), VOLUME, tmp_path / "note")
    names = [put(b"%d" % number, at=float(number)) for number in range(12)]
    (batch,) = reader.batches(10**9, 10**12)

    with pytest.raises(WorkspaceError, match="HTTP 400"):
        reader.delete(batch)

    assert bodies(reader) == [b"0"]


def test_a_workspace_that_cannot_be_used_ends_the_pass(
    double: Databricks, reader: ObjectReader, put: Put
) -> None:
    """Nothing is deleted, so the next pass reads it."""
    put(b"kept")
    double.faults.set(Fault("denied", "files.get", times=2))

    with pytest.raises(WorkspaceError, match="grant READ VOLUME"):
        bodies(reader)

    assert bodies(reader) == [b"kept"]


def test_an_object_that_lost_its_end_is_damaged(
    double: Databricks, reader: ObjectReader, files: DatabricksWorkspace, put: Put
) -> None:
    """Its complete records are read; its damaged bytes are copied to the quarantine."""
    name = put(b"whole", b"torn")
    local = double.workspace.catalog.local_path(f"{VOLUME}/inbox/{name}")
    local.write_bytes(local.read_bytes()[:-3])

    (batch,) = reader.batches(10, 1 << 20)

    assert [one.body for one in batch.records] == [b"whole"]
    assert batch.damaged == 1
    assert len(files.names(f"{VOLUME}/quarantine")) == 1


def test_a_record_that_is_missing_is_damage(
    double: Databricks, reader: ObjectReader, put: Put
) -> None:
    """The name of the object has the number of records."""
    name = put(b"one")
    double.workspace.catalog.local_path(f"{VOLUME}/inbox/{name}").write_bytes(b"")

    (batch,) = reader.batches(10, 1 << 20)

    assert (batch.records, batch.damaged) == ((), 1)


def test_other_files_are_ignored(
    reader: ObjectReader, files: DatabricksWorkspace, put: Put
) -> None:
    """For example a file that somebody put there by hand."""
    instance = put(b"ours").partition("/")[0]
    for path in ("notes.txt", f"{instance}/notes.txt"):
        files.put(f"{VOLUME}/inbox/{path}", b"by hand", overwrite=True)

    assert bodies(reader) == [b"ours"]
    assert reader.pending().events == 1


def test_a_batch_can_be_read_again(reader: ObjectReader, put: Put) -> None:
    """If all of its objects still exist."""
    names = [put(b"1", at=1.0), put(b"2", at=2.0)]

    again = reader.batch_of(names)

    assert again is not None
    assert [one.body for one in again.records] == [b"1", b"2"]
    reader.delete(again)
    assert reader.batch_of(names) is None
    assert reader.batch_of(["no name of ours"]) is None


def test_the_folder_of_an_ended_process_is_deleted(
    reader: ObjectReader, files: DatabricksWorkspace, clock: Clock, put: Put
) -> None:
    """After it has been empty for ten minutes."""
    put(b"last")
    reader.delete(next(iter(reader.batches(10, 1 << 20))))

    assert bodies(reader) == []
    assert len(files.names(f"{VOLUME}/inbox")) == 1
    clock.at += 601

    assert bodies(reader) == []
    assert files.names(f"{VOLUME}/inbox") == []


def test_a_folder_that_is_used_again_stays(
    double: Databricks, reader: ObjectReader, files: DatabricksWorkspace, clock: Clock, put: Put
) -> None:
    """Its process may put nothing for a long time and then put an object again."""
    name = put(b"first")
    reader.delete(next(iter(reader.batches(10, 1 << 20))))
    assert bodies(reader) == []
    files.put(f"{VOLUME}/inbox/{name}", b"", overwrite=True)
    assert bodies(reader) == []
    clock.at += 601
    assert bodies(reader) == []

    assert len(files.names(f"{VOLUME}/inbox")) == 1
    assert double.faults.counts["directories.delete"] == 0


def test_a_watch_returns_the_last_count_without_waiting(clock: Clock) -> None:
    """A count that fails does not change it."""
    answers: list[Pending | WorkspaceError] = [
        Pending(3, 30, None),
        WorkspaceError("unreachable", "no answer"),
    ]

    def count() -> Pending:
        found = answers.pop(0) if answers else Pending(4, 40, None)
        if isinstance(found, WorkspaceError):
            raise found
        return found

    watch = PendingWatch(count, 5.0, clock)
    seen = [watch().events]
    deadline = time.monotonic() + 10
    while seen[-1] != 4:
        assert time.monotonic() < deadline
        clock.at += 6
        time.sleep(0.001)
        seen.append(watch().events)

    assert sorted(set(seen)) in ([0, 3, 4], [0, 4], [3, 4])
    assert seen == sorted(seen)


def test_a_watch_reports_a_count_that_fails_or_hangs(clock: Clock) -> None:
    """The last count is out of date then; the next successful count ends the trouble."""
    is_hanging, may_go_on = threading.Event(), threading.Event()
    answers: list[Pending | WorkspaceError] = [
        Pending(3, 30, None),
        WorkspaceError("unreachable", "no answer"),
    ]

    def count() -> Pending:
        if not answers:
            is_hanging.set()
            assert may_go_on.wait(20)
            return Pending(4, 40, None)
        found = answers.pop(0)
        if isinstance(found, WorkspaceError):
            raise found
        return found

    watch = PendingWatch(count, 5.0, clock)

    def look_until(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        watch()
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.001)
            watch()

    before = (watch.has_counted, watch.trouble())
    look_until(lambda: watch.has_counted)
    clock.at += 6
    look_until(lambda: watch.trouble() == "no answer")
    clock.at += 6
    look_until(is_hanging.is_set)
    clock.at += 11
    look_until(lambda: "has not answered for 11 s" in (watch.trouble() or ""))
    may_go_on.set()
    look_until(lambda: watch.trouble() is None)

    assert before == (False, None)
    assert watch() == Pending(4, 40, None)
