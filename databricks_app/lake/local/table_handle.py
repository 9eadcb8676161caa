"""One local Delta table, open for writing: append, sync, and the meaning of errors.

Only this process may write the table. If a commit fails, the table is opened again; the commit is
never simply retried.
"""

from __future__ import annotations

import errno
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Schema,
    write_deltalake,
)
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)

from databricks_app.errors import LakeError, ValueRefused
from databricks_app.lake.arrow_columns import ArrowSchema, ArrowTable
from databricks_app.lake.local.fsync import Sync, fsync, read_commit, sync_commits
from databricks_app.lake.local.merge_plan import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITION = "event_date"
# The columns whose minimum and maximum the log has for each file. Statistics of all columns would
# be most of the log: with 500 files a commit would take 14 ms instead of 6 ms, and a checkpoint
# 450 kB instead of 150 kB.
STATISTICS = ("event_id", "event_timestamp", "received_at", "loaded_at")

# `lake.local.maintenance` writes checkpoints and cleans up, each after a sync.
NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

# The statistics in the log truncate times to milliseconds.
_TRUNCATED = timedelta(milliseconds=1)

_OS_ERROR = re.compile(r"os error (\d+)")
_MISSING = re.compile("Object at location .* not found")
_ENGINE_ERRORS = (DeltaError, OSError, MemoryError, ValueError, RuntimeError)
_SYSTEMIC = (OSError, MemoryError, DeltaProtocolError, SchemaMismatchError, TableNotFoundError)
# Errors with these words are about files or memory. All other engine errors are about values.
_ENVIRONMENT = re.compile(
    r"object ?store|LocalFileSystem|Object at location|parquet error|parse parquet|kernel error"
    r"|resources exhausted|out of memory|not a delta table",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a local table.

    Attributes:
        name: Name of the table and of its folder.
        schema: Arrow schema; the metadata `comment` of a field becomes the comment of the column.
        comment: One sentence.
    """

    name: str
    schema: ArrowSchema
    comment: str = ""


@contextmanager
def translated_errors(table: str, *, may_refuse: bool = False) -> Iterator[None]:
    """Raise `LakeError` instead of the errors of the engine.

    Args:
        table: Name of the table, for the text.
        may_refuse: Whether an error that is not about the storage means that a value is refused.

    Raises:
        LakeError: The storage fails.
        ValueRefused: A value is refused.
    """
    try:
        yield
    except CommitFailedError as error:
        raise LakeError(
            f"{table}: another program changed the table at the same time. Only one loader may "
            "run: stop the other one."
        ) from error
    except BaseException as error:
        # The engine also raises plain `Exception`. A panic of its Rust code is no `Exception`, and
        # its class cannot be imported.
        is_unusual = type(error) is Exception or type(error).__name__ == "PanicException"
        if not isinstance(error, _ENGINE_ERRORS) and not is_unusual:
            raise
        # The text of the engine is left out, because it may contain rows.
        reason = _storage_problem(error)
        if reason is None and may_refuse:
            raise ValueRefused(type(error).__name__) from error
        raise LakeError(f"{table}: {reason or _unusable(error)}") from error


def _storage_problem(error: BaseException) -> str | None:
    """Return why the storage failed; None if the error may be about a value."""
    text = str(error)
    found = _OS_ERROR.search(text)
    number = getattr(error, "errno", None) or (int(found[1]) if found else None)
    if number == errno.ENOENT or isinstance(error, FileNotFoundError) or _MISSING.search(text):
        return "a file of the table is missing. Run `ciolake verify` and restore the file it names."
    if number is not None:
        return f"{os.strerror(number)}. Check the disk of the data folder and its permissions."
    if isinstance(error, _SYSTEMIC) or _ENVIRONMENT.search(text):
        return _unusable(error)
    return None


def _unusable(error: BaseException) -> str:
    return f"the table cannot be read or written ({type(error).__name__})."


class TableHandle:
    """An open table.

    Attributes:
        path: Folder of the table.
        name: Name of the table.
        synced_version: Newest version that is durable; -1 means none.
    """

    def __init__(self, path: Path, synced_version: int, sync: Sync = fsync) -> None:
        """Open the table.

        Raises:
            LakeError: It cannot be opened.
        """
        self.path = path
        self.name = path.name
        self.synced_version = synced_version
        self._sync = sync
        self.reopen()

    @staticmethod
    def create(path: Path, definition: Definition, properties: Mapping[str, str]) -> None:
        """Create an empty table."""
        with translated_errors(definition.name):
            DeltaTable.create(
                path,
                definition.schema,
                partition_by=[PARTITION],
                name=definition.name,
                description=definition.comment or None,
                configuration=dict(properties),
                post_commithook_properties=NO_HOOKS,
            )

    @property
    def delta(self) -> DeltaTable:
        """The table object of delta-rs."""
        return self._delta

    @property
    def version(self) -> int:
        """The version that is open."""
        return self._delta.version()

    def reopen(self) -> None:
        """Open the newest version. Needed because each commit on a handle slows the next one."""
        with translated_errors(self.name):
            self._delta = DeltaTable(self.path)

    def columns(self) -> list[str]:
        """Return the names of the columns of the table."""
        return [column.name for column in self._delta.schema().fields]

    def add_columns(self, schema: ArrowSchema) -> None:
        """Add columns; they are NULL in existing rows."""
        fields = Schema.from_arrow(schema).fields
        with translated_errors(self.name):
            self._delta.alter.add_columns(fields, post_commithook_properties=NO_HOOKS)

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Change table properties."""
        with translated_errors(self.name):
            self._delta.alter.set_table_properties(
                dict(properties), post_commithook_properties=NO_HOOKS
            )

    def append(self, rows: ArrowTable) -> None:
        """Add rows in one commit, which fails if the open version is not the newest.

        So a caller that looked up the new keys in the open version adds each key once.

        Raises:
            ValueRefused: The engine refuses a value.
            LakeError: The storage fails at the moment, or the table was changed in the meantime.
        """
        with translated_errors(self.name, may_refuse=True):
            write_deltalake(
                self._delta,
                self._completed(rows),
                mode="append",
                # With retries, the engine would append after commits that this handle has not seen.
                commit_properties=CommitProperties(max_commit_retries=0),
                post_commithook_properties=NO_HOOKS,
            )

    def _completed(self, rows: ArrowTable) -> ArrowTable:
        """Add NULL for columns of the table that are not in `sql/`."""
        # The engine refuses rows whose column comments differ from those of the table, and a table
        # keeps the comments of the release that created it.
        plain = [field.remove_metadata() for field in rows.schema]
        rows = rows.cast(pa.schema(plain))
        foreign = set(self.columns()).difference(rows.column_names)
        if foreign:
            schema = pa.schema(self._delta.schema().to_arrow())
            for name in foreign:
                field = schema.field(name)
                rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
        return rows

    def sync(self) -> set[str]:
        """Make all versions up to the open one durable; return the data files they added.

        Raises:
            LakeError: The disk failed; the next call tries again.
        """
        versions = range(self.synced_version + 1, self.version + 1)
        if not versions:
            return set()
        with translated_errors(self.name):
            commits = [read_commit(self.path, version) for version in versions]
            sync_commits(self.path, commits, self._sync)
        self.synced_version = versions[-1]
        return {file.path for commit in commits for file in commit.added}

    def newest_loaded_at(self) -> datetime | None:
        """Return the newest `loaded_at`, rounded up by at most a millisecond; None without rows."""
        actions = self._actions()
        if "max.loaded_at" not in actions.column_names:
            return None
        stamps = [one for one in actions.column("max.loaded_at").to_pylist() if one is not None]
        return max(stamps).astimezone(UTC) + _TRUNCATED if stamps else None

    def update(self) -> None:
        """Open the newest version; read only the commits after the open version."""
        with translated_errors(self.name):
            self._delta.update_incremental()

    def stored_files(self) -> Mapping[date, Sequence[StoredFile]]:
        """Return all files of each date, from the log."""
        actions = self._actions()
        names = (f"partition.{PARTITION}", "path", "size_bytes", "modification_time")
        found = defaultdict[date, list[StoredFile]](list)
        for day, *file in zip(*(actions.column(name).to_pylist() for name in names), strict=True):
            found[day].append(StoredFile(*file))
        return found

    def stored_paths(self) -> set[str]:
        """Return the paths of all files, relative to the folder of the table, from the log."""
        return set(self._actions().column("path").to_pylist())

    def _actions(self) -> ArrowTable:
        with translated_errors(self.name):
            return pa.table(self._delta.get_add_actions(flatten=True))

    def files(self, keys: ArrowTable) -> list[Path]:
        """Return the data files that may contain one of these keys.

        Args:
            keys: The columns `event_id` and `event_date`; few distinct dates, at least one row.
        """
        # In a table with 11,000 files this takes 5 ms, and the pruning of the engine takes 60 ms.
        actions = self._actions()
        spans = keys.group_by(PARTITION).aggregate([("event_id", "min"), ("event_id", "max")])
        days = actions.column(f"partition.{PARTITION}") if actions.num_rows else None
        found: list[str] = []
        for span in spans.to_pylist() if days is not None else ():
            day_actions = actions.filter(pc.equal(days, pa.scalar(span[PARTITION])))
            found += _overlapping(day_actions, span["event_id_min"], span["event_id_max"])
        return [self.path / path for path in found]


def _overlapping(actions: ArrowTable, minimum: str, maximum: str) -> list[str]:
    """Return the paths of the files whose ids overlap this range, or are not known."""
    if {"min.event_id", "max.event_id"}.issubset(actions.column_names):
        is_below = pc.less(actions.column("max.event_id"), pa.scalar(minimum))
        is_above = pc.greater(actions.column("min.event_id"), pa.scalar(maximum))
        is_outside = pc.or_(pc.fill_null(is_below, False), pc.fill_null(is_above, False))
        actions = actions.filter(pc.invert(is_outside))
    return list(actions.column("path").to_pylist())
