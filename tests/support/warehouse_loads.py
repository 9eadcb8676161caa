"""Loads into the double of a warehouse, and statements that fail once."""

from __future__ import annotations

import uuid

from databricks_app.events.decoding import Reading
from databricks_app.lake import LoadReport
from databricks_app.lake.warehouse.store import WarehouseLake
from tests.support.lake_events import NOON


def load(lake: WarehouseLake, *readings: Reading) -> LoadReport:
    """Load these, under an id of its own."""
    return lake.load(readings, batch_id=uuid.uuid4().hex, loaded_at=NOON)


def once(error: Exception, beginning: str = "MERGE") -> object:
    """Raise this at the first statement that begins so."""
    left = [error]

    def fail(sql: str) -> None:
        if sql.startswith(beginning) and left:
            raise left.pop()

    return fail
