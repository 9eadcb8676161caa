"""Fixtures of the App API client's tests: clients, and a server that checks calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.app_api import AppClient
from tests.support.app_api_double import AppApiDouble
from tests.support.still_time import StillTime
from tests.support.vendor_server import VendorServer


@pytest.fixture
def double(vendor: VendorServer) -> AppApiDouble:
    """The script of `vendor`: compares every call with the inventory."""
    vendor.script = made = AppApiDouble()
    return made


@pytest.fixture
def make_app(vendor: VendorServer, time: StillTime) -> Iterator[Callable[..., AppClient]]:
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
