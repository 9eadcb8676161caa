"""The Databricks SQL in `sql/`, the one truth about tables, columns and views, as values.

Reads the definitions (`tables`, `views`, `statements`) and turns a Databricks query into
DuckDB text (`duckdb_text`) for the local tables. Knows no engine and no data; the SQL parser
is imported at the first call.
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
