"""One item that the vendor rejects does not stop the items beside it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import BadRequestError, ContentTooLargeError, QueueClosedError, ServerError
from core.pipelines import PipelinesClient
from core.pipelines.rejections import delivered
from tests.support.queues import Lost, Make, people
from tests.support.vendor_server import Call, Reply, VendorServer

Connect = Callable[..., PipelinesClient]


class StrictMode:
    """A script for the vendor: rejects a request with any item of these people."""

    def __init__(self, *rejected: str, status: int = 400) -> None:
        self.rejected = rejected
        self.status = status
        self.accepted: list[str] = []

    def __call__(self, call: Call) -> Reply:
        """Answer as in strict mode: all items or none."""
        ids = people(call.json["batch"])
        bad = [id_ for id_ in ids if id_ in self.rejected]
        if bad:
            return Reply(self.status, b'{"meta":{"errors":["%s is bad"]}}' % bad[0].encode())
        self.accepted += ids
        return Reply()


def events(count: int) -> list[Any]:
    """An event of each of the people 0, 1, 2, ..."""
    return [{"type": "track", "userId": str(at), "event": "E"} for at in range(count)]


def others(count: int, *rejected: str) -> list[str]:
    """The people of `events(count)` without these."""
    return [str(at) for at in range(count) if str(at) not in rejected]


def test_queue_delivers_10_000_items_but_the_rejected_one(
    make_queue: Make, vendor: VendorServer
) -> None:
    """It alone goes to `on_error`, with the vendor's message; the others arrive once, in order."""
    vendor.script = strict = StrictMode("3500")
    lost: Lost = []
    queue = make_queue(on_error=lambda *failure: lost.append(failure))

    for item in events(10_000):
        queue.put(item)
    assert queue.flush()

    [(error, items)] = lost
    assert isinstance(error, BadRequestError)
    assert error.vendor_message == "3500 is bad"
    assert people(items) == ["3500"]
    assert strict.accepted == others(10_000, "3500")
    assert (queue.stats().delivered, queue.stats().failed) == (9_999, 1)
    assert len(vendor.calls) < 50


def test_batch_delivers_10_000_items_but_the_rejected_one(
    connect: Connect, vendor: VendorServer
) -> None:
    """The error has the rejected item and why; no other item is left unconfirmed."""
    vendor.script = strict = StrictMode("3500")

    with pytest.raises(BadRequestError) as caught:
        connect().batch(events(10_000))

    [rejected] = caught.value.rejected
    assert rejected.item == caught.value.unconfirmed[0]
    assert people(list(caught.value.unconfirmed)) == ["3500"]  # type: ignore[arg-type]
    assert rejected.vendor_message == "3500 is bad"
    assert strict.accepted == others(10_000, "3500")


def test_several_rejected_items_are_reported_each_with_its_message(
    make_queue: Make, vendor: VendorServer
) -> None:
    """Neighbours, the first and the last item of the batch."""
    vendor.script = strict = StrictMode("0", "41", "42", "99")
    lost: Lost = []
    queue = make_queue(on_error=lambda *failure: lost.append(failure))

    for item in events(100):
        queue.put(item)
    queue.flush()

    messages = [error.vendor_message for error, _ in lost]  # type: ignore[attr-defined]
    assert messages == [f"{id_} is bad" for id_ in ("0", "41", "42", "99")]
    assert strict.accepted == others(100, "0", "41", "42", "99")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # on purpose
def test_exit_in_on_error_does_not_hide_the_other_rejected_items(
    make_queue: Make, vendor: VendorServer
) -> None:
    """The thread ends after all items of its batch were reported."""
    vendor.script = StrictMode("1", "3")
    lost: list[str] = []

    def leave(_: object, items: list[dict[str, Any]]) -> None:
        lost.extend(people(items))
        sys.exit(1)

    queue = make_queue(on_error=leave)
    for item in events(5):
        queue.put(item)

    assert queue.flush()
    assert lost == ["1", "3"]
    for thread in threading.enumerate():
        if thread.name == "pipelines-queue":
            thread.join(10)  # its end is an unhandled exception, which belongs to this test


