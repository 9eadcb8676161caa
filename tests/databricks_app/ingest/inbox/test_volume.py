"""The receiver's side of the inbox in a volume: an answer only after the put, and in time."""

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
    """Begin to store records; the future tells what became of them."""
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
    """Opens inboxes whose first look at the volume is over; all are closed at the end."""
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
    """The loader's side."""
    return ObjectReader(files, VOLUME, tmp_path / "note")


def bodies(reader: ObjectReader) -> list[bytes]:
    """The bodies of all that is stored, in order."""
    return [one.body for batch in reader.batches(10**9, 10**12) for one in batch.records]


def puts(double: Databricks) -> int:
    """How many puts there were."""
    return double.faults.counts["files.put"]


def test_who_waits_together_is_put_together(double: Databricks, opened: Open) -> None:
    """A put costs the same for one record and for many."""
    inbox = opened(linger_seconds=0.3)
    before = puts(double)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _: inbox.append(record(), LONG), range(32)))

    assert puts(double) - before <= 2


def test_several_puts_are_under_way(double: Databricks, opened: Open) -> None:
    """A slow workspace slows answers, not the number of them."""
    inbox = opened(linger_seconds=0.0)
    double.faults.set(Fault("latency", "files.put", times=None, seconds=0.4))
    began = time.monotonic()

    told = []
    for number in range(4):
        told.append(submit(inbox, record(b"%d" % number)))
        time.sleep(0.02)

    assert [one.result(LONG) for one in told] == [None] * 4
    assert time.monotonic() - began < 4 * 0.4


def test_a_large_body_holds_up_no_small_one(double: Databricks, opened: Open) -> None:
    """It is an object of its own."""
    inbox = opened(linger_seconds=0.2)
    before = puts(double)

    told = [submit(inbox, record(body)) for body in (b"small", bytes(2 << 20), b"small too")]

    assert [one.result(LONG) for one in told] == [None] * 3
    assert puts(double) - before == 3


def test_a_lost_answer_is_repaired_by_a_second_put(
    double: Databricks, opened: Open, reader: ObjectReader
) -> None:
    """The same object is put again: nothing is stored twice."""
    inbox = opened()
    double.faults.set(Fault("reset_after", "files.put"))

    inbox.append(record(b"once"), LONG)

    assert bodies(reader) == [b"once"]


@pytest.mark.parametrize("action", ["throttled", "unavailable"])
def test_a_wait_that_the_workspace_asks_for_is_kept(
    double: Databricks, opened: Open, action: str
) -> None:
    """Where the deadline allows it."""
    inbox = opened(deadline_seconds=3.0)
    double.faults.set(Fault(action, "files.put", retry_after=1))  # type: ignore[arg-type]
    began = time.monotonic()

    inbox.append(record(), 3.0)

    assert time.monotonic() - began >= 1.0


def test_a_wait_beyond_the_deadline_is_answered_at_once(double: Databricks, opened: Open) -> None:
    """Waiting for it would help nobody."""
    inbox = opened(deadline_seconds=3.0)
    double.faults.set(Fault("throttled", "files.put", times=None, retry_after=60))
    began = time.monotonic()

    with pytest.raises(InboxError, match="HTTP 429"):
        inbox.append(record(), 3.0)
    assert time.monotonic() - began < 2.0


def test_a_wait_that_the_workspace_asks_for_is_kept_by_all(
    double: Databricks, opened: Open
) -> None:
    """Nothing is put meanwhile, for whomever."""
    inbox = opened()
    double.faults.set(Fault("throttled", "files.put", retry_after=60))
    with pytest.raises(InboxError, match="HTTP 429"):
        inbox.append(record(), LONG)
    before = puts(double)

    with pytest.raises(InboxError, match="HTTP 429"):
        inbox.append(record(), LONG)

    assert puts(double) == before


def test_a_workspace_that_hangs_holds_nobody_past_the_deadline(
    double: Databricks, opened: Open
) -> None:
    """The record is not acknowledged, though it may be stored."""
    inbox = opened(deadline_seconds=0.3)
    double.faults.set(Fault("hang_after", "files.put", seconds=1))

    with pytest.raises(InboxError):
        inbox.append(record(), 0.5)


def test_who_goes_is_not_kept(double: Databricks, opened: Open) -> None:
    """A record that nobody waits for any more and that is not being put is dropped."""
    inbox = opened(uploads=1, linger_seconds=0.0, held_bytes=100)
    double.faults.set(Fault("latency", "files.put", seconds=0.5))
    first = submit(inbox, record(b"a" * 50))
    time.sleep(0.1)

    with pytest.raises(InboxTimeout):
        inbox.append(record(b"b" * 50), 0.05)
    second = submit(inbox, record(b"c" * 50))

    assert (first.result(LONG), second.result(LONG)) == (None, None)


