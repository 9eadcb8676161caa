"""The local inbox, for the loader: dead processes, damaged disks, and exact counts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from databricks_app.events.record import Record
from databricks_app.ingest.inbox import Batch, Pending, frames
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import (
    QUARANTINE,
    SegmentReader,
    pending,
    replay_segment,
)

RECEIVED_AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
TOKEN = "00112233445566ff"
STEM = f"1700000000000000-{TOKEN}"
ALL = 10**12

CHILD = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from databricks_app.ingest.inbox.local import LocalInbox
    from databricks_app.events.record import Record

    inbox = LocalInbox(Path(sys.argv[1]), close_seconds=1e9)
    for n in range(int(sys.argv[2])):
        body = b"child %d" % n
        inbox.append(Record(body, datetime.now(UTC), "1", "651bf3b7", len(body)), 10)
    print("ready", flush=True)
    sys.stdin.read()
"""


def record(body: bytes = b"{}") -> Record:
    """A record with this body."""
    return Record(body, RECEIVED_AT, "1700000000", "651bf3b7", len(body))


def data_of(*bodies: bytes, token: str = TOKEN) -> bytes:
    """The bytes of a segment of records with these bodies."""
    start = frames.seed(token)
    return b"".join(piece for body in bodies for piece in frames.encode(record(body), start))


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a file into the inbox."""
    path = folder / name
    path.write_bytes(data)
    return path


def bodies(batches: list[Batch]) -> list[bytes]:
    """The bodies of all records, in order."""
    return [one.body for batch in batches for one in batch.records]


def take(folder: Path) -> Batch:
    """Everything that is ready; check that it is one batch."""
    (batch,) = SegmentReader(folder).batches(ALL, ALL)
    return batch


def quarantined(folder: Path) -> dict[str, bytes]:
    """The files of the quarantine, by name."""
    return {path.name: path.read_bytes() for path in (folder / QUARANTINE).iterdir()}


@contextmanager
def living_process(folder: Path, events: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that has stored events and owns a segment; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", dedent(CHILD), str(folder), str(events)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty inbox."""
    return tmp_path


def test_the_segment_of_a_living_process_is_left_alone(folder: Path) -> None:
    """It is pending and is no batch while its process has the lock."""
    with living_process(folder, 3):
        assert list(SegmentReader(folder).batches(ALL, ALL)) == []
        assert pending(folder).events == 3


def test_the_segment_of_a_killed_process_is_read(folder: Path) -> None:
    """SIGKILL loses nothing that was acknowledged."""
    with living_process(folder, 3) as process:
        process.kill()
        process.wait()

        batch = take(folder)

    assert [one.body for one in batch.records] == [b"child 0", b"child 1", b"child 2"]
    assert (batch.damaged, batch.torn) == (0, 0)
    assert [path.name for path in folder.iterdir()] == list(batch.sources)
    assert batch.sources[0].endswith("-3.seg")


def test_a_torn_tail_of_a_killed_process_goes_to_the_quarantine(folder: Path) -> None:
    """An unfinished write was never acknowledged; it is counted and loses no other record."""
    torn = data_of(b"unfinished")[:-4]
    with living_process(folder, 2) as process:
        process.kill()
        process.wait()
        (path,) = folder.glob("*.open")
        whole = path.stat().st_size
        put(folder, path.name, path.read_bytes() + torn)
        assert pending(folder).events == 2

        batch = take(folder)

    assert [one.body for one in batch.records] == [b"child 0", b"child 1"]
    assert (batch.damaged, batch.torn) == (0, 1)
    name = batch.sources[0]
    assert quarantined(folder) == {f"{name}.{whole}-{whole + len(torn)}": torn}


def test_an_empty_segment_of_a_dead_process_is_deleted(folder: Path) -> None:
    """A process that died before its first record left nothing to load."""
    put(folder, f"{STEM}.open", b"")

    assert list(SegmentReader(folder).batches(ALL, ALL)) == []
    assert list(folder.iterdir()) == []


