"""The local inbox, for the receiver: every acknowledged record is on the disk."""

from __future__ import annotations

import errno
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from structlog.testing import capture_logs

from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import frames
from databricks_app.ingest.inbox.local import (
    CLOSE_BYTES,
    CLOSE_EVENTS,
    HANGING_SECONDS,
    LocalInbox,
)
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.ingest.inbox.room import folder_bytes

RECEIVED_AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
NEVER = 1e9
MIB = 1 << 20


def record(body: bytes = b"{}") -> Record:
    """A record with this body."""
    return Record(body, RECEIVED_AT, "1700000000", "651bf3b7", len(body))


def read_back(folder: Path) -> list[bytes]:
    """The bodies of all closed and dead segments, in order; check that none is damaged."""
    batches = list(SegmentReader(folder).batches(10**9, 10**12))
    assert not any(batch.damaged or batch.torn for batch in batches)
    return [one.body for batch in batches for one in batch.records]


def names(folder: Path, ending: str) -> list[str]:
    """The files of the folder with this ending, in order."""
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(ending))


def waits_in_append(ident: int | None) -> bool:
    """Whether a thread has submitted its record and waits until it is stored."""
    frame = sys._current_frames().get(ident or 0)
    calls = []
    while frame is not None:
        calls.append(frame.f_code.co_name)
        frame = frame.f_back
    return "append" in calls and "wait" in calls[: calls.index("append")]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail after 10 s."""
    pause = threading.Event()
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.002)


class Stuck:
    """A clock for names in which the committer waits, like for a disk that hangs."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.let_go = threading.Event()
        self._at = 1_700_000_000.0

    def __call__(self) -> float:
        """Wait until `let_go` is set, then return the time."""
        self.reached.set()
        self.let_go.wait(20)
        self._at += 1
        return self._at


@contextmanager
def stuck_inbox(folder: Path) -> Iterator[tuple[LocalInbox, Stuck, ThreadPoolExecutor]]:
    """An inbox whose committer is busy with the body `first`, and threads for appends."""
    stuck = Stuck()
    inbox = LocalInbox(folder, clock=stuck, close_seconds=NEVER)
    with ThreadPoolExecutor(8) as threads:
        try:
            threads.submit(inbox.append, record(b"first"), 20)
            assert stuck.reached.wait(10)
            yield inbox, stuck, threads
        finally:
            stuck.let_go.set()
            inbox.close()


def append_waiting(inbox: LocalInbox, threads: ThreadPoolExecutor, body: bytes) -> Future[None]:
    """Append from another thread; return when it waits."""
    ident: list[int] = []

    def append() -> None:
        ident.append(threading.get_ident())
        inbox.append(record(body), 20)

    future = threads.submit(append)
    eventually(lambda: bool(ident) and waits_in_append(ident[0]))
    return future


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the inbox under test; it does not exist yet."""
    return tmp_path / "data" / "inbox"


def test_an_acknowledged_record_is_in_the_file(folder: Path) -> None:
    """When `append` returns, the record's frame is in the open segment."""
    inbox = LocalInbox(folder, close_seconds=NEVER)

    inbox.append(record(b"a\n\xff\x00"), 10)

    (name,) = names(folder, ".open")
    token = name.removesuffix(".open").rpartition("-")[2]
    (frame,) = frames.scan((folder / name).read_bytes(), frames.seed(token))
    assert isinstance(frame, frames.Frame)
    assert frame.record == record(b"a\n\xff\x00")
    inbox.close()


def test_the_name_and_the_mode_of_a_segment(folder: Path) -> None:
    """Time, token and, if it is closed, the number of records; only the owner can read it."""
    inbox = LocalInbox(folder, close_seconds=NEVER, clock=lambda: 1_700_000_000.25)
    inbox.append(record(), 10)
    (opened,) = names(folder, "")
    inbox.append(record(), 10)
    inbox.close()

    (closed,) = names(folder, "")
    assert re.fullmatch(r"1700000000250000-[0-9a-f]{16}\.open", opened)
    assert closed == opened.replace(".open", "-2.seg")
    assert (folder / closed).stat().st_mode & 0o777 == 0o600


