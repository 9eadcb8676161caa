"""Merges several data files of one day into one, in parts.

The compaction of the engine cannot be interrupted, and a load has to wait for it: 100 MB took 1.7 s
on two idle cores and 600 MB of memory. Here a part is some thousand rows, so that the caller can
stop after each part and continue later. Only the last part changes the log. The commit moves rows
and changes none. It fails if the open version is not the newest.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from databricks_app.errors import LakeError
from databricks_app.lake.arrow_columns import ArrowSchema, ArrowTable
from databricks_app.lake.local.fsync import Sync, log_entry
from databricks_app.lake.local.merge_plan import CLOSED, PlannedMerge, StoredFile
from databricks_app.lake.local.table_handle import PARTITION, STATISTICS, TableHandle
from databricks_app.runtime import crash_points

# Size of one part, about 20 ms. The limit in bytes is for rows with long texts.
_PART_ROWS = 16_384
_PART_BYTES = 8 << 20
# A column of a large file is read in pieces of this size.
_BUFFER_BYTES = 1 << 20
# A row group is written when this number of rows, or of bytes in memory, is reached.
_GROUP_ROWS = 122_880
_GROUP_BYTES = 32 << 20
# Files are half as large as with the default of the engine. Its compactions use zstd as well.
_COMPRESSION = "zstd"
# Up to these Delta protocol versions a rewritten file needs no more than this module writes.
_READER, _WRITER = 1, 4


def can_merge(handle: TableHandle) -> bool:
    """Whether the table has no Delta features that this module does not support."""
    protocol = handle.delta.protocol()
    return protocol.min_reader_version <= _READER and protocol.min_writer_version <= _WRITER


@dataclass(frozen=True, slots=True)
class _Replacement:
    """Files of one day and the file that replaces them."""

    plan: PlannedMerge
    target: Path

    @staticmethod
    def of(handle: TableHandle, plan: PlannedMerge) -> _Replacement:
        prefix = CLOSED if plan.closes_day else "merged-"
        name = f"{PARTITION}={plan.day}/{prefix}{uuid4()}.parquet"
        return _Replacement(plan, handle.path / name)


def merge(
    handle: TableHandle, plans: Sequence[PlannedMerge], sync: Sync
) -> Generator[None, None, None]:
    """Merge the files of each plan, in one commit.

    Each step of the generator does one part. The last step commits, and the commit is durable. If
    the generator is closed earlier, its files are deleted.

    Raises:
        LakeError: Another program has changed the table.
        OSError: A file is missing, or the disk is full.
    """
    replacements = [_Replacement.of(handle, plan) for plan in plans]
    is_committed = False
    try:
        for one in replacements:
            yield from _rewrite(handle, one.plan.files, one.target, sync)
        crash_points.reach("lake.after_merge")
        # Another program may have merged these files in the meantime.
        current = handle.stored_paths()
        if all(file.path in current for plan in plans for file in plan.files):
            _commit(handle, _log_entry_text(replacements), sync)
            is_committed = True
    finally:
        if not is_committed:
            for one in replacements:
                one.target.unlink(missing_ok=True)
    crash_points.reach("lake.after_compact")
    handle.update()
    handle.sync()
    crash_points.reach("lake.after_compact_sync")


def _rewrite(
    handle: TableHandle, files: Sequence[StoredFile], target: Path, sync: Sync
) -> Generator[None, None, None]:
    schema = _file_schema(handle)
    with pq.ParquetWriter(target, schema, compression=_COMPRESSION, compression_level=1) as writer:
        waiting: list[ArrowTable] = []
        for file in files:
            with pq.ParquetFile(handle.path / file.path, buffer_size=_BUFFER_BYTES) as source:
                for batch in source.iter_batches(_rows_per_part(source.metadata)):
                    waiting.append(_with_all_columns(batch, schema))
                    rows = sum(one.num_rows for one in waiting)
                    memory = sum(int(one.nbytes) for one in waiting)
                    if rows >= _GROUP_ROWS or memory >= _GROUP_BYTES:
                        _write_group(writer, waiting)
                        # Group by group: one sync at the end would take long.
                        sync(target)
                    yield
        _write_group(writer, waiting)
    for path in (target, target.parent):
        sync(path)
    yield


def _rows_per_part(metadata: pq.FileMetaData) -> int:
    size = sum(metadata.row_group(one).total_byte_size for one in range(metadata.num_row_groups))
    fitting = _PART_BYTES * metadata.num_rows // max(size, 1)
    return max(1, min(int(fitting), _PART_ROWS))


def _file_schema(handle: TableHandle) -> ArrowSchema:
    """Return the columns of a data file: all but the date, which is in the path."""
    schema = pa.schema(handle.delta.schema().to_arrow())
    return pa.schema(
        pa.field(field.name, field.type, field.nullable)
        for field in schema
        if field.name != PARTITION
    )


def _with_all_columns(batch: pa.RecordBatch, schema: ArrowSchema) -> ArrowTable:
    """Add the columns that the table got after the file was written; they are NULL."""
    have = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in have
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _write_group(writer: pq.ParquetWriter, waiting: list[ArrowTable]) -> None:
    if waiting:
        rows = pa.concat_tables(waiting)
        writer.write_table(rows, row_group_size=rows.num_rows)
        waiting.clear()


def _commit(handle: TableHandle, text: str, sync: Sync) -> None:
    """Write the log entry that follows the open version."""
    entry = log_entry(handle.path, handle.version + 1)
    unfinished = entry.with_name(f"{entry.name}#0")
    unfinished.write_text(text, encoding="utf-8")
    try:
        sync(unfinished)
        # Unlike a rename, a link never replaces an existing log entry.
        os.link(unfinished, entry)
    except FileExistsError as error:
        raise LakeError(
            f"{handle.name}: another program changed the table at the same time. Only one loader "
            "may run: stop the other one."
        ) from error
    finally:
        # After the link nothing may fail, or the caller would delete the files of the commit. A
        # file that stays here is deleted later as an unfinished file.
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _log_entry_text(replacements: Sequence[_Replacement]) -> str:
    """Return the text of the log entry. Its `dataChange` is false: no row is changed."""
    now = time.time_ns() // 1_000_000
    commit_info = {"timestamp": now, "operation": "OPTIMIZE", "operationParameters": {}}
    actions: list[dict[str, object]] = [{"commitInfo": commit_info}]
    for one in replacements:
        actions += _removed(one.plan, now)
        actions.append(_added(one, now))
    return "".join(json.dumps(action) + "\n" for action in actions)


def _removed(plan: PlannedMerge, now: int) -> list[dict[str, object]]:
    return [
        {
            "remove": {
                "path": file.path,
                "deletionTimestamp": now,
                "dataChange": False,
                "extendedFileMetadata": True,
                "partitionValues": {PARTITION: plan.day.isoformat()},
                "size": file.size,
            }
        }
        for file in plan.files
    ]


def _added(one: _Replacement, now: int) -> dict[str, object]:
    return {
        "add": {
            "path": f"{one.target.parent.name}/{one.target.name}",
            "partitionValues": {PARTITION: one.plan.day.isoformat()},
            "size": one.target.stat().st_size,
            "modificationTime": now,
            "dataChange": False,
            "stats": json.dumps(_statistics(pq.read_metadata(one.target))),
        }
    }


def _statistics(metadata: pq.FileMetaData) -> dict[str, object]:
    """Return the statistics of the new file, for the same columns as in files of the engine."""
    minimums: dict[str, str] = {}
    maximums: dict[str, str] = {}
    nulls: dict[str, int] = {}
    for place in range(metadata.num_columns):
        name = metadata.schema.column(place).path
        if name not in STATISTICS:
            continue
        groups = [metadata.row_group(one).column(place) for one in range(metadata.num_row_groups)]
        found = [group.statistics for group in groups]
        if not all(one is not None and one.has_null_count for one in found):
            continue
        nulls[name] = sum(one.null_count for one in found)
        valued = [one for one in found if one.num_values]
        if valued and all(one.has_min_max for one in valued):
            minimums[name] = _statistics_value(min(one.min for one in valued))
            maximums[name] = _statistics_value(max(one.max for one in valued))
    return {
        "numRecords": metadata.num_rows,
        "minValues": minimums,
        "maxValues": maximums,
        "nullCount": nulls,
    }


def _statistics_value(value: str | datetime | date) -> str:
    # The Delta protocol truncates the times of statistics to milliseconds.
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.removesuffix("+00:00") + "Z"
    return str(value)
