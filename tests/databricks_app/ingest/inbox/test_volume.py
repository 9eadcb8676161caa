"""The inbox in a volume, for the receiver: an answer only after the put, and in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from databricks_app.app import create_app
from databricks_app.databricks.workspace import DatabricksWorkspace, connect
from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox import GroupAppender
from databricks_app.ingest.inbox.put_spacing import PutSpacing
from databricks_app.ingest.inbox.volume import VolumeInbox
from databricks_app.ingest.inbox.volume_reader import ObjectReader
from databricks_app.runtime.recurring import RecurringLog
from databricks_app.settings import from_environment
from tests.doubles.databricks import Databricks
from tests.doubles.faults import Fault

RECEIVED_AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
VOLUME = "/Volumes/main/cio/landing"
LONG = 20.0
Open = Callable[..., VolumeInbox]


def record(body: bytes = b"{}") -> Record:
    """A record with this body."""
    return Record(body, RECEIVED_AT, "1700000000", "651bf3b7", len(body))


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail after 10 s."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def submit(inbox: VolumeInbox, *records: Record) -> Future[InboxError | None]:
    """Start to store records; the future gets the result."""
    told: Future[InboxError | None] = Future()
    inbox.submit(records, told.set_result)
    return told


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
def opened(files: DatabricksWorkspace, double: Databricks) -> Iterator[Open]:
    """Opens inboxes and waits for their first test of the volume; closes all at the end."""
    made: list[VolumeInbox] = []

    def opens(*, is_ready: bool = True, **options: float) -> VolumeInbox:
        made.append(VolumeInbox(files, VOLUME, **options))  # type: ignore[arg-type]
        if is_ready:
            eventually(lambda: made[-1].trouble() is None)
        return made[-1]

    yield opens
    double.faults.clear()
    for one in made:
        one.close()


@pytest.fixture
def reader(files: DatabricksWorkspace, tmp_path: Path) -> ObjectReader:
    """A reader of the same volume."""
    return ObjectReader(files, VOLUME, tmp_path / "note")


def bodies(reader: ObjectReader) -> list[bytes]:
    """The bodies of all stored records, in order."""
    return [one.body for batch in reader.batches(10**9, 10**12) for one in batch.records]


def puts(double: Databricks) -> int:
    """The number of puts."""
    return double.faults.counts["files.put"]


def test_waiting_records_are_put_in_one_object(double: Databricks, opened: Open) -> None:
    """A put costs the same for one record and for many; the first two are put at once."""
    inbox = opened()
    before = puts(double)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _: inbox.append(record(), LONG), range(32)))

    assert puts(double) - before <= 3


def test_a_record_that_is_alone_is_put_at_once(opened: Open) -> None:
    """Always: that of a serial sender, and that of one who posts after others."""
    inbox = opened()
    for one in [submit(inbox, record()) for _ in range(5)]:
        assert one.result(LONG) is None
    took = []

    for _ in range(10):
        began = time.monotonic()
        inbox.append(record(), LONG)
        took.append(time.monotonic() - began)

    assert sorted(took)[8] < 0.1


def test_groups_are_spaced_while_several_requests_wait(double: Databricks, opened: Open) -> None:
    """So that a steady stream costs two puts a second, not one for each request."""
    inbox = opened()
    double.faults.set(Fault("latency", "files.put", times=None, seconds=0.05))
    before = puts(double)

    told = []
    for _ in range(60):
        told.append(submit(inbox, record()))
        time.sleep(0.02)

    assert [one.result(LONG) for one in told] == [None] * 60
    assert puts(double) - before <= 6


def test_a_group_does_not_wait_for_requests_that_do_not_come() -> None:
    """All senders wait for their answers; they would be slower than one serial sender."""
    now = [100.0]
    spacing = PutSpacing(monotonic=lambda: now[0])
    spacing.begin()

    assert spacing.seconds_left(newest_at=100.0) == pytest.approx(0.2)
    now[0] += 0.15
    assert spacing.seconds_left(newest_at=100.15) == pytest.approx(0.2)
    now[0] += 0.3
    assert spacing.seconds_left(newest_at=100.44) == pytest.approx(0.05)


def test_requests_of_another_process_count_too(tmp_path: Path) -> None:
    """One request in each of many processes is not alone; what a dead one left does not count."""
    here, there = PutSpacing(tmp_path), PutSpacing(tmp_path)
    there.note_busy(is_busy=True)
    here.note_busy(is_busy=True)

    assert not here.is_alone(1)
    del there
    assert here.is_alone(1)
    assert not here.is_alone(2)


@pytest.mark.parametrize(
    ("processes", "deadline_seconds", "seconds"), [(1, 3.0, 0.5), (4, 3.0, 0.6), (2, 0.5, 0.1)]
)
def test_the_spacing_keeps_the_answer_under_a_second(
    processes: int, deadline_seconds: float, seconds: float
) -> None:
    """And leaves time before the deadline."""
    assert PutSpacing(None, processes, deadline_seconds).seconds == pytest.approx(seconds)


def test_a_large_body_does_not_delay_small_ones(double: Databricks, opened: Open) -> None:
    """It is an object of its own."""
    inbox = opened()
    before = puts(double)

    told = [submit(inbox, record(body)) for body in (b"small", bytes(2 << 20), b"small too")]

    assert [one.result(LONG) for one in told] == [None] * 3
    assert puts(double) - before == 3


def test_a_lost_answer_is_repaired_by_a_second_put(
    double: Databricks, opened: Open, reader: ObjectReader
) -> None:
    """The same object is put again, so nothing is stored twice."""
    inbox = opened()
    double.faults.set(Fault("reset_after", "files.put"))

    inbox.append(record(b"once"), LONG)

    assert bodies(reader) == [b"once"]


@pytest.mark.parametrize("action", ["throttled", "unavailable"])
def test_retry_after_is_respected(double: Databricks, opened: Open, action: str) -> None:
    """If the deadline allows it."""
    inbox = opened(deadline_seconds=3.0)
    double.faults.set(Fault(action, "files.put", retry_after=1))  # type: ignore[arg-type]
    began = time.monotonic()

    inbox.append(record(), 3.0)

    assert time.monotonic() - began >= 1.0


def test_a_retry_after_beyond_the_deadline_is_answered_at_once(
    double: Databricks, opened: Open
) -> None:
    """The put cannot succeed before the deadline."""
    inbox = opened(deadline_seconds=3.0)
    double.faults.set(Fault("throttled", "files.put", times=None, retry_after=60))
    began = time.monotonic()

    with pytest.raises(InboxError, match="HTTP 429"):
        inbox.append(record(), 3.0)
    assert time.monotonic() - began < 2.0


def test_retry_after_applies_to_all_puts(double: Databricks, opened: Open) -> None:
    """There is no put until then, also for other records."""
    inbox = opened()
    double.faults.set(Fault("throttled", "files.put", retry_after=60))
    with pytest.raises(InboxError, match="HTTP 429"):
        inbox.append(record(), LONG)
    before = puts(double)

    with pytest.raises(InboxError, match="HTTP 429"):
        inbox.append(record(), LONG)

    assert puts(double) == before


def test_an_append_ends_at_its_deadline_if_the_workspace_hangs(
    double: Databricks, opened: Open
) -> None:
    """The record is not acknowledged, although it may be stored."""
    inbox = opened(deadline_seconds=0.3)
    double.faults.set(Fault("hang_after", "files.put", seconds=1))

    with pytest.raises(InboxError):
        inbox.append(record(), 0.5)


def test_a_record_that_times_out_is_removed_from_memory(double: Databricks, opened: Open) -> None:
    """Unless its put has begun."""
    inbox = opened(held_bytes=100)
    double.faults.set(Fault("latency", "files.put", times=None, seconds=0.3))
    under_way = []
    for _ in range(2):
        before = puts(double)
        under_way.append(submit(inbox, record(b"a" * 25)))
        eventually(lambda before=before: puts(double) > before)  # type: ignore[misc]

    with pytest.raises(InboxTimeout):
        inbox.append(record(b"b" * 50), 0.05)
    last = submit(inbox, record(b"c" * 50))

    assert [one.result(LONG) for one in (*under_way, last)] == [None] * 3


def test_the_waiting_bytes_are_limited(double: Databricks, opened: Open) -> None:
    """Further records are refused; a single record may exceed the limit."""
    inbox = opened(held_bytes=100)
    double.faults.set(Fault("latency", "files.put", seconds=0.3))
    told = submit(inbox, record(bytes(500)))

    with pytest.raises(InboxFull, match="500 bytes"):
        inbox.append(record(), LONG)

    assert told.result(LONG) is None
    inbox.append(record(), LONG)


@pytest.mark.parametrize(
    ("action", "error", "words"),
    [("full", InboxFull, "takes no more"), ("denied", InboxError, "grant READ VOLUME")],
)
def test_a_permanent_error_is_answered_at_once(
    double: Databricks, opened: Open, action: str, error: type[InboxError], words: str
) -> None:
    """`trouble` has the reason until the volume works again."""
    inbox = opened()
    double.faults.set(Fault(action, "files.put", times=None))  # type: ignore[arg-type]

    with pytest.raises(error, match=words):
        inbox.append(record(), LONG)
    assert words in (inbox.trouble() or "")
    double.faults.clear()

    eventually(lambda: inbox.trouble() is None)


def test_a_failing_volume_is_logged_when_it_begins_and_when_it_ends(
    double: Databricks, opened: Open
) -> None:
    """With one line each, for any number of refused events."""
    recurring = RecurringLog()
    inbox = opened(recurring=recurring)
    double.faults.set(Fault("denied", "files.put", times=None))

    with capture_logs() as lines:
        for _ in range(5):
            with pytest.raises(InboxError):
                inbox.append(record(), LONG)
        double.faults.clear()
        eventually(lambda: inbox.trouble() is None)
        recurring.sweep(is_end=True)

    begun, ended = lines
    assert (begun["event"], ended["event"]) == ("volume_refuses", "volume_refuses_ended")
    assert "grant READ VOLUME" in begun["reason"]
    assert ended["times"] >= 5


def test_trouble_says_how_long_it_has_lasted(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """Since its beginning, even if the reason changes; the next trouble starts at 0."""
    now = [100.0]
    inbox = VolumeInbox(files, VOLUME, monotonic=lambda: now[0])
    eventually(lambda: inbox.trouble() is None)

    def said(action: str, words: str) -> None:
        double.faults.clear()
        double.faults.set(Fault(action, "files.put", times=None, retry_after=None))  # type: ignore[arg-type]
        submit(inbox, record())
        eventually(lambda: words in (inbox.trouble() or ""))

    said("full", "(for 0 s)")
    now[0] += 42
    said("denied", "WRITE VOLUME")
    lasting = inbox.trouble() or ""
    double.faults.clear()
    eventually(lambda: inbox.trouble() is None)
    now[0] += 10
    said("full", "takes no more")
    again = inbox.trouble() or ""
    inbox.close()

    assert lasting.endswith("(for 42 s)")
    assert again.endswith("(for 0 s)")


def test_an_unusable_volume_is_reported_before_the_first_event(
    double: Databricks, opened: Open
) -> None:
    """`trouble` has the reason after the start."""
    double.faults.set(Fault("denied", "files.put", times=None))

    inbox = opened(is_ready=False)

    assert inbox.trouble() is not None
    eventually(lambda: "grant READ VOLUME" in (inbox.trouble() or ""))


def test_a_record_before_the_first_token_waits(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """A request at the start is not refused."""
    double.faults.set(Fault("latency", "auth.token", seconds=0.3))
    fresh = connect(double.environment())
    inbox = VolumeInbox(fresh, VOLUME)

    inbox.append(record(), LONG)

    inbox.close()
    fresh.close()
    assert files.names(f"{VOLUME}/inbox")


def test_close_stores_waiting_records(opened: Open, reader: ObjectReader) -> None:
    """All of them are put and answered."""
    inbox = opened()
    told = [submit(inbox, record(b"%d" % number)) for number in range(50)]

    inbox.close()

    assert [one.result(0) for one in told] == [None] * 50
    assert len(bodies(reader)) == 50


def test_close_does_not_wait_for_a_workspace_that_hangs(double: Databricks, opened: Open) -> None:
    """All records are answered within `stop_seconds`."""
    inbox = opened(deadline_seconds=60.0, stop_seconds=0.3)
    before = puts(double)
    double.faults.set(Fault("hang", "files.put", times=None, seconds=2))
    told = [submit(inbox, record())]
    eventually(lambda: puts(double) > before)
    told.append(submit(inbox, record()))
    began = time.monotonic()

    inbox.close()

    assert all(isinstance(one.result(0), InboxClosed) for one in told)
    assert time.monotonic() - began < 1.5


def test_a_programming_error_does_not_end_the_uploader(opened: Open) -> None:
    """The record is refused with its type, and the next record is stored."""
    inbox = opened()
    bad = Record("text", RECEIVED_AT, "", "", 4)  # type: ignore[arg-type]

    with pytest.raises(InboxError, match="TypeError"):
        inbox.append(bad, LONG)

    inbox.append(record(), LONG)


def test_it_is_a_group_appender(opened: Open) -> None:
    """So an event loop can use it, and no thread of the server waits for a put."""
    assert isinstance(opened(), GroupAppender)


def test_the_app_opens_it_if_the_settings_say_so(
    double: Databricks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address and credentials come from the environment."""
    for name, value in double.environment().items():
        monkeypatch.setenv(name, value)
    settings = from_environment(
        {
            "CIO_STORE": "databricks",
            "CIO_CATALOG": "main",
            "CIO_SCHEMA": "cio",
            "CIO_VOLUME": "landing",
            "CIO_WEBHOOK_SIGNING_KEYS": "key",
            "CIO_ADMIN_TOKEN": "token",
        }
    )
    app = create_app(settings)
    inbox = app.extensions["ciolake.inbox"]
    inbox.append(record(), LONG)
    eventually(lambda: inbox.trouble() is None)

    pending = 0
    admin = {"Authorization": "Bearer token"}
    deadline = time.monotonic() + 10
    while not pending and time.monotonic() < deadline:
        pending = app.test_client().get("/readyz", headers=admin).json["inbox_pending_events"]

    inbox.close()
    assert pending == 1
