"""Renames a workspace in a warehouse: one MERGE per typed table, then an UPDATE of the raw table.

Each statement may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from databricks_app.lake.renaming import Rename
from databricks_app.lake.warehouse import statements

if TYPE_CHECKING:
    from databricks_app.databricks.sql_sessions import Statements
    from databricks_app.lake.sql_dialect import Table

# Dates in one statement, so that no statement reaches its timeout.
_MAX_DATES = 31


@dataclass(frozen=True, slots=True)
class WarehouseRenaming:
    """One rename in the tables of a schema.

    Attributes:
        statements: Runs SQL.
        tables: The raw table, then the typed ones.
        change: The rename.
        before_statement: Called before each statement that changes rows; raises to stop.
    """

    statements: Statements
    tables: Sequence[Table]
    change: Rename
    before_statement: Callable[[], None] = lambda: None

    def count(self) -> dict[str, int]:
        """Return how many rows of each table would be changed, the raw table last."""
        answer = self.statements.run(statements.rows_to_rename(self.change, self.tables))
        found = {str(name): int(events) for name, events in answer.rows}
        raw, *typed = self.tables
        return {one.name: found[one.name] for one in (*typed, raw)}

    def run(self) -> dict[str, int]:
        """Change the rows; return how many rows of each table were changed."""
        raw, *typed = self.tables
        done = dict.fromkeys([*(one.name for one in typed), raw.name], 0)
        answer = self.statements.run(statements.days_to_rename(self.change))
        days = [row[0] for row in answer.rows]
        for table in typed:
            for some in _portions(days):
                sql = statements.rename_typed(table, self.change, some)
                done[table.name] += self._changed(sql, "num_updated_rows")
        for some in _portions(days):
            sql = statements.rename_raw(self.change, some)
            done[raw.name] += self._changed(sql, "num_affected_rows")
        return done

    def _changed(self, sql: str, column: str) -> int:
        self.before_statement()
        return int(self.statements.run(sql).value(column) or 0)


def _portions(days: Sequence[date]) -> Iterator[Sequence[date]]:
    for start in range(0, len(days), _MAX_DATES):
        yield days[start : start + _MAX_DATES]
