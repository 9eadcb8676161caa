"""What the tests of the clients share: a vendor on loopback, and time that does not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.http.retries import RetryPolicy
from core.pipelines import PipelinesClient, PipelinesQueue
from tests.support.still_time import StillTime
from tests.support.vendor_server import VendorServer, vendor  # noqa: F401


@pytest.fixture
def time() -> StillTime:
    """Time that passes only by sleeping."""
    return StillTime()


@pytest.fixture
def connect(
    vendor: VendorServer,  # noqa: F811  # the fixture, by its name
    time: StillTime,
) -> Iterator[Callable[..., PipelinesClient]]:
    """Make clients of `vendor` in `time`, closed at the end: `connect(**options)`."""
    clients: list[PipelinesClient] = []

    def client(api_key: str = "write_key", **options: Any) -> PipelinesClient:
        made = PipelinesClient(
            api_key,
            **{"base_url": vendor.url} | time.arguments() | options,  # type: ignore[arg-type]
        )
        clients.append(made)
        return made

    yield client
    for made in clients:
        made.close()


@pytest.fixture
def make_queue(connect: Callable[..., PipelinesClient]) -> Iterator[Callable[..., PipelinesQueue]]:
    """Make queues to `vendor`, closed at the end: `make_queue(**options)`; they wait to be full."""
    queues: list[PipelinesQueue] = []

    def queue(**options: Any) -> PipelinesQueue:
        queues.append(
            PipelinesQueue(
                connect(),
                **{"interval_seconds": 60, "retries": RetryPolicy(3, 0.001, 0.001)} | options,
            )
        )
        return queues[-1]

    yield queue
    for made in queues:
        made.close(timeout=5)
