"""What the tests of the queue share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from core.errors import CustomerIOError
from core.pipelines import PipelinesQueue
from tests.support.vendor_server import Call, Reply

Lost = list[tuple[CustomerIOError, list[dict[str, object]]]]
Make = Callable[..., PipelinesQueue]


class HeldReplies:
    """A script for the vendor: answers wait until `release` is called."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, _: Call) -> Reply:
        """Answer 200 once released."""
        self._open.wait(10)
        return Reply()

    def release(self) -> None:
        """Let the answers go."""
        self._open.set()


def put(queue: PipelinesQueue, *ids: str) -> None:
    """Put an event of each of these people."""
    for user_id in ids:
        queue.track(user_id, event="E")


def people(items: list[dict[str, Any]]) -> list[str]:
    """List whom the items are of."""
    return [item["userId"] for item in items]
