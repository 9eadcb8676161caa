"""The promises of both inboxes, the local one and the one in a volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databricks_app.databricks.workspace import DatabricksWorkspace, connect
from databricks_app.errors import InboxClosed, InboxError, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Appender, Batch, GroupAppender, Reader
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader, replay_segment
from databricks_app.ingest.inbox.volume import VolumeInbox
from databricks_app.ingest.inbox.volume_reader import ObjectReader, put_replay
from tests.doubles import Databricks, Fault

RECEIVED_AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
VOLUME = "/Volumes/main/cio/landing"
LONG = 20.0


class Inbox(Appender, GroupAppender, Protocol):
    """The interface for the receiver."""


class Store(Protocol):
    """One of the two inboxes, with what the tests need."""

    def inbox(self) -> Inbox:
        """Open the inbox of one process."""
        ...

    def reader(self) -> Reader:
        """Open the reader of the loader."""
        ...

    def hang(self) -> None:
        """From now on, store nothing."""
        ...

    def let_go(self) -> None:
        """From now on, store everything."""
        ...

    def damage(self, batch: Batch) -> None:
        """Change a byte of the first record's body."""
        ...

    def replay(self, records: list[Record]) -> None:
        """Put records back into the inbox."""
        ...


class LocalStore:
    """Segments in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stuck: Future[None] | None = None

    def inbox(self) -> Inbox:
        """A process's own part."""
        return LocalInbox(self.folder, max_bytes=1 << 30, close_seconds=1e9, clock=self._clock)

    def reader(self) -> Reader:
        """The loader's side."""
        return SegmentReader(self.folder)

    def hang(self) -> None:
        """Let nothing be stored."""
        self.stuck = Future()

    def let_go(self) -> None:
        """Let everything be stored."""
        if self.stuck is not None and not self.stuck.done():
            self.stuck.set_result(None)

    def damage(self, batch: Batch) -> None:
        """Change a byte of the first record's body."""
        _flip(self.folder / batch.sources[0])

    def replay(self, records: list[Record]) -> None:
        """Put records back."""
        replay_segment(self.folder, records, name="1700000000000000-0123456789abcdef")

    def _clock(self) -> float:
        if self.stuck is not None:
            self.stuck.result(LONG)
        return 1_700_000_000.0


class VolumeStore:
    """Objects in a volume of the double."""

    def __init__(self, folder: Path, double: Databricks, files: DatabricksWorkspace) -> None:
        self.folder = folder
        self.double = double
        self.files = files

    def inbox(self) -> Inbox:
        """A process's own part."""
        return VolumeInbox(self.files, VOLUME, deadline_seconds=LONG)

    def reader(self) -> Reader:
        """The loader's side."""
        return ObjectReader(self.files, VOLUME, self.folder)

    def hang(self) -> None:
        """Let nothing be stored."""
        self.double.faults.set(Fault("throttled", "files.put", times=None, retry_after=1))

    def let_go(self) -> None:
        """Let everything be stored."""
        self.double.faults.clear()

    def damage(self, batch: Batch) -> None:
        """Change a byte of the first record's body."""
        _flip(self.double.workspace.catalog.local_path(f"{VOLUME}/inbox/{batch.sources[0]}"))

    def replay(self, records: list[Record]) -> None:
        """Put records back."""
        put_replay(self.files, VOLUME, records)


