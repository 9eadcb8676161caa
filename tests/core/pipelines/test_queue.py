"""The background queue: every accepted item is delivered or passed to `on_error`."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from core.errors import (
    BadRequestError,
    CustomerIOError,
    QueueError,
    QueueFullError,
    ServerError,
)
from core.pipelines import PipelinesClient, PipelinesQueue
from tests.support.queues import HeldReplies, Lost, Make, people, put
from tests.support.vendor_server import Reply, VendorServer

# When batches are sent


def test_batch_is_sent_when_it_is_full(make_queue: Make, vendor: VendorServer) -> None:
    """With `max_items=3`, three items are sent without a flush."""
    put(make_queue(max_items=3), "a", "b", "c", "d")

    assert vendor.wait_for(lambda: len(vendor.calls) == 1)
    assert people(vendor.items()) == ["a", "b", "c"]


def test_batch_is_sent_when_its_bytes_are_reached(make_queue: Make, vendor: VendorServer) -> None:
    """The limit is the size of the body. An item that does not fit goes into the next batch."""
    queue = make_queue(max_bytes=33_000)

    for at in range(3):
        queue.track(str(at), event="E", properties={"p": "x" * 15_000})

    assert vendor.wait_for(lambda: len(vendor.calls) == 1)
    assert people(vendor.items()) == ["0", "1"]
    assert len(vendor.calls[0].body) <= 33_000


def test_batch_is_sent_after_the_interval(make_queue: Make, vendor: VendorServer) -> None:
    """A single item is sent when the interval is over."""
    put(make_queue(interval_seconds=0.02), "a")

    assert vendor.wait_for(lambda: len(vendor.calls) == 1)


def test_items_arrive_once_and_in_order(make_queue: Make, vendor: VendorServer) -> None:
    """One thread keeps the order of the calls; the queue has all six calls."""
    queue = make_queue(max_items=7)

    for at in range(100):
        queue.track(f"{at}", event="E")
    queue.identify("i", {"a": 1})
    queue.page("p")
    queue.screen("s")
    queue.group("g", group_id="x")
    queue.alias("al", previous_id="y")
    queue.put({"type": "track", "userId": "v", "event": "E"})

    assert queue.flush()
    assert people(vendor.items()) == [*map(str, range(100)), "i", "p", "s", "g", "al", "v"]
    assert queue.stats().delivered == 106


def test_items_of_many_threads_all_arrive(make_queue: Make, vendor: VendorServer) -> None:
    """Eight threads put, three send: no item is lost or sent twice, and each has its own id."""
    queue = make_queue(max_items=10, threads=3, capacity=20)
    ids: list[str] = []

    def work(name: int) -> None:
        ids.extend([queue.track(f"{name}-{at}", event="E") for at in range(100)])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert queue.close()
    assert sorted(item["messageId"] for item in vendor.items()) == sorted(ids)
    assert len(set(ids)) == 800


def test_item_is_sent_as_it_was_when_put(make_queue: Make, vendor: VendorServer) -> None:
    """Later changes to the dictionaries have no effect, and the queue does not change them."""
    queue = make_queue()
    traits = {"plan": "free"}
    context: dict[str, object] = {}

    queue.identify("u", traits, context=context)
    traits["plan"] = "paid"
    queue.flush()

    assert vendor.items()[0]["traits"] == {"plan": "free"}
    assert context == {}


# Failures


def test_repeated_batch_has_the_same_message_ids(make_queue: Make, vendor: VendorServer) -> None:
    """After unknown outcomes the same bytes are sent again."""
    vendor.replies = [Reply(503), Reply(hang_up=True)]
    queue = make_queue()

    put(queue, "a", "b")

    assert queue.flush()
    assert len(vendor.calls) == 3
    assert len({call.body for call in vendor.calls}) == 1


def test_refused_batch_is_not_repeated_and_goes_to_on_error(
    make_queue: Make, vendor: VendorServer
) -> None:
    """After a 400, `on_error` gets the vendor's message and the items with their ids."""
    lost: Lost = []
    vendor.replies = [Reply(400, b'{"meta":{"errors":["bad name"]}}')]
    queue = make_queue(on_error=lambda *failure: lost.append(failure))

    message_id = queue.track("a", event="E")
    assert queue.flush()
    put(queue, "b")
    assert queue.flush()

    [(error, items)] = lost
    assert isinstance(error, BadRequestError)
    assert error.vendor_message == "bad name"
    assert items[0]["messageId"] == message_id
    assert len(vendor.calls) == 2
    assert (queue.stats().failed, queue.stats().delivered) == (1, 1)


def test_batch_that_keeps_failing_goes_to_on_error(make_queue: Make, vendor: VendorServer) -> None:
    """After the last attempt, `on_error` gets the items, and the queue sends the next ones."""
    lost: Lost = []
    vendor.replies = [Reply(500)] * 3
    queue = make_queue(on_error=lambda *failure: lost.append(failure))

    put(queue, "a")
    queue.flush()
    put(queue, "b")
    queue.flush()

    assert isinstance(lost[0][0], ServerError)
    assert people(lost[0][1]) == ["a"]
    assert people([vendor.items()[-1]]) == ["b"]


def test_items_from_on_error_can_be_put_again(make_queue: Make, vendor: VendorServer) -> None:
    """Unchanged, with the same message ids."""
    lost: Lost = []
    vendor.replies = [Reply(400)]
    queue = make_queue(on_error=lambda *failure: lost.append(failure))

    put(queue, "a")
    queue.flush()
    queue.put(lost[0][1][0])  # type: ignore[arg-type]
    queue.flush()

    first, second = vendor.items()
    assert first == second