def test_a_segment_with_only_an_unfinished_write_goes_to_the_quarantine(folder: Path) -> None:
    """It has no record; its bytes are kept and counted, and it is deleted."""
    put(folder, f"{STEM}.open", b"CIO1 17000")
    reader = SegmentReader(folder)

    (batch,) = reader.batches(ALL, ALL)
    reader.delete(batch)

    assert batch == Batch((), (f"{STEM}-0.seg",), damaged=0, torn=1)
    assert quarantined(folder) == {f"{STEM}-0.seg.0-10": b"CIO1 17000"}
    assert pending(folder) == Pending(0, 0, None)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(0, id="magic"),
        pytest.param(8, id="header"),
        pytest.param(len(data_of(b"second")) - 4, id="body"),
        pytest.param(len(data_of(b"second")) - 1, id="line-feed"),
    ],
)
def test_a_flipped_byte_loses_one_record_and_its_bytes_are_kept(tmp_path: Path, place: int) -> None:
    """In the first, a middle and the last record; all other records are read."""
    written = [b"first", b"second", b"third!"]
    for hit in range(3):
        folder = tmp_path / str(hit)
        folder.mkdir()
        start = len(data_of(*written[:hit]))
        end = len(data_of(*written[: hit + 1]))
        data = bytearray(data_of(*written))
        data[start + min(place, end - start - 1)] ^= 0xFF
        put(folder, f"{STEM}-3.seg", bytes(data))

        batch = take(folder)

        assert [one.body for one in batch.records] == written[:hit] + written[hit + 1 :]
        assert (batch.damaged, batch.torn) == (1, 0)
        assert quarantined(folder) == {f"{STEM}-3.seg.{start}-{end}": bytes(data[start:end])}


def test_a_closed_segment_cut_between_records_is_damaged(folder: Path) -> None:
    """There are no damaged bytes, but the name shows that a record is missing."""
    put(folder, f"{STEM}-3.seg", data_of(b"first", b"second"))

    batch = take(folder)

    assert [one.body for one in batch.records] == [b"first", b"second"]
    assert (batch.damaged, batch.torn) == (1, 0)


def test_a_closed_segment_cut_inside_a_record_is_damaged(folder: Path) -> None:
    """The end of a closed segment was acknowledged, so it is not an unfinished write."""
    put(folder, f"{STEM}-2.seg", data_of(b"first", b"second")[:-3])

    batch = take(folder)

    assert [one.body for one in batch.records] == [b"first"]
    assert (batch.damaged, batch.torn) == (1, 0)


def test_records_beyond_the_count_are_read_as_well(folder: Path) -> None:
    """A failed sync can leave a complete record; the sender repeats it, and it is one row."""
    put(folder, f"{STEM}-1.seg", data_of(b"first", b"refused"))

    batch = take(folder)

    assert [one.body for one in batch.records] == [b"first", b"refused"]
    assert (batch.damaged, batch.torn) == (0, 0)


@hypothesis_settings(max_examples=40)
@given(st.lists(st.binary(max_size=80), max_size=5), st.binary(max_size=80), st.data())
def test_any_damage_is_survived(written: list[bytes], noise: bytes, data: st.DataObject) -> None:
    """If any bytes replace a range, there is no error, and the records around it are read."""
    whole = data_of(*written)
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, len(whole)))
    ends = [len(data_of(*written[: n + 1])) for n in range(len(written))]
    before = sum(end <= first for end in ends)
    with TemporaryDirectory() as name:
        put(Path(name), f"{STEM}-{len(written)}.seg", whole[:first] + noise + whole[last:])

        batch = take(Path(name))

    assert [one.body for one in batch.records[:before]] == written[:before]
    assert len(batch.records) == len(written) or batch.damaged


def test_batches_are_whole_segments_oldest_first(folder: Path) -> None:
    """Segments come in the order of their times until a batch has its number of rows."""
    for n in (3, 1, 2, 4):
        data = data_of(*[b"%d" % n] * n)
        put(folder, f"170000000000000{n}-{TOKEN}-{n}.seg", data)

    batches = list(SegmentReader(folder).batches(3, ALL))

    assert [len(batch.sources) for batch in batches] == [2, 1, 1]
    assert bodies(batches) == [b"1", b"2", b"2", b"3", b"3", b"3", b"4", b"4", b"4", b"4"]