def test_too_large_batch_is_divided(connect: Connect, vendor: VendorServer) -> None:
    """413 is about the whole request, so its parts may be accepted."""
    vendor.script = lambda call: Reply(413 if len(call.json["batch"]) > 3 else 200)

    connect().batch(events(10))

    sent = [call.json["batch"] for call in vendor.calls if len(call.json["batch"]) <= 3]
    assert people([item for batch in sent for item in batch]) == others(10)


def test_item_that_is_too_large_alone_is_reported(connect: Connect, vendor: VendorServer) -> None:
    """With the class of its status."""
    vendor.script = StrictMode("2", status=413)

    with pytest.raises(ContentTooLargeError) as caught:
        connect().batch(events(5))

    assert people([caught.value.rejected[0].item]) == ["2"]  # type: ignore[list-item]


def test_wrong_key_is_not_tried_item_by_item(make_queue: Make, vendor: VendorServer) -> None:
    """401 would be the same for every part of the batch."""
    vendor.script = lambda _: Reply(401)
    lost: Lost = []
    queue = make_queue(on_error=lambda *failure: lost.append(failure))

    for item in events(100):
        queue.put(item)
    queue.flush()

    assert len(vendor.calls) == 1
    assert [len(items) for _, items in lost] == [100]


def test_outage_while_dividing_leaves_the_rest_unconfirmed(
    connect: Connect, vendor: VendorServer
) -> None:
    """What was accepted is not reported; the rejected item and the rest are, in order."""

    def script(call: Call) -> Reply:
        ids = people(call.json["batch"])
        if "1" in ids:
            return Reply(400, b'{"meta":{"errors":["1 is bad"]}}')
        return Reply(500 if "3" in ids else 200)

    vendor.script = script

    with pytest.raises(ServerError) as caught:
        connect().batch(events(4))

    assert people(list(caught.value.unconfirmed)) == ["1", "2", "3"]  # type: ignore[arg-type]
    assert [one.vendor_message for one in caught.value.rejected] == ["1 is bad"]


def test_rejected_context_of_a_batch_is_not_tried_with_every_item(
    connect: Connect, vendor: VendorServer
) -> None:
    """The vendor rejects it with each item, so the first twenty are enough."""
    vendor.script = lambda _: Reply(400)

    with pytest.raises(BadRequestError) as caught:
        connect().batch(events(1_000), context={"ip": "nowhere"})

    assert len(caught.value.unconfirmed) == 1_000
    assert len(caught.value.rejected) == 20
    assert len(vendor.calls) < 60


def test_closed_queue_sends_no_remaining_part(make_queue: Make, vendor: VendorServer) -> None:
    """`close` has reported the batch, so its parts are not sent afterwards."""
    asked, go_on = threading.Event(), threading.Event()

    def script(_: Call) -> Reply:
        asked.set()
        go_on.wait(10)
        return Reply(400)

    vendor.script = script
    lost: Lost = []
    queue = make_queue(on_error=lambda *failure: lost.append(failure))
    for item in events(10):
        queue.put(item)
    threading.Thread(target=queue.flush, daemon=True).start()
    assert asked.wait(10)

    assert not queue.close(timeout=0)
    go_on.set()
    for thread in list(queue._threads):
        thread.join(10)

    assert len(vendor.calls) == 1
    assert [(type(error), len(items)) for error, items in lost] == [(QueueClosedError, 10)]


def test_all_rejected_items_cost_two_requests_each() -> None:
    """The most that dividing can cost."""
    sent: list[int] = []

    def reject(items: Any) -> None:
        sent.append(len(items))
        raise BadRequestError("bad")

    failures = list(delivered([b"{}"] * 64, reject))

    assert len(failures) == 64
    assert len(sent) == 2 * 64 - 1
