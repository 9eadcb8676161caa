"""The Parquet files that the recorded statements read: events of the fixtures, and wrong rows.

Not a test module. The files are made by the product: read, prepared and written as the loader does.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from databricks_app.events.decoding import Reading, read
from databricks_app.events.record import Record
from databricks_app.lake import RAW_TABLE, sql_dialect
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.batch import prepare
from tests.doubles.warehouse import globs
from tests.support.paths import WEBHOOK_FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
_UNKNOWN = {"event_id": "unknown", "object_type": "fax", "metric": "sent", "data": {}}
_SCHEMAS = {table.name: arrow_schema(table) for table in sql_dialect.tables()}
_EMAIL, _SMS = "webhook_email_events", "webhook_sms_events"


def events() -> dict[str, pa.Table]:
    """Rows by table: every fixture on two days, and an event of an unknown type."""
    stamps = {"batch_id": "the batch", "loaded_at": NOON + timedelta(minutes=1)}
    prepared = prepare(readings(), _SCHEMAS, stamps)
    return {RAW_TABLE: prepared.raw, **prepared.typed}


def readings() -> list[Reading]:
    """The events of `events`, as the loader reads them."""
    bodies = [*_bodies(), json.dumps(_UNKNOWN | {"timestamp": int(NOON.timestamp())}).encode()]
    return [
        read(Record(body, NOON + timedelta(microseconds=place), "0", "0a1b2c3d", len(body)))
        for place, body in enumerate(bodies)
    ]


def trouble(good: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Rows by table that `ciolake verify` must find: each kind of difference."""
    raw_row = good[RAW_TABLE].to_pylist()[0] | {"loaded_at": NOON}
    raw: list[dict[str, Any]] = [
        raw_row,
        raw_row | {"event_id": "two days"},
        raw_row | {"event_id": "two days", "event_date": (NOON - timedelta(days=1)).date()},
        raw_row | {"event_id": "no such table", "target_table": "webhook_nope_events"},
        raw_row | {"event_id": "in two tables", "target_table": None},
        raw_row | {"event_id": "nowhere", "target_table": None},
        raw_row | {"event_id": "x", "target_table": None, "unrouted_reason": "key_conflict"},
        raw_row
        | {"event_id": "new", "batch_id": "the newest", "loaded_at": NOON + timedelta(hours=1)},
    ]
    found: dict[str, pa.Table] = {}
    for name, rows in good.items():
        if name == RAW_TABLE:
            continue
        row = rows.to_pylist()[0] | {"loaded_at": NOON}
        typed = [row, row | {"event_id": "orphan"}, row | {"event_id": f"elsewhere {name}"}]
        if name in {_EMAIL, _SMS}:
            typed.append(row | {"event_id": "in two tables", "event_date": raw_row["event_date"]})
        key = {"event_date": row["event_date"]}
        home = _SMS if name != _SMS else _EMAIL
        raw.append(raw_row | key | {"event_id": f"elsewhere {name}", "target_table": home})
        raw.append(raw_row | key | {"event_id": f"lost {name}", "target_table": name})
        found[name] = pa.Table.from_pylist(typed, schema=_SCHEMAS[name])
    return {RAW_TABLE: pa.Table.from_pylist(raw, schema=_SCHEMAS[RAW_TABLE]), **found}


def insert(name: str, path: str) -> str:
    """Return the Databricks statement that appends a staged file to a table."""
    table = sql_dialect.table(name)
    schema = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    return (
        f"INSERT INTO {name} SELECT * FROM "
        f"read_files('{path}', format => 'parquet', schema => '{schema}')"
    )


def rows(name: str, dictionaries: list[dict[str, Any]]) -> pa.Table:
    """Rows of a table, from dictionaries."""
    return pa.Table.from_pylist(dictionaries, schema=_SCHEMAS[name])


def files(path: str, rows: pa.Table) -> dict[str, pa.Table]:
    """The files that a path or a pattern names, with these rows spread over them.

    Those of a pattern have other keys than a single file, so that both can be loaded.
    """
    named = [str(one) for one in globs.named(Path(path))]
    if len(named) == 1:
        return {path: rows}
    ids = [f"several {one}" for one in rows.column("event_id").to_pylist()]
    place = rows.schema.get_field_index("event_id")
    others = rows.set_column(place, rows.schema.field(place), pa.array(ids))
    step = len(named)
    return {one: others.take([*range(n, rows.num_rows, step)]) for n, one in enumerate(named)}


def content(rows: pa.Table) -> bytes:
    """The file."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _bodies() -> Iterator[bytes]:
    for file in sorted(WEBHOOK_FIXTURES.glob("*.json")):
        payload = json.loads(file.read_text(encoding="utf-8"))
        kind = f"{payload.get('object_type')}/{payload['metric']}"
        for days_ago in (0, 1):
            moment = NOON - timedelta(days=days_ago)
            changed = {"event_id": f"{kind} {days_ago}", "timestamp": int(moment.timestamp())}
            yield json.dumps(payload | changed).encode()
