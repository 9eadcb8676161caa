"""The end of the background queue: flush, close, exit and fork. And its buffer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time as real_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import (
    ConfigurationError,
    QueueClosedError,
    QueueError,
    SizeError,
    ValidationError,
)
from core.http.retries import RetryPolicy
from core.pipelines.buffer import Buffer, BufferLimits
from tests.support.queues import HeldReplies, Lost, Make, people, put
from tests.support.vendor_server import Reply, VendorServer

# Flush and close


def test_flush_returns_in_time(make_queue: Make, vendor: VendorServer) -> None:
    """While the vendor does not answer, flush returns False after its timeout."""
    held = HeldReplies()
    vendor.script = held
    queue = make_queue()
    put(queue, "a")

    began = real_time.monotonic()
    assert not queue.flush(timeout=0.05)
    assert real_time.monotonic() - began < 5

    held.release()
    assert queue.flush()


def test_flush_does_not_wait_for_later_items(make_queue: Make, vendor: VendorServer) -> None:
    """Only items that were put before the call count."""
    held = HeldReplies()
    vendor.script = lambda call: held(call) if "later" in str(call.body) else Reply()
    queue = make_queue(max_items=1, threads=2)
    put(queue, "a", "b")
    put_later = threading.Thread(target=put, args=(queue, "later"))

    assert queue.flush()
    put_later.start()
    put_later.join()
    put(queue, "c")
    vendor.wait_for(lambda: len(vendor.calls) == 4)

    assert not queue.flush(0.05)
    held.release()
    assert queue.flush()


def test_flush_of_an_empty_queue_returns_at_once(make_queue: Make) -> None:
    """Before the first item, and after the last one."""
    queue = make_queue()

    assert queue.flush(0)
    put(queue, "a")
    assert queue.flush()
    assert queue.flush(0)


def test_oversize_item_is_refused_at_once_and_blocks_nothing(
    make_queue: Make, vendor: VendorServer
) -> None:
    """Flush does not wait for a refused item, and the error contains no personal data."""
    queue = make_queue()

    with pytest.raises(SizeError) as caught:
        queue.identify("ada@example.com", {"x": "y" * 32_000})
    with pytest.raises(ValidationError, match=r"item\.userId"):
        queue.put({"type": "page", "userId": ""})
    with pytest.raises(ValidationError):
        queue.group(group_id="g")

    assert "example.com" not in str(caught.value)
    assert queue.flush(1)
    assert vendor.calls == []


def test_close_sends_everything_and_ends_all_threads(
    make_queue: Make, vendor: VendorServer
) -> None:
    """All threads end. A second close is allowed, a further item is refused."""
    queue = make_queue(max_items=2, threads=4)
    put(queue, *map(str, range(21)))
    threads = set(queue._threads)

    assert queue.close()

    assert len(threads) == 4
    assert not [thread for thread in threads if thread.is_alive()]
    assert sorted(people(vendor.items()), key=int) == [*map(str, range(21))]
    assert queue.close()
    with pytest.raises(QueueClosedError):
        put(queue, "late")


def test_close_passes_unsent_items_to_on_error(make_queue: Make, vendor: VendorServer) -> None:
    """Separately: items that were being sent (outcome unknown), and items never sent."""
    lost: Lost = []
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(max_items=1, on_error=lambda *failure: lost.append(failure))
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    put(queue, "b", "c")

    assert not queue.close(timeout=0.05)

    held.release()
    assert [people(items) for _, items in lost] == [["a"], ["b", "c"]]
    assert ["unknown" in str(error) for error, _ in lost] == [True, False]


def test_close_does_not_wait_for_a_retry(make_queue: Make, vendor: VendorServer) -> None:
    """A batch that waits an hour for its next attempt goes to `on_error` after the timeout."""
    lost: Lost = []
    vendor.script = lambda _: Reply(503, headers={"Retry-After": "3600"})
    long_waits = RetryPolicy(attempts=9, max_wait_seconds=9999, total_seconds=9999)
    queue = make_queue(retries=long_waits, on_error=lambda *failure: lost.append(failure))
    put(queue, "a")
    queue.flush(0)
    vendor.wait_for(lambda: len(vendor.calls) == 1)

    queue.close(timeout=0.05)

    assert isinstance(lost[0][0], QueueClosedError)
    assert sum(len(items) for _, items in lost) == 1
    for thread in set(queue._threads):
        thread.join(10)
    assert sum(len(items) for _, items in lost) == 1


def test_blocked_put_ends_when_the_queue_closes(make_queue: Make, vendor: VendorServer) -> None:
    """It raises `QueueClosedError` instead of waiting for room."""
    held = HeldReplies()
    vendor.script = held
    queue = make_queue(max_items=1, capacity=1)
    put(queue, "a")
    vendor.wait_for(lambda: len(vendor.calls) == 1)
    put(queue, "b")
    faults: list[QueueError] = []

    def blocked() -> None:
        with pytest.raises(QueueClosedError) as caught:
            put(queue, "c")
        faults.append(caught.value)

    thread = threading.Thread(target=blocked)
    thread.start()
    queue.close(timeout=0.05)
    thread.join(10)

    held.release()
    assert len(faults) == 1


def test_close_from_on_error_does_not_wait_for_itself(
    make_queue: Make, vendor: VendorServer
) -> None:
    """`close` does not join the thread that calls it."""
    vendor.replies = [Reply(400)]
    queue = make_queue(on_error=lambda *_: queue.close(timeout=5))
    put(queue, "a")

    assert queue.flush(10)


def test_option_out_of_range_is_named(make_queue: Make) -> None:
    """Each limit has a range in which the largest item fits."""
    wrong: dict[str, Any] = {
        "max_items": 0,
        "max_bytes": 500_001,
        "capacity": 0,
        "capacity_bytes": 31_999,
        "threads": 0,
        "when_full": "drop",
    }
    for name, value in wrong.items():
        with pytest.raises(ConfigurationError, match=f"^{name}: "):
            make_queue(**{name: value})
    with pytest.raises(ConfigurationError, match="max_bytes"):
        make_queue(max_bytes=32_000)


# Processes

EXIT = """
import sys
from core.pipelines import PipelinesClient, PipelinesQueue

