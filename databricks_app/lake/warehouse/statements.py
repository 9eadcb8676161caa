"""The SQL statements that the loader sends to a warehouse.

Tables and columns are those of `sql/`; catalog and schema are set in the session. The only value of
an event in a statement is its date. Ids and all other values are in staged files or parameters.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from databricks_app.events.workspaces import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from databricks_app.lake.renaming import Rename
    from databricks_app.lake.sql_dialect import ColumnDefinition, Table

KEY = ("event_id", "event_date")
STORED_COLUMNS = (
    *KEY,
    "received_at",
    "target_table",
    "unrouted_reason",
    "body",
    "body_encoding",
    "workspace",
    "body_sha256",
)
"""The columns of `StoredRow`, after the key."""
COUNTED_COLUMNS = (*KEY, "metric")
"""What is needed to count the rows of other loads by metric."""

EXISTING_COLUMNS = """SELECT table_name, column_name
FROM information_schema.columns
WHERE table_schema = :schema_name"""
"""Every table and view of the schema with its columns."""

# Files can be staged long before the commit, and a reader that polls by `loaded_at` needs the time
# of the commit.
_LOADED_AT = "CAST(:loaded_at AS TIMESTAMP) AS `loaded_at`"


def merge(table: Table, path: str, dates: Iterable[date]) -> str:
    """Insert the staged rows whose key is not in the table; a repetition inserts nothing.

    `:loaded_at` is the `loaded_at` of the rows; that of the files is not read.

    Args:
        table: The target.
        path: The staged Parquet file, or a pattern that matches several, see `staging.pattern`;
            all rows are distinct by key and have the columns of the table.
        dates: Every `event_date` in the files.
    """
    names = ", ".join(_quoted(name) for name in table.column_names)
    values = ", ".join(f"staged.{_quoted(name)}" for name in table.column_names)
    chosen = ", ".join(
        _LOADED_AT if name == "loaded_at" else _quoted(name) for name in table.column_names
    )
    return (
        f"MERGE INTO {_quoted(table.name)} AS target\n"  # noqa: S608  # names of sql/
        f"USING (\n  SELECT {chosen}\n  FROM {_staged(path, table.columns)}\n) AS staged\n"
        f"ON {_same_key(dates)}\n"
        f"WHEN NOT MATCHED THEN INSERT ({names})\nVALUES ({values})"
    )


def rows_of_other_loads(
    table: Table, path: str, dates: Iterable[date], columns: Sequence[str]
) -> str:
    """Select the rows with a staged key that other loads wrote; `:batch_id` is this load."""
    keys = [column for column in table.columns if column.name in KEY]
    names = ", ".join(_quoted(name) for name in KEY)
    return (
        f"SELECT {', '.join(f'target.{_quoted(name)}' for name in columns)}\n"  # noqa: S608  # names of sql/
        f"FROM {_quoted(table.name)} AS target\n"
        f"INNER JOIN (\n  SELECT {names}\n  FROM {_staged(path, keys)}\n) AS staged\n"
        f"ON {_same_key(dates)}\n"
        "WHERE target.`batch_id` IS NULL OR target.`batch_id` <> :batch_id"
    )


def staged_rows(table: Table, path: str) -> str:
    """Count the rows of staged files. A file that is missing has none."""
    keys = [column for column in table.columns if column.name in KEY]
    return f"SELECT count(*) AS staged_rows\nFROM {_staged(path, keys)}"


def workspaces_of(fingerprints: Iterable[str]) -> str:
    """Select the pairs of key and workspace in the raw rows that name a table.

    Args:
        fingerprints: The keys, 8 hex digits each.
    """
    listed = ", ".join(_text(one) for one in sorted(fingerprints))
    return (
        f"SELECT DISTINCT key_fingerprint, coalesce(workspace, '{DEFAULT}') AS workspace\n"
        "FROM webhook_raw_events\n"
        f"WHERE key_fingerprint IN ({listed}) AND target_table IS NOT NULL"
    )


def newest_loaded_at(tables: Iterable[Table]) -> str:
    """Select the newest `loaded_at` of all tables; NULL if none has a row."""
    each = "\n  UNION ALL\n".join(
        f"  SELECT max(`loaded_at`) AS newest_at FROM {_quoted(table.name)}"  # noqa: S608  # names of sql/
        for table in tables
    )
    return f"SELECT max(newest_at) AS newest_at FROM (\n{each}\n) AS newest"  # noqa: S608  # as above


def days_to_rename(rename: Rename) -> str:
    """Select the days of the raw rows that a rename changes."""
    return (
        f"SELECT DISTINCT `event_date` FROM `webhook_raw_events` AS target\nWHERE {_of(rename)}"  # noqa: S608  # names and hex digits, in quotes
        "\nORDER BY `event_date`"
    )


def rows_to_rename(rename: Rename, tables: Iterable[Table]) -> str:
    """Count the rows of each table that a rename changes; the first table is the raw table."""
    raw, *typed = tables
    counts = [
        f"SELECT '{raw.name}' AS name, count(*) AS events FROM `{raw.name}` AS target\n"  # noqa: S608  # as above
        f"WHERE {_of(rename)}"
    ]
    counts += [
        f"SELECT '{one.name}' AS name, count(*) AS events FROM `{one.name}` AS typed\n"  # noqa: S608  # as above
        f"WHERE {_is_old('typed', rename)} AND EXISTS (SELECT 1 FROM `{raw.name}` AS target\n"
        "  WHERE target.`event_id` = typed.`event_id` AND target.`event_date` = typed.`event_date`"
        f" AND {_of(rename)})"
        for one in typed
    ]
    return "\nUNION ALL\n".join(counts)


def rename_typed(table: Table, rename: Rename, dates: Iterable[date]) -> str:
    """Change the typed rows of some days; a repetition changes nothing."""
    days = _days(dates)
    return (
        f"MERGE INTO {_quoted(table.name)} AS typed\n"  # noqa: S608  # as above
        "USING (\n  SELECT DISTINCT `event_id`, `event_date`\n"
        "  FROM `webhook_raw_events` AS target\n"
        f"  WHERE target.`event_date` IN ({days}) AND {_of(rename)}\n) AS renamed\n"
        "ON typed.`event_id` = renamed.`event_id` AND typed.`event_date` = renamed.`event_date`"
        f" AND typed.`event_date` IN ({days}) AND {_is_old('typed', rename)}\n"
        f"WHEN MATCHED THEN UPDATE SET `workspace` = {_text(rename.new)}"
    )


def rename_raw(rename: Rename, dates: Iterable[date]) -> str:
    """Change the raw rows of some days. Run it after the typed tables."""
    return (
        "UPDATE `webhook_raw_events` AS target\n"
        f"SET `workspace` = {_text(rename.new)}\n"
        f"WHERE target.`event_date` IN ({_days(dates)}) AND {_of(rename)}"
    )


def _of(rename: Rename) -> str:
    """The condition for raw rows (alias `target`) that a rename changes."""
    listed = ", ".join(_text(one) for one in sorted(rename.fingerprints))
    return f"target.`key_fingerprint` IN ({listed}) AND {_is_old('target', rename)}"


def _is_old(alias: str, rename: Rename) -> str:
    # Rows that are older than the column have no name.
    return f"coalesce({alias}.`workspace`, '{DEFAULT}') = {_text(rename.old)}"


def add_columns(table: Table, missing: Iterable[str]) -> str:
    """Add the missing columns to a table; they are NULL in existing rows."""
    wanted = set(missing)
    added = ", ".join(
        f"{_quoted(column.name)} {column.type} COMMENT {_text(column.comment)}"
        for column in table.columns
        if column.name in wanted
    )
    return f"ALTER TABLE {_quoted(table.name)} ADD COLUMNS ({added})"


def _staged(path: str, columns: Iterable[ColumnDefinition]) -> str:
    """The rows of a staged file, with the types of the table instead of inferred ones."""
    schema = ", ".join(f"{column.name} {column.type}" for column in columns)
    return f"read_files({_text(path)}, format => 'parquet', schema => {_text(schema)})"


def _same_key(dates: Iterable[date]) -> str:
    # Without literal dates the warehouse would read the whole table to find a key.
    return (
        "target.`event_id` = staged.`event_id` AND target.`event_date` = staged.`event_date`"
        f" AND target.`event_date` IN ({_days(dates)})"
    )


def _days(dates: Iterable[date]) -> str:
    return ", ".join(f"DATE'{day.isoformat()}'" for day in sorted(set(dates)))


def _quoted(name: str) -> str:
    return f"`{name}`"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
