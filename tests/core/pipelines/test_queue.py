"""The background queue at work: every accepted item is delivered or handed back."""

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
    """Three items of a size of three go at once, without a flush."""
    put(make_queue(max_items=3), "a", "b", "c", "d")

    assert vendor.wait_for(lambda: len(vendor.calls) == 1)
    assert people(vendor.items()) == ["a", "b", "c"]


def test_batch_is_sent_when_its_bytes_are_reached(make_queue: Make, vendor: VendorServer) -> None:
    """The limit is on the body: the item that would pass it goes with the next batch."""
    queue = make_queue(max_bytes=33_000)

    for at in range(3):
        queue.track(str(at), event="E", properties={"p": "x" * 15_000})

    assert vendor.wait_for(lambda: len(vendor.calls) == 1)
    assert people(vendor.items()) == ["0", "1"]
    assert len(vendor.calls[0].body) <= 33_000


def test_batch_is_sent_after_the_interval(make_queue: Make, vendor: VendorServer) -> None:
    """An item that stays alone goes when the interval is over."""
    put(make_queue(interval_seconds=0.02), "a")

    assert vendor.wait_for(lambda: len(vendor.calls) == 1)


def test_items_arrive_once_and_in_order(make_queue: Make, vendor: VendorServer) -> None:
    """With one thread the order is that of the calls; all six calls are taken."""
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
    """Eight threads put, three send; nothing is lost or doubled, and each has its own id."""
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
    """The caller may change its dictionary afterwards, and finds nothing added to it."""
    queue = make_queue()
    traits = {"plan": "free"}
    context: dict[str, object] = {}

    queue.identify("u", traits, context=context)
    traits["plan"] = "paid"
    queue.flush()

    assert vendor.items()[0]["traits"] == {"plan": "free"}
    assert context == {}


# Failures


def test_repeated_batch_carries_the_same_message_ids(
    make_queue: Make, vendor: VendorServer
) -> None:
    """After unknown outcomes the very same bytes are sent again."""
    vendor.replies = [Reply(503), Reply(hang_up=True)]
    queue = make_queue()

    put(queue, "a", "b")

    assert queue.flush()
    assert len(vendor.calls) == 3
    assert len({call.body for call in vendor.calls}) == 1


def test_refused_batch_is_not_repeated_and_handed_back(
    make_queue: Make, vendor: VendorServer
) -> None:
    """A 400 is a known outcome: `on_error` gets the vendor's words and the items with their ids."""
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


def test_batch_that_keeps_failing_is_handed_back(make_queue: Make, vendor: VendorServer) -> None:
    """After the last attempt the items are the caller's again; the queue goes on."""
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


def test_items_handed_back_can_be_put_again(make_queue: Make, vendor: VendorServer) -> None:
    """Under the same message ids, as they stand."""
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
    """Without `on_error` the log says how many and why, and names nobody."""
    vendor.replies = [Reply(400, b'{"meta":{"errors":["ada@example.com is bad"]}}')]
    queue = make_queue()

    with caplog.at_level(logging.DEBUG):
        put(queue, "ada@example.com")
        queue.flush()

    assert "1 items were not delivered: batch: status 400" in caplog.text
    assert "example.com" not in caplog.text


def test_failing_on_error_does_not_stop_the_queue(
    make_queue: Make, vendor: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The fault is logged by its kind, later batches are sent."""

    def fail(*_: object) -> None:
        raise KeyError("ada@example.com")

    vendor.replies = [Reply(400)]
    queue = make_queue(on_error=fail)

    put(queue, "a")
    assert queue.flush()
    put(queue, "b")
    assert queue.flush()

    assert queue.stats().delivered == 1
    assert "on_error failed with KeyError; 1 items are lost" in caplog.text
    assert "example.com" not in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # on purpose
def test_thread_that_on_error_ends_is_replaced(make_queue: Make, vendor: VendorServer) -> None:
    """`sys.exit` in `on_error` ends its thread only."""
    vendor.replies = [Reply(400)]
    queue = make_queue(on_error=lambda *_: sys.exit(1))

    put(queue, "a")
    queue.flush()
    put(queue, "b")

    assert queue.flush(10)
    assert queue.stats().delivered == 1


def test_unforeseen_fault_hands_the_items_back(vendor: VendorServer) -> None:
    """A transport that breaks its contract loses nothing and stops nothing."""
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
    """Nothing is dropped: the caller waits, and everything arrives."""
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


def test_full_queue_blocks_no_longer_than_it_may(make_queue: Make, vendor: VendorServer) -> None:
    """After `block_seconds` the item is refused, and the caller knows."""
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
    """With `raise` the new item is refused, and those before it arrive."""
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


def test_full_queue_hands_back_the_oldest(make_queue: Make, vendor: VendorServer) -> None:
    """With `drop_oldest` the newest stay; what had to go is not silently gone."""
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
    """Few large items fill it as many small ones do."""
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(max_items=1, capacity_bytes=32_000, when_full="raise")
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    queue.track("b", event="E", properties={"p": "x" * 31_000})

    with pytest.raises(QueueFullError):
        queue.track("c", event="E", properties={"p": "x" * 1_000})

    held.release()


def test_on_error_never_waits_for_room_that_it_has_to_make(
    make_queue: Make, vendor: VendorServer
) -> None:
    """Putting into a full queue from `on_error` is refused instead of a deadlock."""
    faults: list[type[BaseException]] = []

    def again(_: CustomerIOError, items: list[dict[str, object]]) -> None:
        for act in (lambda: queue.put(items[0]), queue.flush):  # type: ignore[arg-type]
            with pytest.raises(QueueError) as caught:
                act()
            faults.append(caught.type)

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
    assert faults == [QueueFullError, QueueError]
