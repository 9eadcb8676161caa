"""Webhook requests in an event loop: groups, their answers, and a disk that does not keep up."""

from __future__ import annotations

import io
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from databricks_app.errors import InboxError
from databricks_app.events.record import Record
from databricks_app.ingest.group_commit import GroupCommit
from databricks_app.ingest.inbox import Appender
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.ingest.receiver import WebhookReceiver
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings

Sign = Callable[..., dict[str, str]]
LATER = 3.5


class Disk:
    """A sync that stands still while its gate is shut, or fails.

    Attributes:
        gate: Open unless a test shuts it.
        reached: Set when a sync has begun.
        error: Raised by every sync, if it is set.
        syncs: How many there were.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.error: OSError | None = None
        self.syncs = 0

    def __call__(self, descriptor: int) -> None:
        """Sync."""
        self.reached.set()
        self.gate.wait(20)
        if self.error is not None:
            raise self.error
        self.syncs += 1
        os.fdatasync(descriptor)


@dataclass
class Loop:
    """An event loop by hand over a real inbox; `said` is who was answered what, in order."""

    settings: Settings
    now: Callable[[], float]
    sign: Sign
    disk: Disk = field(default_factory=Disk)
    at: float = 0.0
    said: list[tuple[int, int]] = field(default_factory=list)
    calls: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self.inbox = LocalInbox(self.settings.inbox_dir, max_bytes=1 << 20, sync=self.disk)
        self.metrics = Metrics()
        self.receiver = WebhookReceiver(self.settings, self.inbox, self.metrics, self.now)
        self.commit = GroupCommit(self.receiver, self.inbox, self.calls.put, lambda: self.at)

    def take(self, *numbers: int, **signing: object) -> None:
        """Take a request for each number."""
        for number in numbers:
            body = b"%d" % number
            headers = {name: value.encode() for name, value in self.sign(body, **signing).items()}
            self.commit.take(
                headers["X-CIO-Signature"],
                headers["X-CIO-Timestamp"],
                body,
                partial(self._say, number),
            )

    def _say(self, number: int, status: int) -> None:
        self.said.append((number, status))

    def call(self) -> None:
        """Wait for what another thread has left to the loop, and do it."""
        self.calls.get(timeout=20)()

    def stored(self) -> list[bytes]:
        """Close the inbox and return what is in it."""
        self.inbox.close()
        batches = SegmentReader(self.settings.inbox_dir).batches(10**6, 10**9)
        return [record.body for batch in batches for record in batch.records]

    def count(self, name: str, **labels: str) -> float:
        """Return a counter's value."""
        return self.metrics.registry.get_sample_value(f"ciolake_{name}", labels) or 0.0


@pytest.fixture
def loop(settings: Settings, now: Callable[[], float], sign: Sign) -> Iterator[Loop]:
    """A loop whose disk works."""
    loop = Loop(settings, now, sign)
    yield loop
    loop.disk.gate.set()
    loop.inbox.close()


def test_what_came_in_one_turn_is_one_group_and_is_answered_when_durable(loop: Loop) -> None:
    """One sync for all of them, and no answer before it."""
    loop.take(1, 2, 3)
    loop.commit.submit()
    assert loop.said == []

    loop.call()

    assert loop.said == [(1, 200), (2, 200), (3, 200)]
    assert loop.disk.syncs == 1
    assert loop.count("accepted_events_total", key="651bf3b7") == 3
    assert loop.count("accepted_bytes_total") == 3
    assert loop.count("append_seconds_count") == 3
    assert loop.stored() == [b"1", b"2", b"3"]


def test_a_refused_request_is_answered_at_once_and_not_stored(loop: Loop) -> None:
    """It waits for nobody."""
    loop.take(1, at=1)
    loop.commit.submit()

    assert loop.said == [(1, 401)]
    assert loop.count("rejected_requests_total", reason="stale_timestamp", key="651bf3b7") == 1
    assert loop.stored() == []


def test_what_comes_while_a_group_is_being_stored_is_the_next_one(loop: Loop) -> None:
    """The inbox has one group of the loop at a time, and gets the next before the answers."""
    loop.disk.gate.clear()
    loop.take(1)
    loop.commit.submit()
    loop.take(2)
    loop.commit.submit()
    loop.take(3)
    loop.commit.submit()
    loop.disk.gate.set()

    loop.call()
    assert loop.said == [(1, 200)]
    loop.call()

    assert loop.said == [(1, 200), (2, 200), (3, 200)]
    assert loop.disk.syncs == 2


