"""Local tables with hand-made rows, read through the views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.lake_rows import LocalTables, Rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> LocalTables:
    """Local tables, all empty."""
    return LocalTables(tmp_path)


@pytest.fixture
def delivery() -> Callable[..., Rows]:
    """Events of one delivery, one a metric, a minute apart from 10:00 of a day."""

    def make(name: str, *metrics: str, day: int = 1, **fields: object) -> Rows:
        return [
            {
                "delivery_id": name,
                "metric": metric,
                "event_timestamp": datetime(2026, 11, day, 10, minute, tzinfo=UTC),
                **fields,
            }
            for minute, metric in enumerate(metrics)
        ]

    return make
