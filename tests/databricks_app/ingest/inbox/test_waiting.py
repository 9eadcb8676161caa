"""The queue of both inboxes: what waits, what is taken back, and who is answered how often."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from databricks_app.errors import InboxClosed, InboxError, InboxFull, InboxTimeout
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.waiting import WaitingQueue


def record(body: bytes = b"body") -> Record:
    """A record with this body."""
    return Record(body, datetime(2026, 1, 1, tzinfo=UTC), "1700000000", "651bf3b7", len(body))


def test_what_is_taken_is_answered_once() -> None:
    """A second answer, as at the end of the process, reaches nobody."""
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


def test_what_waits_can_be_taken_back_and_what_was_taken_cannot() -> None:
    """Who takes it back is not answered."""
    queue, answers = WaitingQueue(), list[InboxError | None]()
    take_back = [queue.submit((record(),), answers.append) for _ in range(2)]
    with queue.changed:
        queue.take(queue.waiting[:1])

    assert [one() for one in take_back] == [False, True]
    assert [one() for one in take_back] == [False, False]
    queue.abandon()

    assert [type(answer) for answer in answers] == [InboxClosed]


def test_a_limit_counts_all_that_has_no_answer() -> None:
    """Taken or not; one that is larger than the limit is let in alone."""
    queue = WaitingQueue(most_bytes=5, full="{} bytes wait".format)
    take_back = queue.submit((record(b"123456"),), lambda _: None)

    with pytest.raises(InboxFull, match="6 bytes wait"):
        queue.submit((record(b"1"),), lambda _: None)
    assert take_back()
    queue.submit((record(b"1"),), lambda _: None)
    with queue.changed:
        group = list(queue.waiting)
        queue.take(group)
    with pytest.raises(InboxFull, match="1 bytes wait"):
        queue.submit((record(b"12345"),), lambda _: None)
    queue.answer(group, None)

    queue.submit((record(b"12345"),), lambda _: None)


def test_a_closed_queue_takes_nothing_in() -> None:
    """What is there is still to be stored."""
    queue = WaitingQueue()
    queue.submit((record(),), lambda _: None)
    queue.close()

    with pytest.raises(InboxClosed):
        queue.submit((record(),), lambda _: None)
    assert len(queue.waiting) == 1


def test_who_waits_too_long_leaves_nothing_behind() -> None:
    """A stuck disk must not gather bodies."""
    queue = WaitingQueue()

    with pytest.raises(InboxTimeout):
        queue.append(record(), 0.01)
    assert queue.waiting == []
