"""Rows of all tables, the same in every run, in which each view finds something to count.

Not a test module. Values are drawn with a fixed seed: shared deliveries, people and journeys,
repeated events, absent values in every column that may be NULL. Six rows of each table, and so of
all tables, have one time: "the newest" is a tie.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.webhooks.specification import events
from databricks_app.lake import sql_dialect
from tests.support.lake_rows import LocalTables

if TYPE_CHECKING:
    from pathlib import Path

    from databricks_app.lake.sql_dialect import ColumnDefinition

_START = datetime(2026, 11, 20, 22, tzinfo=UTC)
_ROWS = 120
_TIED = 6
_FAILURES = (
    "550 5.1.1 user unknown",
    "452 4.2.2 Mailbox full",
    "554 5.7.1 blocked by policy",
    "liquid: undefined variable",
    "context deadline exceeded",
    "421 try later",
    "550 no relaying",
    "HTTP/1.1 503 Service Unavailable",
    '{"status":404}',
    "Post https://example.com:443/x: connection refused",
    "  ",
    "Größe \U0001f600 überschritten",
)
# Of the causes of a message at most one is the rule.
_RARE = frozenset({"broadcast_id", "newsletter_id", "transactional_message_id"})
_MADE_UP = frozenset({"event_id", "event_date", "loaded_at", "received_at", "event_timestamp"})


def fill(folder: Path) -> None:
    """Write local tables into a data folder."""
    lake = LocalTables(folder)
    chance = random.Random(7)
    for table in sql_dialect.tables():
        short_name = table.name.removeprefix("webhook_").removesuffix("_events")
        lake.add(short_name, *(_event(table, number, chance) for number in range(_ROWS)))


def _event(table: sql_dialect.Table, number: int, chance: random.Random) -> dict[str, object]:
    moment = _START + timedelta(minutes=150, seconds=6) * (number // _TIED)
    event: dict[str, object] = {
        "event_id": f"{table.name}-{number}",
        "event_timestamp": None if chance.random() < 0.05 else moment,
        "received_at": moment + timedelta(seconds=1),
    }
    for column in table.columns:
        likely = 0.2 if column.name in _RARE else 0.8
        if column.name not in _MADE_UP and chance.random() < likely:
            event[column.name] = _value(table.name, column, number, chance)
    return event


def _value(table: str, column: ColumnDefinition, number: int, chance: random.Random) -> object:
    if column.name == "metric":
        return chance.choice(_metrics(table))
    if column.name == "workspace":
        return chance.choice(("default", "eu"))
    if column.name == "failure_message":
        return chance.choice(_FAILURES)
    if column.name == "delivery_id":
        return f"{table}-delivery-{chance.randrange(_ROWS // 4)}"
    if column.name == "journey_id":
        return f"journey {number // 4}"
    if column.name == "target_table":
        return chance.choice((None, table))
    if column.type.startswith("MAP"):
        return {"X-Campaign": ["a", "b"], "X-Empty": []}
    if column.type.startswith("ARRAY"):
        parts = {"device_id": "d", "device_platform": None}
        return [{**parts, "failure_message": one} for one in chance.sample(_FAILURES, 2)]
    if column.type == "BOOLEAN":
        return chance.random() < 0.5
    if column.type == "BIGINT":
        return chance.randrange(3)
    return f"{column.name} {chance.randrange(6)}"


def _metrics(table: str) -> list[str]:
    """What the vendor sends of the object type of a table; of the raw table, of all."""
    short_name = table.removeprefix("webhook_").removesuffix("_events")
    return sorted({one.metric for one in events() if short_name in {one.object_type, "raw"}})
