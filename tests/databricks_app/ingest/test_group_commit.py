"""Webhook requests in an event loop: groups, their answers, and a slow disk."""

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
    """A sync that waits while its gate is closed, or fails.

    Attributes:
        gate: Open unless a test closes it.
        reached: Set when a sync has begun.
        error: If set, every sync raises it.
        syncs: Number of successful syncs.
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
    """An event loop that a test runs step by step, with a real inbox; `said` is its answers."""

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
        """Wait for a call that another thread has scheduled, and do it."""
        self.calls.get(timeout=20)()

    def stored(self) -> list[bytes]:
        """Close the inbox and return the bodies in it."""
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


def test_requests_of_one_turn_are_one_group_and_are_answered_when_durable(loop: Loop) -> None:
    """There is one sync for all of them, and no answer before it."""
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
    """It does not wait for a group."""
    loop.take(1, at=1)
    loop.commit.submit()

    assert loop.said == [(1, 401)]
    assert loop.count("rejected_requests_total", reason="stale_timestamp", key="651bf3b7") == 1
    assert loop.stored() == []


def test_requests_that_arrive_during_a_sync_are_the_next_group(loop: Loop) -> None:
    """The inbox has one group at a time, and gets the next one before the answers are sent."""
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


class SlowInbox:
    """An inbox for two groups, each of which ends when a test says so."""

    groups = 2

    def __init__(self) -> None:
        self.under_way: list[tuple[list[bytes], Callable[[InboxError | None], None]]] = []

    def append(self, *_: object) -> None:
        """Fail: the loop must not block in it."""
        raise AssertionError

    def trouble(self) -> str | None:
        """Return None."""
        return None

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Start to store a group; it cannot be cancelled."""
        self.under_way.append(([record.body for record in records], done))
        return lambda: False

    def close(self) -> None:
        """Do nothing."""


def test_a_slow_inbox_stores_several_groups_at_the_same_time(loop: Loop) -> None:
    """At most `groups`; each is answered when it is stored, in any order."""
    inbox = SlowInbox()
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


def test_a_request_that_waits_until_its_deadline_is_answered_503(loop: Loop) -> None:
    """Each has its own deadline and one answer, whether the disk has begun with it or not."""
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


def test_a_group_that_the_disk_has_not_begun_is_cancelled_at_the_deadline(loop: Loop) -> None:
    """So a stuck disk keeps no bodies of senders that gave up, and the next group can wait."""
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
    """None of its requests is acknowledged."""
    loop.disk.error = OSError(5, "input/output error")
    loop.take(1, 2)
    loop.commit.submit()
    loop.call()

    assert loop.said == [(1, 503), (2, 503)]
    assert loop.count("rejected_requests_total", reason="inbox_error", key="651bf3b7") == 2


def test_a_stopping_inbox_is_503(loop: Loop) -> None:
    """Every request gets an answer."""
    loop.inbox.close()
    loop.take(1)
    loop.commit.submit()

    assert loop.said == [(1, 503)]
    assert loop.count("rejected_requests_total", reason="stopping", key="651bf3b7") == 1


def test_a_large_group_is_stored_completely(loop: Loop) -> None:
    """The kernel accepts only 1,024 buffers in one call."""
    loop.take(*range(1500))
    loop.commit.submit()
    loop.call()

    assert {status for _, status in loop.said} == {200}
    assert loop.stored() == [b"%d" % number for number in range(1500)]


def test_an_inbox_without_groups_has_no_group_commit(settings: Settings) -> None:
    """Then threads of the server wait for it."""

    class PlainInbox:
        """Only an `Appender`."""

        def append(self, record: Record, deadline_seconds: float) -> None:
            """Do nothing."""

        def trouble(self) -> str | None:
            """Return None."""
            return None

        def close(self) -> None:
            """Do nothing."""

    inbox: Appender = PlainInbox()
    receiver = WebhookReceiver(settings, inbox, Metrics())

    assert GroupCommit.of(receiver, lambda call: call()) is None


def environ(loop: Loop, body: bytes) -> dict[str, object]:
    """A request as a WSGI environ."""
    headers = loop.sign(body)
    return {
        "HTTP_X_CIO_SIGNATURE": headers["X-CIO-Signature"],
        "HTTP_X_CIO_TIMESTAMP": headers["X-CIO-Timestamp"],
        "wsgi.input": io.BytesIO(body),
    }
