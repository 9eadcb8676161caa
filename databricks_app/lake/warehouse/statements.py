"""The SQL that a warehouse is sent by the loader, as text.

Names of tables and columns are those of `sql/`; catalog and schema are the session's. Of an event
only its date is ever part of a text: ids and all other values travel in staged files or as
parameters. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from databricks_app.events.workspaces import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from databricks_app.lake.sql_dialect import ColumnDefinition, Table

KEY = ("event_id", "event_date")
HELD_COLUMNS = (
    *KEY,
    "received_at",
    "target_table",
    "unrouted_reason",
    "body",
    "body_encoding",
    "workspace",
    "body_sha256",
)
"""Columns of the raw table that decide about the typed row of an event it held before."""

COLUMNS_THERE = """SELECT table_name, column_name
FROM information_schema.columns
WHERE table_schema = :schema_name"""
"""Every table and view of the schema with its columns; the one look at what is there."""


def merge(table: Table, path: str, dates: Iterable[date]) -> str:
    """Insert the staged rows whose key the table lacks; running it again inserts nothing.

    Args:
        table: Where to.
        path: The staged Parquet file; distinct by key, with the table's columns.
        dates: Every `event_date` in it.
    """
    names = ", ".join(_quoted(name) for name in table.column_names)
    values = ", ".join(f"staged.{_quoted(name)}" for name in table.column_names)
    return (
        f"MERGE INTO {_quoted(table.name)} AS held\n"  # noqa: S608  # names of sql/
        f"USING (\n  SELECT {names}\n  FROM {_staged(path, table.columns)}\n) AS staged\n"
        f"ON {_same_key(dates)}\n"
        f"WHEN NOT MATCHED THEN INSERT ({names})\nVALUES ({values})"
    )


def held(table: Table, path: str, dates: Iterable[date], columns: Sequence[str]) -> str:
    """Columns of the staged keys' rows that other loads wrote; `:batch_id` names this one."""
    keys = [column for column in table.columns if column.name in KEY]
    names = ", ".join(_quoted(name) for name in KEY)
    return (
        f"SELECT {', '.join(f'held.{_quoted(name)}' for name in columns)}\n"  # noqa: S608  # names of sql/
        f"FROM {_quoted(table.name)} AS held\n"
        f"INNER JOIN (\n  SELECT {names}\n  FROM {_staged(path, keys)}\n) AS staged\n"
        f"ON {_same_key(dates)}\n"
        "WHERE held.`batch_id` IS NULL OR held.`batch_id` <> :batch_id"
    )


def unrenamed(fingerprints: Iterable[str]) -> str:
    """Which of these keys (8 hex digits each) have rows of the workspace `default`."""
    listed = ", ".join(_text(one) for one in sorted(fingerprints))
    return (
        "SELECT DISTINCT key_fingerprint FROM webhook_raw_events\n"  # noqa: S608  # hex digits
        f"WHERE key_fingerprint IN ({listed}) AND coalesce(workspace, '{DEFAULT}') = '{DEFAULT}'"
    )


def newest_loaded_at(tables: Iterable[Table]) -> str:
    """The newest `loaded_at` of all tables; NULL if none has a row."""
    each = "\n  UNION ALL\n".join(
        f"  SELECT max(`loaded_at`) AS newest_at FROM {_quoted(table.name)}"  # noqa: S608  # names of sql/
        for table in tables
    )
    return f"SELECT max(newest_at) AS newest_at FROM (\n{each}\n) AS newest"  # noqa: S608  # as above


def add_columns(table: Table, missing: Iterable[str]) -> str:
    """Give an existing table the columns it lacks; they are NULL in the rows it has."""
    wanted = set(missing)
    added = ", ".join(
        f"{_quoted(column.name)} {column.type} COMMENT {_text(column.comment)}"
        for column in table.columns
        if column.name in wanted
    )
    return f"ALTER TABLE {_quoted(table.name)} ADD COLUMNS ({added})"


def _staged(path: str, columns: Iterable[ColumnDefinition]) -> str:
    """The rows of a staged file, with the types of the table and not what the reader guesses."""
    schema = ", ".join(f"{column.name} {column.type}" for column in columns)
    return f"read_files({_text(path)}, format => 'parquet', schema => {_text(schema)})"


def _same_key(dates: Iterable[date]) -> str:
    # Without literal dates the whole table would be read to find a key.
    days = ", ".join(f"DATE'{day.isoformat()}'" for day in sorted(set(dates)))
    return (
        "held.`event_id` = staged.`event_id` AND held.`event_date` = staged.`event_date`"
        f" AND held.`event_date` IN ({days})"
    )


def _quoted(name: str) -> str:
    return f"`{name}`"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