class Slowly:
    """A store with two groups under way, each of which ends when a test says so."""

    groups = 2

    def __init__(self) -> None:
        self.under_way: list[tuple[list[bytes], Callable[[InboxError | None], None]]] = []

    def append(self, *_: object) -> None:
        """Is not used: the loop has no thread to wait."""
        raise AssertionError

    def trouble(self) -> str | None:
        """None, ever."""
        return None

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Begin to store a group; it cannot be taken back."""
        self.under_way.append(([record.body for record in records], done))
        return lambda: False

    def close(self) -> None:
        """Nothing is open."""


def test_an_inbox_that_is_slow_has_several_groups_under_way(loop: Loop) -> None:
    """No more than it wants; each is answered when it is done, in whatever order that is."""
    inbox = Slowly()
    loop.commit = GroupCommit(
        WebhookReceiver(loop.settings, inbox, loop.metrics, loop.now),
        inbox,
        loop.calls.put,
        lambda: loop.at,
    )
    for number in (1, 2, 3):
        loop.take(number)
        loop.commit.submit()
    assert [bodies for bodies, _ in inbox.under_way] == [[b"1"], [b"2"]]

    inbox.under_way[1][1](None)
    loop.call()
    assert loop.said == [(2, 200)]
    assert [bodies for bodies, _ in inbox.under_way] == [[b"1"], [b"2"], [b"3"]]
    loop.at = LATER
    loop.commit.expire()

    assert loop.said == [(2, 200), (1, 503), (3, 503)]
    assert loop.commit.seconds_left() is None


def test_who_waits_until_the_deadline_is_answered_503(loop: Loop) -> None:
    """Each at their own time, whether the disk has begun with them or not, and once."""
    loop.disk.gate.clear()
    loop.take(1)
    loop.commit.submit()
    loop.disk.reached.wait(20)
    loop.at = 1.0
    loop.take(2)
    assert loop.commit.seconds_left() == 2.0

    loop.at = LATER
    loop.commit.expire()
    assert loop.said == [(1, 503)]
    assert loop.commit.seconds_left() == 0.5

    loop.at = LATER + 1
    loop.commit.expire()
    loop.disk.gate.set()
    loop.call()

    assert loop.said == [(1, 503), (2, 503)]
    assert loop.commit.seconds_left() is None
    assert loop.count("rejected_requests_total", reason="inbox_timeout", key="651bf3b7") == 2
    assert loop.stored() == [b"1"]


def test_a_group_that_the_disk_has_not_begun_is_taken_back_at_the_deadline(loop: Loop) -> None:
    """A stuck disk gathers nothing of those who have gone, and the next group waits anew."""
    loop.disk.gate.clear()
    other = threading.Thread(target=loop.receiver.answer, args=(environ(loop, b"other"),))
    other.start()
    loop.disk.reached.wait(20)
    loop.take(1, 2)
    loop.commit.submit()

    loop.at = LATER
    loop.commit.expire()
    loop.take(3)
    loop.commit.submit()
    loop.disk.gate.set()
    loop.call()
    other.join()

    assert loop.said == [(1, 503), (2, 503), (3, 200)]
    assert loop.stored() == [b"other", b"3"]


def test_a_failing_disk_is_503_for_the_whole_group(loop: Loop) -> None:
    """None of them counts."""
    loop.disk.error = OSError(5, "input/output error")
    loop.take(1, 2)
    loop.commit.submit()
    loop.call()

    assert loop.said == [(1, 503), (2, 503)]
    assert loop.count("rejected_requests_total", reason="inbox_error", key="651bf3b7") == 2


def test_a_stopping_inbox_is_503(loop: Loop) -> None:
    """Nobody is left without an answer."""
    loop.inbox.close()
    loop.take(1)
    loop.commit.submit()

    assert loop.said == [(1, 503)]
    assert loop.count("rejected_requests_total", reason="stopping", key="651bf3b7") == 1


def test_a_large_group_is_stored_whole(loop: Loop) -> None:
    """The kernel takes 1,024 pieces a call."""
    loop.take(*range(1500))
    loop.commit.submit()
    loop.call()

    assert {status for _, status in loop.said} == {200}
    assert loop.stored() == [b"%d" % number for number in range(1500)]


def test_an_inbox_that_knows_no_groups_has_no_group_commit(settings: Settings) -> None:
    """Then threads wait for it, as ever."""

    class Plain:
        """An `Appender` and no more."""

        def append(self, record: Record, deadline_seconds: float) -> None:
            """Store."""

        def trouble(self) -> str | None:
            """Have none."""
            return None

        def close(self) -> None:
            """Be done."""

    inbox: Appender = Plain()
    receiver = WebhookReceiver(settings, inbox, Metrics())

    assert GroupCommit.of(receiver, lambda call: call()) is None


def environ(loop: Loop, body: bytes) -> dict[str, object]:
    """A request as a thread gets it."""
    headers = loop.sign(body)
    return {
        "HTTP_X_CIO_SIGNATURE": headers["X-CIO-Signature"],
        "HTTP_X_CIO_TIMESTAMP": headers["X-CIO-Timestamp"],
        "wsgi.input": io.BytesIO(body),
    }