def test_lost_items_are_logged_without_payload(
    make_queue: Make, vendor: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Without `on_error`, the log has the number of items and the reason, but no person."""
    vendor.replies = [Reply(400, b'{"meta":{"errors":["ada@example.com is bad"]}}')]
    queue = make_queue()

    with caplog.at_level(logging.DEBUG):
        put(queue, "ada@example.com")
        queue.flush()

    assert "1 items were not delivered" in caplog.text
    assert "status 400" in caplog.text
    assert "example.com" not in caplog.text


def test_failing_on_error_does_not_stop_the_queue(
    make_queue: Make, vendor: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The type of the exception is logged, and later batches are sent."""

    def fail(*_: object) -> None:
        raise KeyError("ada@example.com")

    vendor.replies = [Reply(400)]
    queue = make_queue(on_error=fail)

    put(queue, "a")
    assert queue.flush()
    put(queue, "b")
    assert queue.flush()

    assert queue.stats().delivered == 1
    assert "KeyError; 1 items" in caplog.text
    assert "example.com" not in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # on purpose
def test_thread_that_on_error_ends_is_replaced(make_queue: Make, vendor: VendorServer) -> None:
    """`sys.exit` in `on_error` ends only its thread."""
    vendor.replies = [Reply(400)]
    queue = make_queue(on_error=lambda *_: sys.exit(1))

    put(queue, "a")
    queue.flush()
    put(queue, "b")

    assert queue.flush(10)
    assert queue.stats().delivered == 1


def test_unexpected_exception_passes_the_items_to_on_error(vendor: VendorServer) -> None:
    """A transport with a bug loses no item and does not stop the queue."""
    lost: Lost = []

    class Broken:
        def handle_request(self, _: object) -> None:
            raise ZeroDivisionError

    client = PipelinesClient("k", base_url=vendor.url, transport=Broken())  # type: ignore[arg-type]
    with PipelinesQueue(client, on_error=lambda *failure: lost.append(failure)) as queue:
        put(queue, "a")
        assert queue.flush()

    assert type(lost[0][0]) is QueueError
    assert "ZeroDivisionError" in str(lost[0][0])


# A full queue


def test_full_queue_blocks_until_there_is_room(make_queue: Make, vendor: VendorServer) -> None:
    """The caller waits, and all items arrive."""
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(max_items=1, capacity=1)
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    put(queue, "b")
    done = threading.Event()
    blocked = threading.Thread(target=lambda: (put(queue, "c"), done.set()))
    blocked.start()

    assert not done.wait(0.05)
    held.release()
    assert done.wait(10)
    blocked.join()
    assert queue.flush()
    assert people(vendor.items()) == ["a", "b", "c"]


def test_full_queue_blocks_for_block_seconds_at_most(
    make_queue: Make, vendor: VendorServer
) -> None:
    """After `block_seconds` the item is refused with an error."""
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(max_items=1, capacity=1, block_seconds=0.02)
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    put(queue, "b")

    with pytest.raises(QueueFullError, match="block_seconds"):
        put(queue, "c")

    held.release()
    assert queue.stats().accepted == 2


def test_full_queue_raises(make_queue: Make, vendor: VendorServer) -> None:
    """With `raise` the new item is refused, and earlier items arrive."""
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(max_items=1, capacity=1, when_full="raise")
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    put(queue, "b")

    with pytest.raises(QueueFullError):
        put(queue, "c")

    held.release()
    assert queue.flush()
    assert people(vendor.items()) == ["a", "b"]


def test_full_queue_drops_the_oldest(make_queue: Make, vendor: VendorServer) -> None:
    """With `drop_oldest` the newest items stay, and `on_error` gets the dropped ones."""
    lost: Lost = []
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(
        max_items=1,
        capacity=2,
        when_full="drop_oldest",
        on_error=lambda *failure: lost.append(failure),
    )
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    put(queue, "b", "c", "d")

    held.release()
    assert queue.flush()
    assert isinstance(lost[0][0], QueueFullError)
    assert people(lost[0][1]) == ["b"]
    assert people(vendor.items()) == ["a", "c", "d"]


def test_full_queue_is_bounded_in_bytes(make_queue: Make, vendor: VendorServer) -> None:
    """A few large items fill the queue too."""
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(max_items=1, capacity_bytes=32_000, when_full="raise")
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    queue.track("b", event="E", properties={"p": "x" * 31_000})

    with pytest.raises(QueueFullError):
        queue.track("c", event="E", properties={"p": "x" * 1_000})

    held.release()


def test_on_error_does_not_wait_for_room(make_queue: Make, vendor: VendorServer) -> None:
    """`put` to a full queue and `flush` raise in `on_error`; they would wait for themselves."""
    refusals: list[type[BaseException]] = []

    def again(_: CustomerIOError, items: list[dict[str, object]]) -> None:
        for act in (lambda: queue.put(items[0]), queue.flush):  # type: ignore[arg-type]
            with pytest.raises(QueueError) as caught:
                act()
            refusals.append(caught.type)

    held = HeldReplies()
    vendor.script = lambda call: held(call) if len(vendor.calls) > 1 else Reply(400)
    release = threading.Event()
    vendor.replies = []
    queue = make_queue(max_items=1, capacity=1, on_error=lambda *f: (release.wait(10), again(*f)))
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    put(queue, "b")
    release.set()
    held.release()

    assert queue.flush(10)
    assert refusals == [QueueFullError, QueueError]
