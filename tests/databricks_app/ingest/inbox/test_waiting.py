"""The queue of both inboxes: what waits, what is cancelled, and what is answered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.waiting import WaitingQueue


def record(body: bytes = b"body") -> Record:
    """A record with this body."""
    return Record(body, datetime(2026, 1, 1, tzinfo=UTC), "1700000000", "651bf3b7", len(body))


def test_records_are_answered_once() -> None:
    """A second answer, for example at the end of the process, is ignored."""
    queue, answers = WaitingQueue(), list[InboxError | None]()
    queue.submit((record(),), answers.append)

    with queue.changed:
        group = list(queue.waiting)
        queue.take(group)
    queue.answer(group, None)
    queue.answer(group, InboxError("late"))
    queue.abandon()

    assert answers == [None]
    assert queue.waiting == []


def test_only_records_that_still_wait_can_be_cancelled() -> None:
    """Cancelled records are not answered."""
    queue, answers = WaitingQueue(), list[InboxError | None]()
    cancels = [queue.submit((record(),), answers.append) for _ in range(2)]
    with queue.changed:
        queue.take(queue.waiting[:1])

    assert [cancel() for cancel in cancels] == [False, True]
    assert [cancel() for cancel in cancels] == [False, False]
    queue.abandon()

    assert [type(answer) for answer in answers] == [InboxClosed]


def test_the_limit_counts_all_records_without_an_answer() -> None:
    """Waiting or being stored. A record larger than the limit is accepted if it is alone."""
    queue = WaitingQueue(most_bytes=5, full="{} bytes wait".format)
    cancel = queue.submit((record(b"123456"),), lambda _: None)

    with pytest.raises(InboxFull, match="6 bytes wait"):
        queue.submit((record(b"1"),), lambda _: None)
    assert cancel()
    queue.submit((record(b"1"),), lambda _: None)
    with queue.changed:
        group = list(queue.waiting)
        queue.take(group)
    with pytest.raises(InboxFull, match="1 bytes wait"):
        queue.submit((record(b"12345"),), lambda _: None)
    queue.answer(group, None)

    queue.submit((record(b"12345"),), lambda _: None)


def test_a_closed_queue_refuses_records() -> None:
    """Records that wait already are still stored."""
    queue = WaitingQueue()
    queue.submit((record(),), lambda _: None)
    queue.close()

    with pytest.raises(InboxClosed):
        queue.submit((record(),), lambda _: None)
    assert len(queue.waiting) == 1


def test_an_append_that_times_out_removes_its_record() -> None:
    """A stuck disk must not fill the memory with bodies."""
    queue = WaitingQueue()

    with pytest.raises(InboxTimeout):
        queue.append(record(), 0.01)
    assert queue.waiting == []
