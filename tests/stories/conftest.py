"""Fixtures of all stories: a simulated Customer.io on this machine."""

from __future__ import annotations

from tests.support.simulating import make_simulator  # noqa: F401  # a fixture