def test_many_threads_lose_nothing_and_keep_their_order(folder: Path) -> None:
    """All acknowledged records are read once; those of one thread keep their order."""
    inbox = LocalInbox(folder)
    written = [[f"{thread}-{n}".encode() for n in range(40)] for thread in range(16)]

    def append_all(bodies: list[bytes]) -> None:
        for body in bodies:
            inbox.append(record(body), 10)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(append_all, written))
    inbox.close()

    read = read_back(folder)
    assert len(read) == 640
    for thread, bodies in enumerate(written):
        assert [body for body in read if body.startswith(b"%d-" % thread)] == bodies


def test_several_processes_share_a_folder(folder: Path) -> None:
    """Each inbox writes a segment of its own."""
    inboxes = [LocalInbox(folder, close_seconds=NEVER) for _ in range(3)]
    for number, inbox in enumerate(inboxes):
        inbox.append(record(b"%d" % number), 10)

    assert len(names(folder, ".open")) == 3
    for inbox in inboxes:
        inbox.close()
    assert sorted(read_back(folder)) == [b"0", b"1", b"2"]


def test_a_segment_is_closed_by_size(folder: Path) -> None:
    """At 16 MiB the segment is closed, and the next record begins another one."""
    inbox = LocalInbox(folder, close_seconds=NEVER)
    bodies = [bytes([n]) * (CLOSE_BYTES // 4) for n in range(5)]

    for body in bodies:
        inbox.append(record(body), 10)

    (closed,) = names(folder, ".seg")
    assert closed.endswith("-4.seg")
    inbox.close()
    assert read_back(folder) == bodies


def test_a_segment_is_closed_by_count(folder: Path) -> None:
    """At 10,000 records the segment is closed, so that a batch is not too large."""
    inbox = LocalInbox(folder, close_seconds=NEVER)

    with ThreadPoolExecutor(100) as threads:
        list(threads.map(lambda _: inbox.append(record(), 20), range(CLOSE_EVENTS + 100)))
    inbox.close()

    counts = [int(name.rpartition("-")[2].removesuffix(".seg")) for name in names(folder, ".seg")]
    assert sum(counts) == CLOSE_EVENTS + 100
    assert CLOSE_EVENTS <= max(counts) <= CLOSE_EVENTS + 100


def test_a_segment_is_closed_by_age(folder: Path) -> None:
    """After `close_seconds` on the monotonic clock the segment is closed."""
    at = [100.0]
    inbox = LocalInbox(folder, close_seconds=2.5, monotonic=lambda: at[0])
    inbox.append(record(b"first"), 10)
    at[0] += 2.4
    inbox.append(record(b"second"), 10)
    assert names(folder, ".seg") == []

    at[0] += 0.1
    inbox.append(record(b"third"), 10)
    inbox.append(record(b"fourth"), 10)  # stored after the committer has closed the others

    (closed,) = names(folder, ".seg")
    assert closed.endswith("-3.seg")
    inbox.close()


def test_a_segment_is_closed_by_age_without_further_requests(folder: Path) -> None:
    """The last event before a pause does not wait for the next request."""
    inbox = LocalInbox(folder, close_seconds=0.01)
    inbox.append(record(), 10)

    eventually(lambda: names(folder, ".seg") != [])

    assert names(folder, ".open") == []
    inbox.close()


def test_a_record_that_times_out_while_it_waits_is_not_stored(folder: Path) -> None:
    """It is removed from the memory too."""
    given_up = record(b"given up")
    references = sys.getrefcount(given_up)
    with stuck_inbox(folder) as (inbox, _, _):
        with pytest.raises(InboxTimeout, match=r"not durable within 0\.01 s"):
            inbox.append(given_up, 0.01)

        assert sys.getrefcount(given_up) == references

    assert read_back(folder) == [b"first"]


def test_a_record_that_times_out_while_it_is_written_is_stored(folder: Path) -> None:
    """The sender repeats it, which is harmless."""
    stuck = Stuck()
    inbox = LocalInbox(folder, clock=stuck)

    with pytest.raises(InboxTimeout):
        inbox.append(record(b"late"), 0.01)
    stuck.let_go.set()
    inbox.close()

    assert read_back(folder) == [b"late"]


def test_close_stores_waiting_records(folder: Path) -> None:
    """Records that were submitted before are stored; later ones are refused."""
    with stuck_inbox(folder) as (inbox, stuck, threads):
        waiting = [append_waiting(inbox, threads, b"%d" % n) for n in range(3)]
        closing = threads.submit(inbox.close)
        eventually(lambda: "is stopping" in (inbox.trouble() or ""))
        with pytest.raises(InboxClosed):
            inbox.append(record(b"too late"), 1)
        stuck.let_go.set()
        for future in (*waiting, closing):
            future.result(10)

    assert read_back(folder) == [b"first", b"0", b"1", b"2"]
    assert names(folder, ".open") == []


def test_close_stores_a_record_behind_one_that_timed_out(folder: Path) -> None:
    """Also if both are large and need two groups."""
    large = bytes(20 * MIB)  # two of them are more than a group
    with stuck_inbox(folder) as (inbox, stuck, threads):
        with pytest.raises(InboxTimeout):
            inbox.append(record(large), 0.01)
        behind = append_waiting(inbox, threads, large)
        closing = threads.submit(inbox.close)
        eventually(lambda: inbox.trouble() is not None)
        stuck.let_go.set()
        closing.result(10)

        assert behind.result(1) is None

    assert read_back(folder) == [b"first", large]


def test_close_can_be_repeated_and_leaves_no_empty_segment(folder: Path) -> None:
    """An inbox without records leaves no file."""
    inbox = LocalInbox(folder)

    inbox.close()
    inbox.close()

    assert names(folder, "") == []


def test_the_inbox_is_full_at_its_limit_until_events_are_loaded(folder: Path) -> None:
    """At `max_bytes` appends fail with the reason; after the loader has deleted, they succeed."""
    at = [0.0]
    inbox = LocalInbox(folder, max_bytes=MIB, close_seconds=5, monotonic=lambda: at[0])
    inbox.append(record(bytes(MIB)), 10)
    assert "CIO_INBOX_MAX_BYTES" in (inbox.trouble() or "")

    for _ in range(2):  # the segment is closed between the two
        at[0] += 10
        with pytest.raises(InboxFull, match=r"1048576 bytes.*CIO_INBOX_MAX_BYTES"):
            inbox.append(record(), 10)
    reader = SegmentReader(folder)
    for batch in reader.batches(10, 10):
        reader.delete(batch)
    at[0] += 10

    assert inbox.trouble() is None
    inbox.append(record(b"again"), 10)
    inbox.close()
    assert read_back(folder) == [b"again"]


def test_the_limit_counts_files_of_other_processes(folder: Path) -> None:
    """It is a limit of the folder; the quarantine does not count."""
    (folder / "quarantine").mkdir(parents=True)
    (folder / "quarantine" / "kept").write_bytes(bytes(5000))
    (folder / "other").write_bytes(bytes(3000))
    (folder / "gone").symlink_to("nowhere")

    assert folder_bytes(folder) == 3000
    inbox = LocalInbox(folder, max_bytes=3000)
    with pytest.raises(InboxFull):
        inbox.append(record(), 10)
    inbox.close()


def test_a_record_that_cannot_be_encoded_fails_alone(folder: Path) -> None:
    """Records before and after it are stored."""
    bad = Record(b"{}", RECEIVED_AT, "\u0661", "651bf3b7", 2)  # no ASCII digit
    inbox = LocalInbox(folder, close_seconds=NEVER)
    inbox.append(record(b"before"), 10)

    with pytest.raises(InboxError, match="UnicodeEncodeError"):
        inbox.append(bad, 10)
    assert inbox.trouble() is None
    inbox.append(record(b"after"), 10)
    inbox.close()

    assert read_back(folder) == [b"before", b"after"]


def test_a_missing_folder_is_an_error_until_it_is_back(folder: Path) -> None:
    """Then the inbox works again without a restart."""
    at = [0.0]
    inbox = LocalInbox(folder, monotonic=lambda: at[0])
    folder.rmdir()

    with pytest.raises(InboxError, match="No such file or directory"):
        inbox.append(record(), 10)
    assert "No such file" in (inbox.trouble() or "")
    folder.mkdir()
    assert inbox.trouble() is None
    inbox.append(record(b"back"), 10)
    inbox.close()

    assert read_back(folder) == [b"back"]


CHILD = """
    import ctypes, json, os, resource, struct, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from databricks_app.errors import InboxError
    from databricks_app.ingest.inbox.local import LocalInbox
    from databricks_app.events.record import Record

    folder, said = Path(sys.argv[1]), []
    def append(inbox, body):
        at = datetime(2023, 11, 14, tzinfo=UTC)
        try:
            inbox.append(Record(body, at, "1700000000", "651bf3b7", len(body)), 10)
            said.append("stored")
        except InboxError as error:
            said.append(f"{type(error).__name__}: {error}")
"""
# After the call the kernel answers every fdatasync of all threads with EIO (seccomp).
BREAK_FDATASYNC = """
    def break_fdatasync():
        numbers = {"x86_64": (75, 317), "aarch64": (83, 277)}
        fdatasync, seccomp = numbers[os.uname().machine]
        look, fail, allow = (0x20, 0, 0, 0), (6, 0, 0, 0x50005), (6, 0, 0, 0x7FFF0000)
        steps = [look, (0x15, 0, 1, fdatasync), fail, allow]
        code = b"".join(struct.pack("HBBI", *step) for step in steps)
        buffer = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(seccomp, 1, 1, program):
            print("seccomp is not available here")
            sys.exit(77)
"""


def run_child(folder: Path, *sources: str, start: tuple[str, ...] = ()) -> list[str]:
    """Run another process with the folder; return the results of its appends."""
    source = "".join(dedent(one) for one in (CHILD, *sources)) + "\nprint(json.dumps(said))\n"
    done = subprocess.run(
        [*start, sys.executable, "-c", source, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def test_a_short_write_abandons_the_segment_at_its_last_good_offset(folder: Path) -> None:
    """A file-size limit of the process causes a short write: only that record is refused.

    The write of the second record is short, and the fourth gets an error. The third and the fifth
    record are in segments of their own.
    """
    said = run_child(
        folder,
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        inbox = LocalInbox(folder, close_seconds=1e9)
        for body in (b"a" * 60_000, b"b" * 60_000, b"c" * 10, b"d" * 200_000, b"e" * 10):
            append(inbox, body)
        said.append(inbox.trouble())
        inbox.close()
        """,
    )

    assert [one if one in ("stored", None) else one.split(":")[0] for one in said] == [
        "stored",
        "InboxFull",
        "stored",
        "InboxFull",
        "stored",
        None,
    ]
    assert "No space left on device" in said[1]
    assert read_back(folder) == [b"a" * 60_000, b"c" * 10, b"e" * 10]
    assert [name.rpartition("-")[2] for name in names(folder, "")] == ["1.seg"] * 3


def test_a_failed_sync_is_not_acknowledged(folder: Path) -> None:
    """Its bytes are cut off, earlier records stay, and the caller gets an error."""
    said = run_child(
        folder,
        BREAK_FDATASYNC,
        """
        inbox = LocalInbox(folder, close_seconds=1e9)
        append(inbox, b"before")
        break_fdatasync()
        append(inbox, b"not durable")
        append(inbox, b"nor this")
        said.append(inbox.trouble())
        inbox.close()
        """,
    )

    first, *errors, trouble = said
    assert first == "stored"
    assert all(re.match("InboxError: .*Input/output error", one) for one in errors)
    assert "Input/output error" in trouble
    assert read_back(folder) == [b"before"]


def test_a_full_disk_refuses_until_there_is_space(folder: Path) -> None:
    """On a real small disk; everything acknowledged is stored."""
    folder.mkdir(parents=True)
    mount = 'mount -t tmpfs -o size=1m tmpfs "$0" || { echo no mounts here; exit 77; }; exec "$@"'
    said = run_child(
        folder,
        """
        from databricks_app.ingest.inbox.local_reader import SegmentReader
        inbox = LocalInbox(folder, max_bytes=1 << 30, floor_bytes=0, close_seconds=1e9)
        for _ in range(12):
            append(inbox, b"x" * 100_000)
        stored = said.count("stored")
        said = said[stored:][:1] + [inbox.trouble()]
        reader = SegmentReader(folder)
        read = 0
        for batch in reader.batches(10**6, 10**9):
            read += len(batch.records)
            reader.delete(batch)
        said += [read == stored, inbox.trouble()]
        append(inbox, b"again")
        inbox.close()
        """,
        start=("unshare", "--mount", "sh", "-c", mount, str(folder)),
    )

    refused, trouble, *rest = said
    assert re.match("InboxFull: .*No space left on device", refused)
    assert "No space left on device" in trouble
    assert rest == [True, None, "stored"]


def test_the_age_of_a_segment_depends_only_on_the_monotonic_clock(folder: Path) -> None:
    """A jump of the wall clock does not close a segment earlier or later."""
    jumping = itertools.cycle([4e9, 0.0])
    inbox = LocalInbox(folder, close_seconds=5, monotonic=lambda: 0.0, clock=lambda: next(jumping))

    for n in range(3):
        inbox.append(record(b"%d" % n), 10)

    assert len(names(folder, ".open")) == 1
    inbox.close()
    assert read_back(folder) == [b"0", b"1", b"2"]


def test_a_small_record_waits_for_at_most_one_group_of_large_ones(tmp_path: Path) -> None:
    """Even if many large bodies were submitted before it."""
    let_go = threading.Event()
    order: list[str] = []

    def sync(_descriptor: int) -> None:
        let_go.wait()

    inbox = LocalInbox(tmp_path, sync=sync)
    inbox.submit([record(b"first")], lambda _: order.append("first"))
    eventually(lambda: not inbox._queue.waiting)
    large = record(bytes(20 * MIB))
    for number in range(3):
        inbox.submit([large], lambda _, number=number: order.append(f"large {number}"))
    inbox.submit([record(b"small")], lambda _: order.append("small"))
    let_go.set()
    inbox.close()

    assert order == ["first", "large 0", "small", "large 1", "large 2"]


def test_trouble_reports_a_disk_that_hangs(tmp_path: Path) -> None:
    """While the sync still hangs, because every request is refused meanwhile."""
    let_go, at = threading.Event(), [0.0]

    def sync(_descriptor: int) -> None:
        let_go.wait()

    inbox = LocalInbox(tmp_path, monotonic=lambda: at[0], sync=sync)
    with pytest.raises(InboxTimeout):
        inbox.append(record(), 0.01)
    at[0] = HANGING_SECONDS + 1

    trouble = inbox.trouble()
    let_go.set()
    inbox.close()

    assert "has not answered for 4 s" in (trouble or "")


def test_a_programming_error_refuses_its_group_and_is_logged(tmp_path: Path) -> None:
    """The log has type and place, not the text; the next group is stored in another segment."""
    faults = [ValueError("secret text")]

    def sync(_descriptor: int) -> None:
        if faults:
            raise faults.pop()

    with capture_logs() as lines:
        inbox = LocalInbox(tmp_path, sync=sync)
        with pytest.raises(InboxError, match="ValueError"):
            inbox.append(record(b"refused"), 5)
        inbox.append(record(b"stored"), 5)
        inbox.close()

    (line,) = lines
    assert (line["event"], line["error"]) == ("storing_failed", "ValueError")
    assert re.fullmatch(r"test_local\.py:\d+", line["at"])
    assert "secret" not in str(lines)
    assert stored(tmp_path) == [b"stored"]


def test_the_committer_survives_a_programming_error(tmp_path: Path) -> None:
    """Acknowledged records are kept, and it continues with a new segment."""
    faults: list[Exception] = []

    def sync(_descriptor: int) -> None:
        faults.append(KeyError("secret text"))

    def monotonic() -> float:
        if faults:
            raise faults.pop()
        return 0.0

    with capture_logs() as lines:
        inbox = LocalInbox(tmp_path, sync=sync, monotonic=monotonic)
        futures = []
        for body in (b"one", b"two"):
            done: Future[InboxError | None] = Future()
            inbox.submit([record(body)], done.set_result)
            futures.append(done.result(5))
            eventually(lambda: inbox._segment is None)
        inbox.close()

    assert futures == [None, None]
    assert {line["event"] for line in lines} == {"committer_failed"}
    assert "secret" not in str(lines)
    assert sorted(stored(tmp_path)) == [b"one", b"two"]


def test_a_segment_that_cannot_be_closed_is_logged_once(tmp_path: Path) -> None:
    """One line for all groups; the groups are refused."""

    def sync(_descriptor: int) -> None:
        next(tmp_path.glob("*.open")).unlink()
        raise OSError(errno.EIO, "secret text")

    with capture_logs() as lines:
        inbox = LocalInbox(tmp_path, sync=sync)
        for _ in range(3):
            with pytest.raises(InboxError):
                inbox.append(record(b"refused"), 5)
        inbox.close()

    assert [(line["event"], line["reason"]) for line in lines] == [
        ("segment_not_closed", "No such file or directory")
    ]


def stored(folder: Path) -> list[bytes]:
    """The bodies that the loader finds."""
    batches = SegmentReader(folder).batches(10**9, 10**12)
    return [one.body for batch in batches for one in batch.records]
