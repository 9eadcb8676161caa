"""The lake in a Databricks workspace: managed Delta tables, loaded through a SQL warehouse.

Rows are staged as Parquet in a volume, and one MERGE per table inserts them, see
`lake.warehouse.merge`. One instance loads at a time, see `lake.warehouse.lease`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from databricks_app.databricks.sql_sessions import Statements, Unclear
from databricks_app.databricks.volume_files import Files
from databricks_app.errors import LakeError
from databricks_app.events import decoding
from databricks_app.lake import LoadReport, StartReport, sql_dialect
from databricks_app.lake.arrow_schema import arrow_schema
from databricks_app.lake.batch import LoadCounts, date_groups, distinct
from databricks_app.lake.commit_times import CommitTimes
from databricks_app.lake.insert import Insertion
from databricks_app.lake.renaming import Rename
from databricks_app.lake.warehouse import statements
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.merge import Merging, utc
from databricks_app.lake.warehouse.renaming import WarehouseRenaming
from databricks_app.lake.warehouse.staging import Staging

if TYPE_CHECKING:
    from databricks_app.events.decoding import Reading

# Dates that are loaded at once; each statement contains them.
_MAX_DATES = 32
# Typed tables that are loaded at once; each needs a session.
_THREADS = 4
# After so many loads with an unclear error, the loader looks for single rows that cause it.
_TOLERATED_UNCLEAR = 3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tables and the volume are.

    Attributes:
        schema: Name of the schema.
        volume: Path of the volume, `/Volumes/<catalog>/<schema>/<volume>`.
    """

    schema: str
    volume: str


@dataclass(frozen=True, slots=True)
class _WarehouseResources:
    pool: ThreadPoolExecutor
    staging: Staging


