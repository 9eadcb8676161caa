"""Fixtures of the App API client's tests: a server that checks calls."""

from __future__ import annotations

import pytest

from tests.support.app_api_double import AppApiDouble
from tests.support.vendor_server import VendorServer


@pytest.fixture
def double(vendor: VendorServer) -> AppApiDouble:
    """The script of `vendor`: compares every call with the inventory."""
    vendor.script = made = AppApiDouble()
    return made
