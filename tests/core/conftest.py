"""Fixtures of the clients' tests: a vendor server on loopback, and a clock that tests control."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.app_api import AppClient
from core.errors import ValidationError
from core.http.retries import RetryPolicy
from core.pipelines import PipelinesClient, PipelinesQueue
from tests.support.still_time import StillTime
from tests.support.vendor_server import VendorServer, vendor  # noqa: F401


@pytest.fixture
def time() -> StillTime:
    """A clock that moves only when somebody sleeps."""
    return StillTime()


@pytest.fixture
def connect(
    vendor: VendorServer,  # noqa: F811  # the fixture, by its name
    time: StillTime,
) -> Iterator[Callable[..., PipelinesClient]]:
    """Create clients of `vendor` with the clock `time`: `connect(**options)`."""
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
    """Create queues to `vendor`: `make_queue(**options)`. They send full batches only."""
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


@pytest.fixture
def refused_field() -> Callable[[Callable[[], object]], str]:
    """Run a call; return the field that its `ValidationError` names, `not refused` if none."""

    def run(call: Callable[[], object]) -> str:
        try:
            call()
        except ValidationError as error:
            is_named = str(error).startswith(f"{error.field}: ")
            return error.field if is_named else f"not named: {error}"
        return "not refused"

    return run


@pytest.fixture
def make_app(
    vendor: VendorServer,  # noqa: F811  # the fixture, by its name
    time: StillTime,
) -> Iterator[Callable[..., AppClient]]:
    """Create clients of `vendor` with the clock `time`: `make_app(**options)`."""
    clients: list[AppClient] = []

    def client(api_key: str = "app_key", **options: Any) -> AppClient:
        clients.append(AppClient(api_key, **{"base_url": vendor.url} | time.arguments() | options))
        return clients[-1]

    yield client
    for made in clients:
        made.close()


@pytest.fixture
def app(make_app: Callable[..., AppClient]) -> AppClient:
    """A client of `vendor`."""
    return make_app()
