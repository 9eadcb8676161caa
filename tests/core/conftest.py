"""What the tests of the clients share: a vendor on loopback, and time that does not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from still_time import StillTime
from vendor_server import VendorServer

from core.pipelines import PipelinesClient, PipelinesQueue
from core.retries import RetryPolicy


@pytest.fixture
def vendor() -> Iterator[VendorServer]:
    """A vendor on loopback, stopped at the end."""
    server = VendorServer()
    yield server
    server.close()


@pytest.fixture
def time() -> StillTime:
    """Time that passes only by sleeping."""
    return StillTime()


@pytest.fixture
def connect(vendor: VendorServer, time: StillTime) -> Iterator[Callable[..., PipelinesClient]]:
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
