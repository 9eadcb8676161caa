"""Column names, checked by Spark's rules before DuckDB resolves them: DuckDB is more lenient.

DuckDB accepts the name of a table as its row, and a subquery in FROM that reads the table beside it
without LATERAL. Spark refuses both. So does the resolver of sqlglot, which gets the columns of each
table. A qualified column in USING is found in the text, because the parser drops the qualifier.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify

from tests.doubles.warehouse.failures import SqlFailure

if TYPE_CHECKING:
    import duckdb
    from sqlglot import exp

_COLUMNS = "SELECT database_name, schema_name, table_name, column_name FROM duckdb_columns()"
# The catalog and schema of a DuckDB view that was created without a catalog.
_HOME = ("temp", "main")


_QUALIFIED_USING = re.compile(r"\bUSING\s*\(\s*[^()\s']+\.[^()']*\)", re.IGNORECASE)


def require_plain_using(sql: str) -> None:
    """Check that no USING has a qualified column, as in `USING (table.column)`.

    Raises:
        SqlFailure: One has.
    """
    if _QUALIFIED_USING.search(sql):
        raise SqlFailure("PARSE_SYNTAX_ERROR", "USING does not allow a qualified column.", "42601")


def resolve(tree: exp.Expr, connection: duckdb.DuckDBPyConnection) -> None:
    """Check that every column of a query is one of a table in its FROM.

    Args:
        tree: The query over tables of the connection. It is not changed.
        connection: The connection that has the tables.

    Raises:
        SqlFailure: Spark would not find a column.
    """
    known: dict[str, dict[str, dict[str, dict[str, str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    for catalog, schema, table, column in connection.sql(_COLUMNS).fetchall():
        known[catalog][schema][table][column] = "unknown"
    catalog, schema = _HOME
    try:
        qualify(
            tree.copy(),
            dialect="databricks",
            catalog=catalog,
            db=schema,
            schema=dict(known),
        )
    except OptimizeError as error:
        text = str(error).splitlines()[0]
        raise SqlFailure("UNRESOLVED_COLUMN.WITH_SUGGESTION", text, "42703") from error
