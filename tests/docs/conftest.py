"""Doubles of the vendor, for the pages that show how to call it."""

from __future__ import annotations

from tests.support.simulating import app, make_simulator, simulator  # noqa: F401
from tests.support.vendor_server import vendor  # noqa: F401