def test_batches_are_bounded_by_bytes(folder: Path) -> None:
    """A batch has at most this number of bytes, but at least one segment."""
    for n in range(4):
        put(folder, f"170000000000000{n}-{TOKEN}-1.seg", data_of(b"x" * 1000))

    size = len(data_of(b"x" * 1000))
    sizes = [
        [len(batch.sources) for batch in SegmentReader(folder).batches(ALL, limit)]
        for limit in (1, 2 * size - 1, 2 * size, 3 * size)
    ]

    assert sizes == [[1, 1, 1, 1], [1, 1, 1, 1], [2, 2], [3, 1]]


def test_delete_can_be_repeated(folder: Path) -> None:
    """It deletes only the segments of the batch; missing ones are no error."""
    put(folder, f"1700000000000001-{TOKEN}-1.seg", data_of(b"first"))
    put(folder, f"1700000000000002-{TOKEN}-1.seg", data_of(b"second"))
    reader = SegmentReader(folder)
    first = next(reader.batches(1, ALL))

    reader.delete(first)
    reader.delete(first)

    assert bodies(list(reader.batches(ALL, ALL))) == [b"second"]


def test_a_batch_that_is_not_deleted_is_read_again(folder: Path) -> None:
    """A failed load is repeated with the same records."""
    put(folder, f"{STEM}-1.seg", data_of(b"first"))

    assert take(folder) == take(folder)


@pytest.mark.parametrize("name", [f"{STEM}-5.seg", f"{STEM}.open"])
def test_a_segment_that_cannot_be_read_does_not_stop_the_others(folder: Path, name: str) -> None:
    """It is reported and stays in the folder; later segments are read."""
    (folder / name).mkdir()
    put(folder, f"1700000000000001-{TOKEN}-1.seg", data_of(b"behind"))
    put(folder, "1700000000000002-ffeeddccbbaa9988.open", data_of(token="ffeeddccbbaa9988"))
    reader = SegmentReader(folder)

    read = bodies(list(reader.batches(ALL, ALL)))

    assert read == [b"behind"]
    assert reader.unreadable == (name,)
    assert (folder / name).is_dir()


def test_a_segment_with_a_missing_file_does_not_stop_the_others(folder: Path) -> None:
    """A closed segment that is a broken link is reported."""
    (folder / f"{STEM}-5.seg").symlink_to("nowhere")
    (folder / f"1699999999999999-{TOKEN}.open").symlink_to("nowhere")
    put(folder, f"1700000000000001-{TOKEN}-1.seg", data_of(b"behind"))
    reader = SegmentReader(folder)

    assert bodies(list(reader.batches(ALL, ALL))) == [b"behind"]
    assert reader.unreadable == (f"{STEM}-5.seg",)
    assert pending(folder).events == 1


def test_an_unreadable_segment_is_tried_again(folder: Path) -> None:
    """`unreadable` is the list of the last pass."""
    (folder / f"{STEM}-1.seg").mkdir()
    reader = SegmentReader(folder)
    list(reader.batches(ALL, ALL))
    (folder / f"{STEM}-1.seg").rmdir()
    put(folder, f"{STEM}-1.seg", data_of(b"back"))

    assert bodies(list(reader.batches(ALL, ALL))) == [b"back"]
    assert reader.unreadable == ()


def test_a_quarantine_that_cannot_be_written_keeps_the_segment(folder: Path) -> None:
    """Damaged bytes are never lost: if they cannot be copied, the segment stays."""
    put(folder, QUARANTINE, b"a file where the folder should be")
    put(folder, f"{STEM}-1.seg", b"damaged")
    reader = SegmentReader(folder)

    assert list(reader.batches(ALL, ALL)) == []
    assert reader.unreadable == (f"{STEM}-1.seg",)