@pytest.fixture(params=["local", "volume"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each of the two stores."""
    if request.param == "local":
        local = LocalStore(tmp_path / "inbox")
        yield local
        local.let_go()
        return
    with Databricks(tmp_path / "double", volume="main.cio.landing") as double:
        files = connect(double.environment())
        yield VolumeStore(tmp_path / "note", double, files)
        files.close()


@pytest.fixture
def opened(store: Store) -> Iterator[Callable[[], Inbox]]:
    """Opens inboxes and closes all of them at the end."""
    made: list[Inbox] = []

    def opens() -> Inbox:
        made.append(store.inbox())
        return made[-1]

    yield opens
    store.let_go()
    for one in made:
        one.close()


def record(body: bytes = b"{}") -> Record:
    """A record with this body."""
    return Record(body, RECEIVED_AT, "1700000000", "651bf3b7", len(body))


def everything(reader: Reader) -> list[Batch]:
    """All batches that are ready."""
    return list(reader.batches(10**9, 10**12))


def bodies(reader: Reader) -> list[bytes]:
    """The bodies of all batches that are ready."""
    return [one.body for batch in everything(reader) for one in batch.records]


def test_an_appended_record_is_counted_by_another_process(
    store: Store, opened: Callable[[], Inbox]
) -> None:
    """As soon as `append` has returned."""
    opened().append(record(b"first"), LONG)

    assert store.reader().pending().events == 1


def test_a_record_is_read_as_it_was_written(store: Store, opened: Callable[[], Inbox]) -> None:
    """Every field and every byte of its body."""
    cut = Record(b"\x00\xff\nCIO1 ", RECEIVED_AT, "17", "651bf3b7", 99, "0" * 64, "replay")
    inbox = opened()
    inbox.append(cut, LONG)
    inbox.close()

    assert [batch.records for batch in everything(store.reader())] == [(cut,)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_any_bytes_are_read_as_they_were_written(store: Store, found: list[bytes]) -> None:
    """Records of one group keep their order."""
    inbox = store.inbox()
    answer: Future[InboxError | None] = Future()
    inbox.submit([record(body) for body in found], answer.set_result)
    error = answer.result(LONG)
    inbox.close()
    reader = store.reader()

    batches = everything(reader)
    for batch in batches:
        reader.delete(batch)

    assert error is None
    assert [one.body for batch in batches for one in batch.records] == found


def test_many_threads_store_each_record_once(store: Store, opened: Callable[[], Inbox]) -> None:
    """Group commit neither loses nor repeats a record."""
    inbox = opened()
    sent = [b"%d" % number for number in range(200)]

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda body: inbox.append(record(body), LONG), sent))
    inbox.close()

    assert sorted(bodies(store.reader())) == sorted(sent)


def test_an_append_ends_at_its_deadline(store: Store, opened: Callable[[], Inbox]) -> None:
    """The error says that the record may not be stored."""
    inbox = opened()
    store.hang()

    with pytest.raises(InboxTimeout):
        inbox.append(record(), 0.05)


def test_a_deleted_batch_is_gone(store: Store, opened: Callable[[], Inbox]) -> None:
    """Deleting it again is no error."""
    inbox = opened()
    inbox.append(record(), LONG)
    inbox.close()
    reader = store.reader()
    (batch,) = everything(reader)

    reader.delete(batch)
    reader.delete(batch)

    assert bodies(reader) == []
    assert reader.pending().events == 0


def test_a_batch_that_is_not_deleted_is_read_again(
    store: Store, opened: Callable[[], Inbox]
) -> None:
    """A loader can die between the load and the deletion."""
    inbox = opened()
    inbox.append(record(b"again"), LONG)
    inbox.close()

    assert everything(store.reader()) == everything(store.reader()) != []


def test_pending_is_exact(store: Store, opened: Callable[[], Inbox]) -> None:
    """It counts the events of all processes and has the time of the oldest one."""
    first, second = opened(), opened()
    for _ in range(3):
        first.append(record(b"x" * 100), LONG)
    second.append(record(), LONG)

    pending = store.reader().pending()

    assert pending.events == 4
    assert pending.bytes > 300
    assert pending.oldest_at is not None


def test_batches_respect_the_limit_of_rows(store: Store, opened: Callable[[], Inbox]) -> None:
    """A segment or object is never split."""
    for body in (b"a", b"b", b"c"):
        inbox = opened()
        inbox.append(record(body), LONG)
        inbox.close()

    sizes = [len(batch.records) for batch in store.reader().batches(2, 1 << 20)]

    assert sizes == [2, 1]


def test_a_damaged_record_is_counted_and_the_others_are_read(
    store: Store, opened: Callable[[], Inbox]
) -> None:
    """Its bytes are copied to the quarantine."""
    inbox = opened()
    answer: Future[InboxError | None] = Future()
    inbox.submit([record(b"bad" * 9), record(b"good")], answer.set_result)
    answer.result(LONG)
    inbox.close()
    store.damage(everything(store.reader())[0])

    (batch,) = everything(store.reader())

    assert [one.body for one in batch.records] == [b"good"]
    assert batch.damaged == 1


def test_a_closed_inbox_refuses_records(opened: Callable[[], Inbox]) -> None:
    """The error says that the process is stopping."""
    inbox = opened()
    inbox.close()

    with pytest.raises(InboxClosed):
        inbox.append(record(), LONG)
    assert "is stopping" in (inbox.trouble() or "")


def test_a_replayed_record_is_read_like_any_other(store: Store) -> None:
    """Records that are put back are pending and are part of a batch."""
    reader = store.reader()

    store.replay([record(b"once more")])

    assert reader.pending().events == 1
    assert bodies(reader) == [b"once more"]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"bad")] ^= 1
    path.write_bytes(data)