class WarehouseLake:
    """Tables of one schema.

    Attributes:
        lease: Decides which instance loads.
    """

    def __init__(
        self,
        statements: Statements,
        files: Files,
        lease: Lease,
        place: Place,
        *,
        tables: Sequence[sql_dialect.Table] | None = None,
        views: Sequence[tuple[str, str]] | None = None,
        keeps_sessions: bool = True,
    ) -> None:
        """Create the lake; `start` opens it.

        Args:
            statements: Runs SQL, in the catalog and schema of the tables.
            files: The volume.
            lease: Decides which instance loads.
            place: Where the tables and the volume are.
            tables: The raw table, then the typed tables; by default those of `sql/`.
            views: Name and CREATE statement of each view; by default those of `sql/`.
            keeps_sessions: Whether sessions stay open between loads. An open session may keep
                the warehouse running.
        """
        self.lease = lease
        self._statements = statements
        self._files = files
        self._place = place
        self._custom_tables, self._custom_views = tables, views
        self._keeps_sessions = keeps_sessions
        self._running: _WarehouseResources | None = None
        self._times = CommitTimes()
        self._is_stale = False
        self._unclear = 0

    def start(self) -> StartReport:
        """See `Lake.start`."""
        self.lease.take()
        try:
            staging = Staging(
                self._files, f"{self._place.volume}/staging", f"{self.lease.epoch:08d}"
            )
            staging.sweep()
            report = self._prepare()
        except LakeError:
            self.close()
            raise
        self._end_sessions()
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lake")
        self._running = _WarehouseResources(pool, staging)
        return report

    def load(
        self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime
    ) -> LoadReport:
        """See `Lake.load`."""
        began = time.perf_counter()
        if self._running is None:
            raise LakeError("The lake is not started.")
        self.lease.confirm()
        counts = LoadCounts()
        try:
            self._insert(
                self._running, readings, {"batch_id": batch_id, "loaded_at": loaded_at}, counts
            )
        except LakeError as error:
            self._is_stale = True
            self._unclear += isinstance(error, Unclear)
            raise
        finally:
            # In the background: the rows are committed, so the load need not wait for this.
            staging = self._running.staging
            self._running.pool.submit(staging.remove, staging.finished())
            self._end_sessions()
        self._unclear = 0
        # Before the caller deletes the batch: only the owner of the lease may do that.
        self.lease.confirm()
        return counts.report(time.perf_counter() - began)

    def _insert(
        self,
        running: _WarehouseResources,
        readings: Sequence[Reading],
        stamps: dict[str, object],
        counts: LoadCounts,
    ) -> None:
        if self._is_stale:
            self._prepare()
            self._is_stale = False
        tables = {table.name: table for table in self._tables()}
        merging = Merging(
            tables=tables,
            statements=self._statements,
            staging=running.staging,
            times=self._times,
            batch_id=str(stamps["batch_id"]),
            suspects_rows=self._unclear >= _TOLERATED_UNCLEAR,
        )
        insertion = Insertion(
            store=merging,
            schemas={name: arrow_schema(table) for name, table in tables.items()},
            pool=running.pool,
            reread=decoding.reread,
            stamps=stamps,
            counts=counts,
        )
        for group in date_groups(distinct(readings, counts), _MAX_DATES):
            insertion.run(group)

    def newest_loaded_at(self) -> datetime | None:
        """See `Lake.newest_loaded_at`."""
        return self._times.newest

    def workspaces_of(self, fingerprints: Set[str]) -> frozenset[tuple[str, str]]:
        """See `Lake.workspaces_of`."""
        sql = statements.workspaces_of(fingerprints)
        return frozenset((str(row[0]), str(row[1])) for row in self._statements.run(sql).rows)

    def rows_to_rename(self, rename: Rename) -> Mapping[str, int]:
        """See `RenamingLake.rows_to_rename`."""
        return WarehouseRenaming(self._statements, self._tables(), rename).count()

    def rename(self, rename: Rename) -> Mapping[str, int]:
        """See `RenamingLake.rename`."""
        self.lease.confirm()
        return WarehouseRenaming(self._statements, self._tables(), rename, self.lease.confirm).run()

    def close(self) -> None:
        """See `Lake.close`."""
        if self._running is not None:
            self._running.pool.shutdown()
            self._running = None
        self._statements.close()
        self.lease.release()

    def _end_sessions(self) -> None:
        if not self._keeps_sessions:
            self._statements.close()

    def _tables(self) -> Sequence[sql_dialect.Table]:
        return sql_dialect.tables() if self._custom_tables is None else self._custom_tables

    def _views(self) -> Sequence[tuple[str, str]]:
        if self._custom_views is not None:
            return self._custom_views
        texts = sql_dialect.statements("views")
        return [(v.name, text.sql) for v, text in zip(sql_dialect.views(), texts, strict=True)]

    def _prepare(self) -> StartReport:
        """Create missing tables, columns and views, and read the newest `loaded_at`."""
        existing = self._existing_columns()
        created: list[str] = []
        added: dict[str, tuple[str, ...]] = {}
        for table in self._tables():
            # What exists is never replaced, so the permission to read is enough.
            if table.name not in existing:
                self._statements.run(table.sql)
                created.append(table.name)
            elif missing := set(table.column_names) - existing[table.name]:
                self._statements.run(statements.add_columns(table, missing))
                added[table.name] = tuple(name for name in table.column_names if name in missing)
        answer = self._statements.run(statements.newest_loaded_at(self._tables()))
        newest = answer.value("newest_at")
        self._times.newest = None if newest is None else utc(newest)
        return StartReport(tuple(created), added, tuple(self._create_views(existing)))

    def _existing_columns(self) -> dict[str, set[str]]:
        """Return the columns of every table and view of the schema, in lower case."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        answer = self._statements.run(
            statements.EXISTING_COLUMNS, {"schema_name": self._place.schema}
        )
        for table, column in answer.rows:
            found[table].add(column.lower())
        return dict(found)

    def _create_views(self, existing: dict[str, set[str]]) -> list[str]:
        """Create missing views; return the problems."""
        problems = []
        wanted = dict(self._views())
        for name, sql in wanted.items():
            # To replace a view would drop its grants; somebody else may own it.
            if name not in existing:
                try:
                    self._statements.run(sql)
                except LakeError as error:
                    problems.append(f"the view {name} is missing and cannot be created: {error}")
        old = [
            view.name
            for view in sql_dialect.views()
            if view.name in wanted.keys() & existing.keys() and view.lacking(existing[view.name])
        ]
        if old:
            problems.append(
                f"views of an earlier release lack columns: {', '.join(old)}. Run "
                "`ciolake deploy --replace-views`, then restart the loader"
            )
        return problems
