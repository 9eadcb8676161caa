"""The first-contact checks that need a table: they create a scratch table and drop it again."""

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
"""The scratch table has the columns of this table, which uses most types."""

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
_RIGHTS = (
    "run this as a user with CREATE TABLE on the schema, for example the one who runs "
    "`ciolake deploy`"
)
_REPORT = "please report it, with the channel of the warehouse"

Row = dict[str, Any]


def types(context: DoctorContext) -> CheckResult:
    """Check that a table returns the values of the staged file, and a second MERGE inserts none."""
    rows = [_full("a"), _empty("b")]
    try:
        with _scratch(context) as scratch:
            counts = scratch.merge(rows), scratch.merge(rows)
            found = scratch.rows()
    except LakeError as error:
        return failure(str(error), _RIGHTS)
    if counts != (len(rows), 0) or len(found) != len(rows):
        return failure(
            f"two MERGEs of the same {len(rows)} rows inserted {counts[0]} and {counts[1]} rows by "
            f"their own count; the table has {len(found)}",
            _REPORT,
        )
    pairs = zip(rows, found, strict=True)
    wrong = sorted({name for one, other in pairs for name in one if one[name] != other[name]})
    if wrong:
        return failure(f"values of these columns were changed: {', '.join(wrong)}", _REPORT)
    return ok(
        f"{len(rows[0])} columns return the values that were written; a second MERGE of the same "
        "rows inserts nothing"
    )


def races(context: DoctorContext) -> CheckResult:
    """Check that simultaneous MERGEs of the same keys insert each key once (Serializable)."""
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
        return ok(
            f"{_LOADERS} simultaneous MERGEs of {_KEYS} keys, repeated {_ROUNDS} times, inserted "
            "each key once"
        )
    return failure(
        f"{_LOADERS} simultaneous MERGEs of {wanted} keys inserted {len(keys)} rows with "
        f"{len(set(keys))} different keys",
        f"run only one instance of the app; {_REPORT}",
    )


def _full(event_id: str) -> Row:
    """Return a row with a value in each column, an extreme one if the type has one."""
    columns = sql_dialect.table(LIKE).columns
    return {column.name: _VALUES[column.type] for column in columns} | {"event_id": event_id}


def _empty(event_id: str) -> Row:
    """Return a row with NULL in every column that allows it."""
    columns = sql_dialect.table(LIKE).columns
    row = {one.name: None if one.nullable else _VALUES[one.type] for one in columns}
    return row | {"event_id": event_id}


class _Scratch:
    """A scratch table with the columns of `LIKE` and a random name."""

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
        """Insert the missing rows as the loader does; return the warehouse's count of them."""
        import pyarrow as pa

        from databricks_app.lake.warehouse.staging import pattern

        name, half = secrets.token_hex(6), len(rows) // 2
        # In two files, because the loader reads several with one pattern.
        files = [
            self._staging.stage(name, pa.Table.from_pylist(list(part), self._schema))
            for part in (rows[:half], rows[half:])
        ]
        sql = texts.merge(self.table, pattern(files), {_DAY})
        inserted = self.run(sql, {"loaded_at": _MOMENT}).value("num_inserted_rows")
        return int(inserted or 0)

    def rows(self) -> list[Row]:
        """Return all rows, ordered by key."""
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
        """Drop the table and delete the staged files."""
        for path in self._staging.finished():
            self._staging.remove(path)
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
    """Convert a value from the warehouse back into the type that was written."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if column.type.startswith("MAP") and value is not None:
        return json.loads(value)
    return value