def test_what_waits_in_memory_is_bounded(double: Databricks, opened: Open) -> None:
    """Past it a record is refused; one alone is taken whatever its size."""
    inbox = opened(held_bytes=100)
    double.faults.set(Fault("latency", "files.put", seconds=0.3))
    told = submit(inbox, record(bytes(500)))

    with pytest.raises(InboxFull, match="500 bytes of events wait for the volume"):
        inbox.append(record(), LONG)

    assert told.result(LONG) is None
    inbox.append(record(), LONG)


@pytest.mark.parametrize(
    ("action", "error", "words"),
    [("full", InboxFull, "takes no more"), ("denied", InboxError, "grant READ VOLUME")],
)
def test_what_will_not_pass_is_answered_at_once(
    double: Databricks, opened: Open, action: str, error: type[InboxError], words: str
) -> None:
    """And `/readyz` says why, until it has passed."""
    inbox = opened()
    double.faults.set(Fault(action, "files.put", times=None))  # type: ignore[arg-type]

    with pytest.raises(error, match=words):
        inbox.append(record(), LONG)
    assert words in (inbox.trouble() or "")
    double.faults.clear()

    eventually(lambda: inbox.trouble() is None)


def test_a_volume_that_refuses_is_one_line_when_it_begins_and_one_when_it_ends(
    double: Databricks, opened: Open
) -> None:
    """Each of many events is refused, and the sentence is logged once."""
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


def test_how_long_a_trouble_lasts_is_said(double: Databricks, files: DatabricksWorkspace) -> None:
    """From its beginning, whatever its words become; the next one begins anew."""
    now = [100.0]
    inbox = VolumeInbox(files, VOLUME, linger_seconds=0.0, monotonic=lambda: now[0])
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


def test_a_volume_that_cannot_be_used_is_known_before_the_first_event(
    double: Databricks, opened: Open
) -> None:
    """The admin need not wait for one."""
    double.faults.set(Fault("denied", "files.put", times=None))

    inbox = opened(is_ready=False)

    assert inbox.trouble() is not None
    eventually(lambda: "grant READ VOLUME" in (inbox.trouble() or ""))


def test_a_record_before_the_first_token_waits(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """A request at the start is answered 200, not refused."""
    double.faults.set(Fault("latency", "auth.token", seconds=0.3))
    fresh = connect(double.environment())
    inbox = VolumeInbox(fresh, VOLUME)

    inbox.append(record(), LONG)

    inbox.close()
    fresh.close()
    assert files.names(f"{VOLUME}/inbox")


def test_a_stop_finishes_what_waits(opened: Open, reader: ObjectReader) -> None:
    """Everything in the queue is put, and its senders are told."""
    inbox = opened(uploads=1, linger_seconds=10.0)
    told = [submit(inbox, record(b"%d" % number)) for number in range(50)]

    inbox.close()

    assert [one.result(0) for one in told] == [None] * 50
    assert len(bodies(reader)) == 50


def test_a_stop_waits_for_no_workspace_that_hangs(double: Databricks, opened: Open) -> None:
    """All are told within the time that a stop has."""
    inbox = opened(uploads=1, linger_seconds=0.0, deadline_seconds=60.0, stop_seconds=0.3)
    before = puts(double)
    double.faults.set(Fault("hang", "files.put", times=None, seconds=2))
    told = [submit(inbox, record())]
    eventually(lambda: puts(double) > before)
    told.append(submit(inbox, record()))
    began = time.monotonic()

    inbox.close()

    assert all(isinstance(one.result(0), InboxClosed) for one in told)
    assert time.monotonic() - began < 1.5


def test_a_fault_of_ours_ends_no_uploader(opened: Open) -> None:
    """It is told, and the next record is stored."""
    inbox = opened(uploads=1)
    bad = Record("text", RECEIVED_AT, "", "", 4)  # type: ignore[arg-type]

    with pytest.raises(InboxError, match="storing failed: TypeError"):
        inbox.append(bad, LONG)

    inbox.append(record(), LONG)


def test_an_event_loop_may_use_it(opened: Open) -> None:
    """So no thread of the server waits for a put."""
    assert isinstance(opened(), GroupAppender)


def test_the_app_opens_it_where_the_settings_say_so(
    double: Databricks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address and credentials come from the environment."""
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
