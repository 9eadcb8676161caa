"""A SQL warehouse in this process: the loader's own statements, run by DuckDB.

One statement runs at a time, which is serializable. It knows the statements of `lake.statements`,
the tables of `sql/` and plain queries. The protocol and the real connector are the matter of
`tests/doubles`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

import duckdb
import sqlglot
from sqlglot import exp

from databricks_app.lake import sql_dialect
from tests.doubles.warehouse import globs
from tests.support.volume_files import FolderFiles

SCHEMA = "cio"
VOLUME = f"/Volumes/main/{SCHEMA}/events"
_READ_FILES = re.compile(r"read_files\('(?P<path>[^']+)', format => 'parquet', schema => '[^']*'\)")


class ServerOperationError(Exception):
    """What the server says, under the name that the connector gives it."""


class DuckWarehouse:
    """The warehouse, its tables in a file beside the volume's.

    Attributes:
        files: The volume.
        before: Called with each statement before it runs.
        after: Called with each statement after it has taken effect.
        ran: Every statement that took effect.
        refused: Condition by table; a row for which it does not hold is refused.
        refusal: What is said then.
    """

    refusal = "[DELTA_VIOLATE_CONSTRAINT_WITH_VALUES] ada@example.com SQLSTATE: 23001"

    def __init__(self, files: FolderFiles) -> None:
        self.files = files
        self.before: Callable[[str], None] = lambda _sql: None
        self.after: Callable[[str], None] = lambda _sql: None
        self.ran: list[str] = []
        self.refused: dict[str, str] = {}
        self._lock = threading.Lock()
        files.root.mkdir(parents=True, exist_ok=True)
        self._database = duckdb.connect(files.root / "tables.duckdb")
        self._database.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        self._database.execute(f"USE {SCHEMA}; SET TimeZone = 'UTC'")

    def close(self) -> None:
        """Let another process open it."""
        self._database.close()

    def connect(self) -> DuckSession:
        """Open a session."""
        return DuckSession(self)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the tables, as an outsider does."""
        with self._lock:
            return self._database.execute(sql).fetchall()

    def execute(self, sql: str, parameters: Mapping[str, object] | None) -> tuple[Any, Any]:
        """Run a statement; its description and its rows."""
        self.before(sql)
        with self._lock:
            self._refuse_rows(sql)
            for text in self._translated(sql):
                try:
                    self._database.execute(text, dict(parameters or {}))
                except duckdb.CatalogException as error:
                    raise ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] gone") from error
            description, rows = self._database.description, self._database.fetchall()
            self.ran.append(sql)
        self.after(sql)
        if sql.startswith("UPDATE"):
            return [("num_affected_rows", "bigint")], rows
        if sql.startswith("MERGE"):
            kind = "inserted" if "WHEN NOT MATCHED" in sql else "updated"
            names = ("num_affected_rows", f"num_{kind}_rows")
            return [(name, "bigint") for name in names], [rows[0] * 2]
        return description, rows

    def _refuse_rows(self, sql: str) -> None:
        staged = _READ_FILES.search(sql)
        for table, condition in self.refused.items():
            if sql.startswith(f"MERGE INTO `{table}`") and staged:
                offending = f"SELECT 1 FROM {self._read(staged)} WHERE NOT ({condition})"
                if self._database.execute(offending).fetchall():
                    raise ServerOperationError(self.refusal)

    def _translated(self, sql: str) -> list[str]:
        if sql.startswith("CREATE TABLE"):
            tree = sqlglot.parse_one(sql, dialect="databricks")
            tree.set("properties", None)
            for comment in list(tree.find_all(exp.CommentColumnConstraint)):
                comment.parent.pop()  # type: ignore[union-attr]  # in its constraint
            return [tree.sql("duckdb")]
        if sql.startswith(("CREATE OR REPLACE VIEW webhook", "--")):
            view = next(one for one in sql_dialect.views() if f" {one.name} (" in sql)
            return [f"CREATE VIEW {view.name} AS {sql_dialect.duckdb_text(view.sql)}"]
        if sql.startswith("ALTER TABLE"):
            return self._added(sql)
        text = _READ_FILES.sub(self._read, sql)
        return [re.sub(r":(\w+)", r"$\1", text.replace("`", '"'))]

    def _read(self, found: re.Match[str]) -> str:
        pattern = self.files.local(found["path"])
        files = globs.existing(pattern)
        if not files:
            raise ServerOperationError(f"[PATH_NOT_FOUND] {pattern.name} SQLSTATE: 42K03")
        return f"read_parquet({[str(one) for one in files]})"

    def _added(self, sql: str) -> list[str]:
        tree = cast("exp.Alter", sqlglot.parse_one(sql, dialect="databricks"))
        return [
            f"ALTER TABLE {tree.this.name} ADD COLUMN {column.name} {column.kind.sql('duckdb')}"
            for column in tree.find_all(exp.ColumnDef)
        ]


class DuckSession:
    """One session, which is its own cursor."""

    description: Any = None

    def __init__(self, warehouse: DuckWarehouse) -> None:
        self._warehouse = warehouse
        self._rows: list[tuple[Any, ...]] = []

    def cursor(self) -> DuckSession:
        """One is enough."""
        return self

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run a statement."""
        self.description, self._rows = self._warehouse.execute(sql, parameters)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._rows

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """The first rows."""
        return self._rows[:size]

    def cancel(self) -> None:
        """Nothing runs long here."""

    def close(self) -> None:
        """End."""