def test_pending_counts_closed_and_open_segments(folder: Path) -> None:
    """It has events, bytes and the oldest time of all segments, and ignores other files."""
    closed, opened = data_of(b"first", b"second"), data_of(b"third")
    put(folder, f"1700000000000000-{TOKEN}-2.seg", closed)
    put(folder, f"1600000000000000-{TOKEN}.open", opened + b"CIO1 1700")
    put(folder, f"1500000000000000-{TOKEN}.open", b"")
    put(folder, "README", b"not ours")
    put(folder, f".1400000000000000-{TOKEN}.new", opened)

    counted = pending(folder)

    assert counted == Pending(
        events=3,
        bytes=len(closed) + len(opened) + 9,
        oldest_at=datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC),
    )
    assert SegmentReader(folder).pending() == counted


def test_pending_skips_an_unreadable_segment(folder: Path) -> None:
    """The others are counted."""
    (folder / f"{STEM}.open").mkdir()
    put(folder, f"{STEM}-2.seg", data_of(b"first", b"second"))

    assert pending(folder).events == 2


def test_pending_misses_nothing_while_segments_are_written_and_closed(folder: Path) -> None:
    """A count contains every event that was acknowledged before it began."""
    inbox = LocalInbox(folder, close_seconds=0)  # closes after each record
    acknowledged = [0]

    def write() -> None:
        for _ in range(300):
            inbox.append(record(), 10)
            acknowledged[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    missed = []
    while thread.is_alive():
        before = acknowledged[0]
        if (counted := pending(folder).events) < before:
            missed.append((counted, before))
    thread.join()
    inbox.close()

    assert missed == []
    assert pending(folder).events == 300


def test_a_reader_gets_each_record_once_while_the_receiver_writes(folder: Path) -> None:
    """The order is kept, and nothing is left."""
    inbox = LocalInbox(folder, close_seconds=0.002)
    reader, read = SegmentReader(folder), list[bytes]()
    written = [b"%d" % n for n in range(400)]

    def write() -> None:
        for body in written:
            inbox.append(record(body), 10)
        inbox.close()

    thread = threading.Thread(target=write)
    thread.start()
    is_last = False
    while not is_last:
        is_last = not thread.is_alive()
        for batch in reader.batches(50, ALL):
            read += [one.body for one in batch.records]
            reader.delete(batch)
    thread.join()

    assert read == written
    assert pending(folder) == Pending(0, 0, None)


def test_unfinished_files_are_deleted_after_an_hour(folder: Path) -> None:
    """A `.new` file is left by a process that died while it created a segment."""
    old = put(folder, f".1400000000000000-{TOKEN}.new", b"")
    young = put(folder, f".1500000000000000-{TOKEN}.new", b"")
    an_hour_ago = datetime.now(UTC) - timedelta(seconds=3700)
    os.utime(old, (an_hour_ago.timestamp(),) * 2)

    list(SegmentReader(folder).batches(ALL, ALL))

    assert list(folder.iterdir()) == [young]


def test_other_files_are_not_touched(folder: Path) -> None:
    """Only files with the name of a segment are read."""
    strangers = {"README", "x.seg", f"{STEM}.seg", f"{STEM}-.seg", f"{STEM}-1.seg.bak", "y.open"}
    for name in strangers:
        put(folder, name, b"stranger")

    assert list(SegmentReader(folder).batches(ALL, ALL)) == []
    assert {path.name for path in folder.iterdir()} == strangers


def test_the_folder_is_created(tmp_path: Path) -> None:
    """A loader can start before the receiver."""
    reader = SegmentReader(tmp_path / "data" / "inbox")

    assert reader.pending() == Pending(0, 0, None)


def test_a_replay_segment_is_read_like_any_other(folder: Path) -> None:
    """Its records are read as replays, in order."""
    replayed = [
        Record(b"first", RECEIVED_AT, "", "", 5, kind="replay"),
        Record(b"cut", RECEIVED_AT, "", "", 10**9, "ab" * 32, kind="replay"),
    ]

    replay_segment(folder, replayed, name=STEM)

    assert [path.name for path in folder.iterdir()] == [f"{STEM}-2.seg"]
    assert take(folder).records == tuple(replayed)


def test_a_replay_segment_needs_the_name_of_a_segment(folder: Path) -> None:
    """A segment with another name would never be read."""
    with pytest.raises(ValueError, match="not the name of a segment"):
        replay_segment(folder, [record()], name="replay")

    assert list(folder.iterdir()) == []
