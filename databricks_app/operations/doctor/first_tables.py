"""The questions to a real warehouse that need a table: one like ours, made and dropped again."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from databricks_app.errors import LakeError
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse import statements as texts
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok

LIKE = "webhook_email_events"
"""The table that the scratch table is like: it has columns of most types."""

_LOADERS = 4
_ROUNDS = 3
_KEYS = 50
_DAY = date(2026, 11, 22)
_MOMENT = datetime(2026, 11, 22, 23, 59, 59, 999_999, UTC)
_VALUES: dict[str, Any] = {
    "STRING": 'Zo\u00eb\'s \\ "\U0001f600"\t\n100 % NULL',
    "BIGINT": 2**63 - 1,
    "BOOLEAN": True,
    "TIMESTAMP": _MOMENT,
    "DATE": _DAY,
    "MAP<STRING, ARRAY<STRING>>": {"X-One": ["a", "b, c"], "": []},
}
_RIGHTS = "run it as who may CREATE TABLE in the schema, e.g. whoever runs `ciolake deploy`"
_REPORT = "please report it, with the channel of the warehouse"

Row = dict[str, Any]


def types(context: DoctorContext) -> CheckResult:
    """Values come out of a table as they went into the staged file; a second MERGE inserts none."""
    rows = [_full("a"), _empty("b")]
    try:
        with _scratch(context) as scratch:
            counts = scratch.merge(rows), scratch.merge(rows)
            found = scratch.rows()
    except LakeError as error:
        return failure(str(error), _RIGHTS)
    if counts != (len(rows), 0) or len(found) != len(rows):
        says = f"two MERGEs of {len(rows)} rows say that they inserted {counts[0]} and {counts[1]}"
        return failure(f"{says}; the table holds {len(found)}", _REPORT)
    pairs = zip(rows, found, strict=True)
    wrong = sorted({name for one, other in pairs for name in one if one[name] != other[name]})
    if wrong:
        return failure(f"values changed on their way: {', '.join(wrong)}", _REPORT)
    return ok(f"{len(rows[0])} columns come back as they went in; a second MERGE inserts nothing")


def races(context: DoctorContext) -> CheckResult:
    """MERGEs of the same keys at once insert each key once: Serializable is kept."""
    try:
        with _scratch(context) as scratch, ThreadPoolExecutor(_LOADERS) as pool:
            for turn in range(_ROUNDS):
                rows = [_empty(f"{turn}x{number}") for number in range(_KEYS)]
                list(pool.map(scratch.merge, [rows] * _LOADERS))
            keys = [row["event_id"] for row in scratch.rows()]
    except LakeError as error:
        return failure(str(error), _RIGHTS)
    wanted = _ROUNDS * _KEYS
    if len(keys) == len(set(keys)) == wanted:
        return ok(f"{_LOADERS} MERGEs at once, {_ROUNDS} times, of {_KEYS} keys: each stands once")
    return failure(
        f"{_LOADERS} MERGEs at once of {wanted} keys made {len(keys)} rows, {len(set(keys))} keys",
        f"run one instance of the app; {_REPORT}",
    )


def _full(event_id: str) -> Row:
    """A row with a value in each column, at the edge of its type where there is one."""
    columns = sql_dialect.table(LIKE).columns
    return {column.name: _VALUES[column.type] for column in columns} | {"event_id": event_id}


def _empty(event_id: str) -> Row:
    """A row with nothing in the columns that may have nothing."""
    columns = sql_dialect.table(LIKE).columns
    row = {one.name: None if one.nullable else _VALUES[one.type] for one in columns}
    return row | {"event_id": event_id}


class _Scratch:
    """A table like ours, under a name of its own."""

    def __init__(self, context: DoctorContext) -> None:
        from databricks_app.lake.arrow_schema import arrow_schema
        from databricks_app.lake.warehouse.staging import Staging

        name = f"ciolake_scratch_{secrets.token_hex(6)}"
        like = sql_dialect.table(LIKE)
        self.table = replace(like, name=name, sql=like.sql.replace(LIKE, name, 1))
        self.run = context.warehouse().statements.run
        self._schema = arrow_schema(like)
        self._staging = Staging(context.remote, f"{context.settings.volume_path}/probe", name)

    def merge(self, rows: Sequence[Row]) -> int:
        """Insert rows that it lacks, as the loader does; how many the warehouse says it were."""
        import pyarrow as pa

        staged = pa.Table.from_pylist(list(rows), self._schema)
        path = self._staging.put(secrets.token_hex(6), staged)
        inserted = self.run(texts.merge(self.table, path, {_DAY})).value("num_inserted_rows")
        return int(inserted or 0)

    def rows(self) -> list[Row]:
        """What it holds, ordered by key."""
        shown = ", ".join(
            f"to_json(`{one.name}`) AS `{one.name}`"
            if one.type.startswith("MAP")
            else f"`{one.name}`"
            for one in self.table.columns
        )
        sql = f"SELECT {shown} FROM `{self.table.name}` ORDER BY event_id"  # noqa: S608  # names of sql/
        return [
            {
                one.name: _plain(one, value)
                for one, value in zip(self.table.columns, row, strict=True)
            }
            for row in self.run(sql).rows
        ]

    def remove(self) -> None:
        """Drop it, and remove what was staged."""
        self._staging.remove(self._staging.finished())
        with suppress(LakeError):
            self.run(f"DROP TABLE IF EXISTS `{self.table.name}`")


@contextmanager
def _scratch(context: DoctorContext) -> Iterator[_Scratch]:
    scratch = _Scratch(context)
    try:
        scratch.run(scratch.table.sql)
        yield scratch
    finally:
        scratch.remove()


def _plain(column: sql_dialect.ColumnDefinition, value: Any) -> Any:
    """A value as it was before it was written."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if column.type.startswith("MAP") and value is not None:
        return json.loads(value)
    return value
