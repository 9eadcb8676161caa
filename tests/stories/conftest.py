"""What stories share: a Customer.io on this machine."""

from __future__ import annotations

from tests.support.simulating import make_simulator  # noqa: F401  # a fixture
