"""Checks the tables of a SQL warehouse, like `lake.local.verify` checks local tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from databricks_app.errors import LakeError, QueryError
from databricks_app.lake import RAW_TABLE
from databricks_app.lake.local.verify import Difference, Kind, Verdict

if TYPE_CHECKING:
    from databricks_app.lake.warehouse.query import WarehouseQuery

_EXAMPLES = 5
_COUNT = "SELECT count(*) AS events FROM {table}"
_SAME = "one.event_id = other.event_id AND one.event_date = other.event_date"
_REPEATED = """SELECT event_id FROM {table}
    GROUP BY event_id, event_date HAVING count(*) > 1"""
_OF_TYPED: Mapping[Kind, str] = {
    "missing": """SELECT one.event_id FROM {raw} AS one
        WHERE one.target_table = '{table}' {settled}
        AND NOT EXISTS (SELECT 1 FROM {table} AS other WHERE {same})""",
    "misplaced": """SELECT one.event_id FROM {table} AS one
        WHERE EXISTS (SELECT 1 FROM {raw} AS other
            WHERE {same} AND other.target_table <> '{table}')""",
    "without_raw": """SELECT one.event_id FROM {table} AS one
        WHERE NOT EXISTS (SELECT 1 FROM {raw} AS other WHERE {same}) {settled}""",
}
_UNKNOWN_TABLE = "SELECT event_id FROM {raw} WHERE target_table NOT IN ({known})"
_SEVERAL_TABLES = """SELECT one.event_id FROM ({typed}) AS one
    WHERE EXISTS (SELECT 1 FROM {raw} AS other WHERE {same} AND other.target_table IS NULL)
    GROUP BY one.event_id, one.event_date HAVING count(DISTINCT one.home) > 1"""
_TWO_DATES = "SELECT event_id FROM {raw} GROUP BY event_id HAVING count(DISTINCT event_date) > 1"
_CONFLICTS = "SELECT event_id FROM {raw} WHERE unrouted_reason = 'key_conflict'"
_UNROUTED = """SELECT one.event_id FROM {raw} AS one WHERE one.target_table IS NULL
    AND NOT EXISTS (SELECT 1 FROM ({typed}) AS other WHERE {same})"""
_REPLAYED = """SELECT one.event_id FROM {raw} AS one WHERE one.target_table IS NULL
    AND EXISTS (SELECT 1 FROM ({typed}) AS other WHERE {same})"""
_SETTLED = """AND one.loaded_at < (SELECT min(loaded_at) FROM {raw}
    WHERE batch_id = (SELECT max_by(batch_id, loaded_at) FROM {raw}))"""


def check(query: WarehouseQuery, typed_tables: Sequence[str], *, is_loading: bool) -> Verdict:
    """Compare the tables of the schema.

    Args:
        query: Runs queries on the warehouse.
        typed_tables: Names of the typed tables.
        is_loading: Whether a loader may be running. Then the rows of its newest batch are ignored.

    Raises:
        LakeError: A table cannot be read; says why.
    """
    try:
        return _WarehouseVerification(query, tuple(typed_tables), is_loading).run()
    except QueryError as error:
        raise LakeError(f"The tables cannot be checked: {error}") from error


@dataclass(frozen=True, slots=True)
class _WarehouseVerification:
    query: WarehouseQuery
    typed: tuple[str, ...]
    is_loading: bool

    def run(self) -> Verdict:
        differences = tuple(self._differences())
        two_dates, two_dates_ids = self._find(_TWO_DATES)
        conflicts, conflict_ids = self._find(_CONFLICTS)
        return Verdict(
            rows={
                name: int(str(self.query.run(_COUNT.format(table=name)).rows[0][0]))
                for name in (RAW_TABLE, *self.typed)
            },
            differences=differences,
            unrouted=self._find(_UNROUTED)[0],
            replayed=self._find(_REPLAYED)[0],
            conflicts=conflicts,
            conflict_ids=conflict_ids,
            two_dates=two_dates,
            two_dates_ids=two_dates_ids,
            is_loading=self.is_loading,
        )

    def _differences(self) -> Iterator[Difference]:
        checks: list[tuple[Kind, str, str]] = [
            ("repeated", name, _REPEATED) for name in (RAW_TABLE, *self.typed)
        ]
        checks += [(kind, name, sql) for name in self.typed for kind, sql in _OF_TYPED.items()]
        checks += [
            ("missing", RAW_TABLE, _UNKNOWN_TABLE),
            ("several_tables", RAW_TABLE, _SEVERAL_TABLES),
        ]
        for kind, table, sql in checks:
            events, examples = self._find(sql, table)
            if events:
                yield Difference(kind, table, events, examples)

    def _find(self, sql: str, table: str = RAW_TABLE) -> tuple[int, tuple[str, ...]]:
        """Return how many rows a query has, and the first ids in order."""
        text = sql.format(
            raw=RAW_TABLE,
            same=_SAME,
            table=table,
            settled=_SETTLED.format(raw=RAW_TABLE) if self.is_loading else "",
            known=", ".join(f"'{name}'" for name in self.typed),
            typed=" UNION ALL ".join(
                f"SELECT event_id, event_date, '{name}' AS home FROM {name}"  # noqa: S608  # names of sql/
                for name in self.typed
            ),
        )
        found = self.query.run(
            f"SELECT event_id, count(*) OVER () AS events FROM ({text}) AS found "  # noqa: S608  # constants
            f"ORDER BY event_id LIMIT {_EXAMPLES}"
        ).rows
        return (int(str(found[0][1])) if found else 0, tuple(str(row[0]) for row in found))
