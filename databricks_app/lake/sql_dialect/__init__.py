"""Reads the definitions in `sql/` and translates Databricks queries to DuckDB.

`tables`, `views` and `statements` return the definitions of `sql/`, the single source for tables,
columns and views. `duckdb_text` translates a query for the local tables. No engine is started and
no data is read. The SQL parser is imported at the first call.
"""

from databricks_app.lake.sql_dialect.definitions import (
    ColumnDefinition,
    Statement,
    Table,
    View,
    sql_folder,
    statements,
    table,
    tables,
    views,
)
from databricks_app.lake.sql_dialect.duckdb import Query, duckdb_query, duckdb_text, duckdb_type

__all__ = [
    "ColumnDefinition",
    "Query",
    "Statement",
    "Table",
    "View",
    "duckdb_query",
    "duckdb_text",
    "duckdb_type",
    "sql_folder",
    "statements",
    "table",
    "tables",
    "views",
]
