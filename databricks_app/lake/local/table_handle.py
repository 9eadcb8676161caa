"""One local Delta table, open for writing: append, sync, and what errors mean.

Only this process writes the table; a stale handle is opened again, never retried blindly.
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
# The columns whose bounds the log keeps for each file. Those of all columns are most of
# a log: with 500 files a commit takes 14 ms and a checkpoint 450 kB, with these 6 ms and 150 kB.
STATISTICS = ("event_id", "event_timestamp", "received_at", "loaded_at")

# Checkpoints and clean-up are done by `lake.upkeep`, each after a sync.
NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)

_CUT = timedelta(milliseconds=1)

_OS_ERROR = re.compile(r"os error (\d+)")
_MISSING = re.compile("Object at location .* not found")
_ENGINE_ERRORS = (DeltaError, OSError, MemoryError, ValueError, RuntimeError)
_SYSTEMIC = (OSError, MemoryError, DeltaProtocolError, SchemaMismatchError, TableNotFoundError)
# Words of errors that are about files or memory; all other engine errors are about values.
_ENVIRONMENT = re.compile(
    r"object ?store|LocalFileSystem|Object at location|parquet error|parse parquet|kernel error"
    r"|resources exhausted|out of memory|not a delta table",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a table shall be.

    Attributes:
        name: Its name, and that of its folder.
        schema: Arrow schema; the metadata `comment` of a field becomes the column's comment.
        comment: One sentence.
    """

    name: str
    schema: ArrowSchema
    comment: str = ""


@contextmanager
def explained(table: str, *, may_refuse: bool = False) -> Iterator[None]:
    """Turn what the engine raises into `LakeError` in an admin's words.

    The engine's own text is left out: it may show rows.

    Args:
        table: Name for the message.
        may_refuse: Whether an error that is not about the storage means that a value is refused.

    Raises:
        LakeError: The storage fails.
        ValueRefused: A value is refused.
    """
    try:
        yield
    except CommitFailedError as error:
        raise LakeError(
            f"{table}: somebody else changed the table at the same time. One loader may write: "
            "stop the other one."
        ) from error
    except BaseException as error:  # the engine raises plain ones too, and those of a panic
        if not isinstance(error, _ENGINE_ERRORS) and not _is_odd(error):
            raise
        reason = _environment(error)
        if reason is None and may_refuse:
            raise ValueRefused(type(error).__name__) from error
        raise LakeError(f"{table}: {reason or _unusable(error)}") from error


def _is_odd(error: BaseException) -> bool:
    # A panic of Rust code; its type is no `Exception` and cannot be imported.
    return type(error) is Exception or type(error).__name__ == "PanicException"


def _environment(error: BaseException) -> str | None:
    """Why the storage failed; None if the error may be about a value."""
    text = str(error)
    number = getattr(error, "errno", None) or _number(text)
    if number == errno.ENOENT or isinstance(error, FileNotFoundError) or _MISSING.search(text):
        return "a file of the table is missing. `ciolake verify` names it; restore it."
    if number is not None:
        return f"{os.strerror(number)}. Check the disk of the data folder and its permissions."
    if isinstance(error, _SYSTEMIC) or _ENVIRONMENT.search(text):
        return _unusable(error)
    return None


def _unusable(error: BaseException) -> str:
    return f"the table cannot be read or written ({type(error).__name__})."


def _number(text: str) -> int | None:
    found = _OS_ERROR.search(text)
    return int(found[1]) if found else None


