"""The lakes behind one face, for the tests of what both must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from deltalake import DeltaTable

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.sql_sessions import Statements
from databricks_app.events.decoding import Reading
from databricks_app.lake import Lake, LoadReport, sql_dialect
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.local import verify as local_verify
from databricks_app.lake.local.fsync import fsync
from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import LocalLake
from databricks_app.lake.local.table_handle import Definition
from databricks_app.lake.local.verify import Verdict
from databricks_app.lake.renaming import RenamingLake
from databricks_app.lake.warehouse import verify as warehouse_verify
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.query import WarehouseQuery
from databricks_app.lake.warehouse.store import Place, WarehouseLake
from tests.support.duck_warehouse import SCHEMA, VOLUME, DuckWarehouse
from tests.support.lake_events import EMAIL, RAW, SMS
from tests.support.lake_events import rows as local_rows
from tests.support.volume_files import FolderFiles

TABLES = (RAW, EMAIL, SMS)


class BothLake(Lake, RenamingLake, Protocol):
    """What both lakes are."""


class LakeBackend(Protocol):
    """A lake with its surroundings.

    Attributes:
        after_commit: Called after each commit of a load, before the next.
    """

    after_commit: Callable[[], None]

    def lake(self, without: Sequence[str] = ()) -> BothLake:
        """Make a lake of few tables, not started, whose typed tables lack these columns."""
        ...

    def rows(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """Columns of a table, ordered."""
        ...

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Answer a query as `ciolake query` does."""
        ...

    def refuse(self, table: str, condition: str) -> None:
        """Make the engine refuse rows for which the condition does not hold."""
        ...

    def verdict(self) -> Verdict:
        """What `ciolake verify` finds."""
        ...

    def close(self) -> None:
        """Let another process use the same place."""
        ...


def ids(backend: LakeBackend, table: str) -> list[str]:
    """Event ids of a table, ordered, repeated if they stand there more than once."""
    return [row[0] for row in backend.rows(table, "event_id")]


def tables(without: Sequence[str] = ()) -> list[sql_dialect.Table]:
    """The raw table and two typed ones, these without some columns."""
    return [
        replace(
            one,
            columns=tuple(c for c in one.columns if c.name not in without),
            sql="\n".join(
                line for line in one.sql.splitlines() if not line.strip().startswith(tuple(without))
            )
            if without
            else one.sql,
        )
        for one in sql_dialect.tables()
        if one.name in TABLES
    ]


class LocalBackend:
    """Delta tables in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.after_commit: Callable[[], None] = lambda: None

    def lake(self, without: Sequence[str] = ()) -> LocalLake:
        """See `LakeBackend.lake`."""
        definitions = [
            Definition(one.name, arrow_schema(one), one.comment) for one in tables(without)
        ]
        return LocalLake(self.folder, tables=definitions, sync=self._sync)

    def _sync(self, path: Path) -> None:
        """A commit is there for readers before it is synced."""
        fsync(path)
        if path.parent.name == "_delta_log":
            self.after_commit()

    def rows(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """See `LakeBackend.rows`."""
        return local_rows(self.folder, table, columns)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """See `LakeBackend.query`."""
        return LocalQuery(self.folder).run(sql).rows

    def refuse(self, table: str, condition: str) -> None:
        """See `LakeBackend.refuse`."""
        DeltaTable(self.folder / "tables" / table).alter.add_constraint({"test": condition})

    def verdict(self) -> Verdict:
        """See `LakeBackend.verdict`."""
        return local_verify.check(self.folder, [EMAIL, SMS])

    def close(self) -> None:
        """See `LakeBackend.close`."""


class WarehouseBackend:
    """Tables behind a warehouse.

    Attributes:
        files: The volume.
        warehouse: The warehouse.
        kind: What `lake` makes.
    """

    kind = WarehouseLake

    def __init__(self, folder: Path) -> None:
        self.files = FolderFiles(folder)
        self.warehouse = DuckWarehouse(self.files)
        self.after_commit: Callable[[], None] = lambda: None
        self.warehouse.after = self._ran

    def lake(self, without: Sequence[str] = (), owner: str = "here") -> WarehouseLake:
        """See `LakeBackend.lake`; `owner` is the instance."""
        return self.kind(
            self.statements(),
            self.files,
            Lease(self.files, f"{VOLUME}/lease", owner=owner),
            Place(SCHEMA, VOLUME),
            tables=tables(without),
            views=(),
        )

    def _ran(self, sql: str) -> None:
        if sql.startswith("MERGE"):
            self.after_commit()

    def statements(self) -> Statements:
        """Statements that are repeated at once."""
        return Statements(self.warehouse.connect, CallTimeout(), pause_seconds=0)

    def rows(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """See `LakeBackend.rows`."""
        return self.warehouse.rows(f"SELECT {columns} FROM {table} ORDER BY ALL")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """See `LakeBackend.query`."""
        return WarehouseQuery(self.statements()).run(sql).rows

    def refuse(self, table: str, condition: str) -> None:
        """See `LakeBackend.refuse`."""
        self.warehouse.refused[table] = condition

    def verdict(self) -> Verdict:
        """See `LakeBackend.verdict`."""
        query = WarehouseQuery(self.statements())
        return warehouse_verify.check(query, [EMAIL, SMS], is_loading=False)

    def close(self) -> None:
        """See `LakeBackend.close`."""
        self.warehouse.close()


class PortionedLake(WarehouseLake):
    """A lake that loads in three portions, staged first and committed together."""

    def load(
        self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime
    ) -> LoadReport:
        """See `Lake.load`."""
        size = max(1, -(-len(readings) // 3))
        for start in range(0, len(readings), size):
            portion = readings[start : start + size]
            self.stage(portion, batch_id=batch_id, loaded_at=loaded_at)
        if not readings:
            return super().load(readings, batch_id=batch_id, loaded_at=loaded_at)
        return self.commit(loaded_at=loaded_at)


class StagedBackend(WarehouseBackend):
    """Tables behind a warehouse, loaded in staged portions."""

    kind = PortionedLake


BACKENDS: dict[str, type[LocalBackend] | type[WarehouseBackend]] = {
    "local": LocalBackend,
    "warehouse": WarehouseBackend,
    "staged": StagedBackend,
}
