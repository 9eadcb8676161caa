"""What both inboxes promise: the local one and the one in a volume."""

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
from tests.doubles import Databricks, Fault, relaxed

RECEIVED_AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
VOLUME = "/Volumes/main/cio/landing"
LONG = 20.0


class Inbox(Appender, GroupAppender, Protocol):
    """The receiver's side of either."""


class Store(Protocol):
    """One of the two, with what its tests need."""

    def inbox(self) -> Inbox:
        """A process's own part."""
        ...

    def reader(self) -> Reader:
        """The loader's side."""
        ...

    def hang(self) -> None:
        """Let nothing be stored."""
        ...

    def let_go(self) -> None:
        """Let everything be stored."""
        ...

    def damage(self, batch: Batch) -> None:
        """Change a byte of the first record's body."""
        ...

    def replay(self, records: list[Record]) -> None:
        """Put records back."""
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
    """Each store in turn."""
    if request.param == "local":
        local = LocalStore(tmp_path / "inbox")
        yield local
        local.let_go()
        return
    why = "a property repeats a test without a pause, which is over 100 calls a second"
    limits = relaxed(why)
    with Databricks(tmp_path / "double", volume="main.cio.landing", limits=limits) as double:
        files = connect(double.environment())
        yield VolumeStore(tmp_path / "note", double, files)
        files.close()


@pytest.fixture
def opened(store: Store) -> Iterator[Callable[[], Inbox]]:
    """Opens inboxes, all of which are closed at the end."""
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
    """All that is ready."""
    return list(reader.batches(10**9, 10**12))


def bodies(reader: Reader) -> list[bytes]:
    """The bodies of all that is ready."""
    return [one.body for batch in everything(reader) for one in batch.records]


def test_what_was_appended_is_there_for_another_process(
    store: Store, opened: Callable[[], Inbox]
) -> None:
    """It is counted once `append` has returned, while its process lives."""
    opened().append(record(b"first"), LONG)

    assert store.reader().pending().events == 1


def test_a_record_comes_back_as_it_was(store: Store, opened: Callable[[], Inbox]) -> None:
    """Every field of it and every byte of its body."""
    cut = Record(b"\x00\xff\nCIO1 ", RECEIVED_AT, "17", "651bf3b7", 99, "0" * 64, "replay")
    inbox = opened()
    inbox.append(cut, LONG)
    inbox.close()

    assert [batch.records for batch in everything(store.reader())] == [(cut,)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_any_bytes_come_back(store: Store, found: list[bytes]) -> None:
    """In one group they keep their order."""
    inbox = store.inbox()
    told: Future[InboxError | None] = Future()
    inbox.submit([record(body) for body in found], told.set_result)
    error = told.result(LONG)
    inbox.close()
    reader = store.reader()

    batches = everything(reader)
    for batch in batches:
        reader.delete(batch)

    assert error is None
    assert [one.body for batch in batches for one in batch.records] == found


def test_many_threads_store_each_record_once(store: Store, opened: Callable[[], Inbox]) -> None:
    """Grouping neither loses nor repeats."""
    inbox = opened()
    sent = [b"%d" % number for number in range(200)]

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda body: inbox.append(record(body), LONG), sent))
    inbox.close()

    assert sorted(bodies(store.reader())) == sorted(sent)


def test_after_the_deadline_nobody_waits(store: Store, opened: Callable[[], Inbox]) -> None:
    """The sender hears that it is not known to be stored."""
    inbox = opened()
    store.hang()

    with pytest.raises(InboxTimeout):
        inbox.append(record(), 0.05)


def test_what_is_forgotten_is_gone(store: Store, opened: Callable[[], Inbox]) -> None:
    """And deleting it again is no error."""
    inbox = opened()
    inbox.append(record(), LONG)
    inbox.close()
    reader = store.reader()
    (batch,) = everything(reader)

    reader.delete(batch)
    reader.delete(batch)

    assert bodies(reader) == []
    assert reader.pending().events == 0


def test_what_was_not_forgotten_comes_again(store: Store, opened: Callable[[], Inbox]) -> None:
    """A loader that dies between the load and the removal leaves all in place."""
    inbox = opened()
    inbox.append(record(b"again"), LONG)
    inbox.close()

    assert everything(store.reader()) == everything(store.reader()) != []


def test_pending_is_exact(store: Store, opened: Callable[[], Inbox]) -> None:
    """Events of all processes, the time of the oldest among them."""
    first, second = opened(), opened()
    for _ in range(3):
        first.append(record(b"x" * 100), LONG)
    second.append(record(), LONG)

    pending = store.reader().pending()

    assert pending.events == 4
    assert pending.bytes > 300
    assert pending.oldest_at is not None


def test_batches_keep_to_their_limit(store: Store, opened: Callable[[], Inbox]) -> None:
    """Whatever one process stored is never split, other things are not added to it."""
    for body in (b"a", b"b", b"c"):
        inbox = opened()
        inbox.append(record(body), LONG)
        inbox.close()

    sizes = [len(batch.records) for batch in store.reader().batches(2, 1 << 20)]

    assert sizes == [2, 1]


def test_a_damaged_record_is_counted_and_the_others_are_read(
    store: Store, opened: Callable[[], Inbox]
) -> None:
    """Its bytes are kept aside."""
    inbox = opened()
    told: Future[InboxError | None] = Future()
    inbox.submit([record(b"bad" * 9), record(b"good")], told.set_result)
    told.result(LONG)
    inbox.close()
    store.damage(everything(store.reader())[0])

    (batch,) = everything(store.reader())

    assert [one.body for one in batch.records] == [b"good"]
    assert batch.damaged == 1


def test_a_closed_inbox_takes_nothing(opened: Callable[[], Inbox]) -> None:
    """The sender is told that the process is stopping; what it had stays."""
    inbox = opened()
    inbox.close()

    with pytest.raises(InboxClosed):
        inbox.append(record(), LONG)
    assert inbox.trouble() == "the receiver is stopping"


def test_a_replay_is_read_like_anything_else(store: Store) -> None:
    """Records that are put back are pending and come in a batch."""
    reader = store.reader()

    store.replay([record(b"once more")])

    assert reader.pending().events == 1
    assert bodies(reader) == [b"once more"]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"bad")] ^= 1
    path.write_bytes(data)