class TableHandle:
    """An open table.

    Attributes:
        path: Its folder.
        name: Its name.
        synced_version: Newest version known to be durable; -1 for none.
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
        """Make an empty table."""
        with explained(definition.name):
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
        """The engine's table."""
        return self._delta

    @property
    def version(self) -> int:
        """The version that is open."""
        return self._delta.version()

    def reopen(self) -> None:
        """Open the newest version; each commit on one handle makes the next one slower."""
        with explained(self.name):
            self._delta = DeltaTable(self.path)

    def columns(self) -> list[str]:
        """Names of the columns the table has."""
        return [column.name for column in self._delta.schema().fields]

    def add_columns(self, schema: ArrowSchema) -> None:
        """Add columns; existing rows read as NULL there."""
        fields = Schema.from_arrow(schema).fields
        with explained(self.name):
            self._delta.alter.add_columns(fields, post_commithook_properties=NO_HOOKS)

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Change table properties."""
        with explained(self.name):
            self._delta.alter.set_table_properties(
                dict(properties), post_commithook_properties=NO_HOOKS
            )

    def append(self, rows: ArrowTable) -> None:
        """Add rows in one commit, which fails if the open version is not the newest.

        Whoever looked up in the open version which keys are new adds each of them once.

        Raises:
            ValueRefused: The engine will not take some value.
            LakeError: The storage fails for now, or the table was changed meanwhile.
        """
        with explained(self.name, may_refuse=True):
            write_deltalake(
                self._delta,
                self._completed(rows),
                mode="append",
                # By itself an append steps behind whatever was committed in between.
                commit_properties=CommitProperties(max_commit_retries=0),
                post_commithook_properties=NO_HOOKS,
            )

    def _completed(self, rows: ArrowTable) -> ArrowTable:
        """The rows with NULL in the columns that somebody else added to the table."""
        # The engine refuses rows whose columns have another comment than the table's, and a table
        # keeps the comments of the release that made it.
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
        """Make everything up to the open version durable; the data files that were added since.

        Raises:
            LakeError: The disk failed; the next call tries again.
        """
        versions = range(self.synced_version + 1, self.version + 1)
        if not versions:
            return set()
        with explained(self.name):
            commits = [read_commit(self.path, version) for version in versions]
            sync_commits(self.path, commits, self._sync)
        self.synced_version = versions[-1]
        return {file.path for commit in commits for file in commit.added}

    def newest_loaded_at(self) -> datetime | None:
        """A time that no row's `loaded_at` is above, and at most a millisecond late; None: no row.

        By the log's statistics, which cut microseconds.
        """
        actions = self._actions()
        if "max.loaded_at" not in actions.column_names:
            return None
        stamps = [one for one in actions.column("max.loaded_at").to_pylist() if one is not None]
        return max(stamps).astimezone(UTC) + _CUT if stamps else None

    def update(self) -> None:
        """Open the newest version by reading only what was committed since."""
        with explained(self.name):
            self._delta.update_incremental()

    def stored_files(self) -> Mapping[date, Sequence[StoredFile]]:
        """All files of each date, by the log."""
        actions = self._actions()
        names = (f"partition.{PARTITION}", "path", "size_bytes", "modification_time")
        found = defaultdict[date, list[StoredFile]](list)
        for day, *file in zip(*(actions.column(name).to_pylist() for name in names), strict=True):
            found[day].append(StoredFile(*file))
        return found

    def stored_paths(self) -> set[str]:
        """Paths of all files, relative to the table's folder, by the log."""
        return set(self._actions().column("path").to_pylist())

    def _actions(self) -> ArrowTable:
        with explained(self.name):
            return pa.table(self._delta.get_add_actions(flatten=True))

    def files(self, keys: ArrowTable) -> list[Path]:
        """Data files that may hold one of these keys.

        Args:
            keys: The columns `event_id` and `event_date`; few distinct dates, at least one row.
        """
        # The engine's own pruning takes 60 ms where the table has 11,000 files, this takes 5.
        actions = self._actions()
        spans = keys.group_by(PARTITION).aggregate([("event_id", "min"), ("event_id", "max")])
        days = actions.column(f"partition.{PARTITION}") if actions.num_rows else None
        found: list[str] = []
        for span in spans.to_pylist() if days is not None else ():
            of_day = actions.filter(pc.equal(days, pa.scalar(span[PARTITION])))
            found += _reaching(of_day, span["event_id_min"], span["event_id_max"])
        return [self.path / path for path in found]


def _reaching(actions: ArrowTable, least: str, most: str) -> list[str]:
    """Paths of the files whose ids reach into this span; those of unknown ids too."""
    if {"min.event_id", "max.event_id"}.issubset(actions.column_names):
        is_below = pc.less(actions.column("max.event_id"), pa.scalar(least))
        is_above = pc.greater(actions.column("min.event_id"), pa.scalar(most))
        is_outside = pc.or_(pc.fill_null(is_below, False), pc.fill_null(is_above, False))
        actions = actions.filter(pc.invert(is_outside))
    return list(actions.column("path").to_pylist())