queue = PipelinesQueue(PipelinesClient("k", base_url=sys.argv[1]), interval_seconds=60, max_items=4)
for at in range(10):
    queue.track(str(at), event="E")
"""


def test_exit_of_the_interpreter_sends_the_remaining_items(vendor: VendorServer) -> None:
    """A script that ends without close or flush loses no item."""
    subprocess.run([sys.executable, "-c", EXIT, vendor.url], check=True, timeout=30)

    assert people(vendor.items()) == [*map(str, range(10))]


def test_forked_child_has_an_empty_queue(make_queue: Make, vendor: VendorServer) -> None:
    """The parent sends its items once; the queue works in the child too."""
    queue = make_queue()
    put(queue, "parent")

    child = os.fork()
    if child == 0:
        put(queue, "child")
        os._exit(0 if queue.close(10) and queue.stats().accepted == 1 else 1)
    status = os.waitpid(child, 0)[1]
    assert queue.flush()

    assert status == 0
    assert sorted(people(vendor.items())) == ["child", "parent"]


def test_fork_while_a_thread_holds_the_lock_does_not_block_the_child(
    make_queue: Make, vendor: VendorServer
) -> None:
    """The child has new locks."""
    queue = make_queue()
    holding = threading.Event()
    let_go = threading.Event()

    def hold() -> None:
        with queue._lock:
            holding.set()
            let_go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    child = os.fork()
    if child == 0:
        put(queue, "child")
        os._exit(0 if queue.close(10) else 1)
    status = os.waitpid(child, 0)[1]
    let_go.set()
    thread.join()

    assert status == 0
    assert people(vendor.items()) == ["child"]


# The buffer


@given(
    st.lists(st.sampled_from(["append", "take", "settle", "drop", "claim", "give_up"]), max_size=40)
)
def test_buffer_accounts_for_every_item(steps: list[str]) -> None:
    """In any order of steps, each item is waiting, being sent, settled or given up."""
    buffer = Buffer(
        BufferLimits(batch_items=3, batch_bytes=100, capacity_items=8, capacity_bytes=80)
    )
    gone: list[bytes] = []
    batches: list[Any] = []
    claimed: list[Any] = []
    for number, step in enumerate(steps):
        item = b"%010d" % number
        if step == "append" and buffer.has_room(10):
            buffer.append(item)
        elif step == "take" and buffer.waiting:
            batches.append(buffer.take())
        elif step == "claim" and batches:
            batch = batches.pop(0)
            assert buffer.claim(batch)
            claimed.append(batch)
        elif step == "settle" and claimed:
            batch = claimed.pop()
            buffer.settle(batch)
            gone += batch.items
        elif step == "drop":
            gone += buffer.drop_oldest(10)
        elif step == "give_up":
            unknown, unsent = buffer.give_up()
            gone += unknown + unsent
            assert not any(buffer.claim(batch) for batch in batches)
            batches = []

    held = [*buffer.waiting, *(item for batch in batches + claimed for item in batch.items)]
    assert len(gone) + len(held) == buffer.accepted
    assert len({*gone, *held}) == buffer.accepted
    assert buffer.in_flight == sum(len(batch.items) for batch in batches + claimed)
    assert buffer.settled_below <= buffer.next_number <= buffer.accepted
