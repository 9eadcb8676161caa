"""Reads the tables and views of a workspace with the same interface as `lake.local.query`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from databricks_app.errors import LakeError, QueryError, ValueRefused
from databricks_app.lake.local.query import Result, TableState
from databricks_app.lake.sql_dialect import Table, tables

if TYPE_CHECKING:
    from datetime import datetime

    from databricks_app.databricks.sql_sessions import Statements

_READING = "a query is one SELECT, WITH, VALUES, SHOW, DESCRIBE or EXPLAIN"
_COMMANDS = frozenset({"SHOW", "DESCRIBE", "DESC", "EXPLAIN"})


@dataclass(frozen=True, slots=True)
class WarehouseQuery:
    """Queries through a SQL warehouse, with the permissions of the current credentials.

    Attributes:
        statements: Runs SQL, in the catalog and schema of the tables.
    """

    statements: Statements

    def run(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        limit: int | None = None,
    ) -> Result:
        """Run a query; see `LocalQuery.run`.

        Raises:
            QueryError: The query is refused, wrong, or fails; says why, shows no values.
        """
        _refuse_changes(sql)
        most = None if limit is None else limit + 1
        try:
            text, values = _flattened(sql, parameters or {})
            answer = self.statements.run(text, values, rows_at_most=most)
        except ValueRefused as error:
            raise QueryError(
                f"The query fails ({error}): a value does not fit the requested type; "
                "use try_cast, which gives NULL."
            ) from error
        except LakeError as error:
            raise QueryError(str(error)) from error
        rows = answer.rows if limit is None else answer.rows[:limit]
        is_cut = limit is not None and len(answer.rows) > limit
        return Result(answer.names, tuple(kind.upper() for kind in answer.types), rows, is_cut)

    def states(self) -> list[TableState]:
        """Return the tables of `sql/` in their order, with row count and newest row."""
        counted = " UNION ALL ".join(
            f"SELECT '{one.name}' AS name, count(*) AS events, max(loaded_at) AS newest "  # noqa: S608  # names of sql/
            f"FROM {one.name}"
            for one in tables()
        )
        found = {row[0]: row[1:] for row in self.run(counted).rows}
        return [_state(one, *found[one.name]) for one in tables()]


def _state(table: Table, rows: object, newest: object) -> TableState:
    return TableState(
        name=table.name,
        rows=cast("int", rows),
        files=None,
        bytes=None,
        newest_loaded_at=cast("datetime | None", newest),
        comment=table.comment,
    )


def _flattened(sql: str, parameters: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Replace each list parameter by one parameter per value: a warehouse accepts no lists."""
    values: dict[str, object] = {}
    for name, value in parameters.items():
        if not isinstance(value, list):
            values[name] = value
            continue
        members = {f"{name}_{place}": one for place, one in enumerate(value)}
        marks = ", ".join(f":{member}" for member in members)
        sql = re.sub(rf":{re.escape(name)}\b", f"array({marks})", sql)
        values |= members
    return sql, values


def _refuse_changes(sql: str) -> None:
    """Refuse a statement that could change something.

    Raises:
        QueryError: It is not a query, or more than one.
    """
    # The permissions of the receiver would allow the change.
    import sqlglot
    from sqlglot import exp

    try:
        words = sqlglot.tokenize(sql.rstrip().rstrip(";"), dialect="databricks")
        is_one = bool(words) and all(
            one.token_type is not sqlglot.TokenType.SEMICOLON for one in words
        )
        if is_one and words[0].text.upper() not in _COMMANDS:
            is_one = isinstance(sqlglot.parse_one(sql, dialect="databricks"), exp.Query)
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(f"The query cannot be parsed; {_READING}.") from error
    if not is_one:
        raise QueryError(f"The query is refused: {_READING}.")
