"""Translates a Databricks query to DuckDB with the same result as on Databricks, or refuses it.

Only queries are accepted: SELECT, WITH, VALUES, SHOW TABLES, SHOW VIEWS, DESCRIBE. They can read
only the tables and views of `sql/`. Catalog and schema of tables are removed; for columns see
`qualifiers`. The session that runs the text must use the time zone UTC. Pure except for reading the
definitions. The SQL parser is imported at the first call.
"""

from __future__ import annotations

import difflib
import itertools
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from databricks_app.errors import QueryError
from databricks_app.lake.sql_dialect import functions
from databricks_app.lake.sql_dialect.definitions import tables, views

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlglot import Token, exp

_SHOW = re.compile(r"\s*SHOW\s+(TABLES|VIEWS)\s*(?:(?:IN|FROM)\s+[\w.`]+\s*)?;?\s*", re.IGNORECASE)
_BEGINNINGS = frozenset({"SELECT", "WITH", "VALUES", "FROM", "(", "DESCRIBE", "DESC"})


@dataclass(frozen=True, slots=True)
class Query:
    """A translated query.

    Attributes:
        text: The SQL for DuckDB.
        names: Tables and views of `sql/` that it reads, lower case.
    """

    text: str
    names: frozenset[str]


def duckdb_text(sql: str) -> str:
    """Return the DuckDB text of a Databricks query.

    Raises:
        QueryError: The text is not a query, cannot be parsed, names an unknown table, or uses
            something for which DuckDB would give another result than Databricks.
    """
    return duckdb_query(sql).text


@cache
def duckdb_type(databricks_type: str) -> str:
    """Return the DuckDB name of a Databricks type, e.g. `TIMESTAMPTZ` for `TIMESTAMP`."""
    from sqlglot import exp

    return exp.DataType.build(databricks_type, dialect="databricks").sql("duckdb")


@lru_cache(maxsize=256)
def duckdb_query(sql: str) -> Query:
    """Translate a query; see `duckdb_text`."""
    show = _SHOW.fullmatch(sql)
    if show:
        rows = [(view.name, view.comment) for view in views()]
        if show[1].upper() == "TABLES":
            rows = [(table.name, table.comment) for table in tables()] + rows
        return Query(_values(rows, ("name", "comment")), frozenset())
    tree = _parse(sql)
    from sqlglot import exp

    if isinstance(tree, exp.Describe):
        return _description(tree)
    if not isinstance(tree, exp.Query | exp.Values):
        raise QueryError("Only queries are accepted here, no statement that changes something.")
    return _query(tree)


def _query(tree: exp.Expr) -> Query:
    from sqlglot import exp

    from databricks_app.lake.sql_dialect.rewrites import rewrite

    for hint in list(tree.find_all(exp.Hint)):
        hint.pop()
    _refuse_unsupported(tree)
    names = _resolve_names(tree)
    rewrite(tree)
    return Query(tree.sql("duckdb", comments=False), names)


def _parse(sql: str) -> exp.Expr:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        _refuse_other_statements(sql)
        return sqlglot.parse_one(sql, dialect="databricks")
    except SqlglotError as error:
        raise QueryError(f"The SQL cannot be parsed{_position(error)}.") from error


def _refuse_other_statements(sql: str) -> None:
    # Before parsing, because the parser logs the text of a statement that it does not know.
    from sqlglot import TokenType
    from sqlglot.dialects import Databricks

    tokens = Databricks().tokenize(sql)
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens = tokens[:-1]
    first = tokens[0].text if tokens else "nothing"
    if first.upper() not in _BEGINNINGS:
        raise QueryError(
            "Only queries are accepted here: a query begins with SELECT, WITH, VALUES, SHOW TABLES "
            f"or DESCRIBE, not with {first[:20]}."
        )
    if any(token.token_type is TokenType.SEMICOLON for token in tokens):
        raise QueryError("Only one statement is accepted at a time.")
    _refuse_qualified_using(tokens)


def _refuse_qualified_using(tokens: list[Token]) -> None:
    # Before parsing, because the parser silently drops the table in `USING (table.column)`. On
    # Databricks this is a syntax error.
    from sqlglot import TokenType

    inside = False
    for before, token in itertools.pairwise(tokens):
        if before.token_type is TokenType.USING and token.token_type is TokenType.L_PAREN:
            inside = True
        elif token.token_type is TokenType.R_PAREN:
            inside = False
        elif inside and token.token_type is TokenType.DOT:
            raise QueryError(
                f"USING accepts only names of columns: write the column without `{before.text}.`."
            )


def _position(error: Exception) -> str:
    """Return where and why parsing failed, without a full stop."""
    details = getattr(error, "errors", None)
    if not details:
        return f": {error}".rstrip(".")
    first = details[0]
    # The text of the parser may end with the representation of whole token objects.
    reason = re.sub(r"( but got| for)? <.*", "", str(first["description"])).rstrip(". ")
    near = f" near {first['highlight']!r}" if first.get("highlight") else ""
    return f" at line {first['line']}, column {first['col']}{near}: {reason}"


def _refuse_unsupported(tree: exp.Expr) -> None:
    from sqlglot import exp

    for node in tree.walk():
        kind = type(node).__name__.lstrip("_")
        if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
            if node.name.lower() not in functions.RENAMED:
                raise _refusal(node.name.lower())
        elif isinstance(node, exp.Func) and kind not in functions.ALLOWED:
            if not (isinstance(node, exp.Exists) and isinstance(node.this, exp.Query)):
                raise _refusal(node.sql_name().lower().lstrip("_"))
        elif kind in functions.REFUSED_SYNTAX or isinstance(node, exp.DML | exp.Create):
            raise _refusal(kind.lower())
        elif isinstance(node, exp.Lateral) and node.args.get("outer"):
            raise _refusal("lateral view outer")
        elif isinstance(node, exp.FromTimeZone):
            raise _refusal("to_utc_timestamp")


def _refusal(what: str) -> QueryError:
    instead = functions.INSTEAD.get(what)
    return QueryError(
        f"The local engine may give another result for `{what}` than Databricks, so it is refused"
        + (f"; use {instead}." if instead else ". Run the query on Databricks, or without it.")
    )


def _resolve_names(tree: exp.Expr) -> frozenset[str]:
    """Remove catalog and schema from all names; return the tables and views that are read."""
    from sqlglot import exp

    from databricks_app.lake.sql_dialect.qualifiers import remove_schemas

    used = {name.name.lower() for name in tree.find_all(exp.Table) if name.name}
    known = {table.name for table in tables()} | {view.name for view in views()}
    local = {expression.alias.lower() for expression in tree.find_all(exp.CTE)}
    if unknown := sorted(used - known - local):
        ordered = sorted(known)
        close = difflib.get_close_matches(unknown[0], ordered, n=1)
        guess = f" Did you mean {close[0]}?" if close else ""
        raise QueryError(
            f"There is no table or view {unknown[0]}.{guess} There are: {', '.join(ordered)}."
        )
    remove_schemas(tree)
    return frozenset(used & known)


def _description(tree: exp.Describe) -> Query:
    from sqlglot import exp

    if not isinstance(tree.this, exp.Table):
        raise QueryError("DESCRIBE needs the name of a table or view.")
    name = next(iter(_resolve_names(tree)))
    columns = ("col_name", "data_type", "comment")
    for table in tables():
        if table.name == name:
            rows = ((column.name, column.type, column.comment) for column in table.columns)
            return Query(_values(rows, columns), frozenset())
    comments = next(view.column_comments for view in views() if view.name == name)
    types = "replace(replace(column_type, 'VARCHAR', 'STRING'), ' WITH TIME ZONE', '')"
    text = (
        f"SELECT column_name AS col_name, {types} AS data_type, comment "  # noqa: S608  # names of sql/
        f"FROM (DESCRIBE {name}) LEFT JOIN ({_values(comments.items(), ('col_name', 'comment'))})"
        " ON col_name = column_name"
    )
    return Query(text, frozenset({name}))


def _values(rows: Iterable[tuple[str, ...]], columns: tuple[str, ...]) -> str:
    def literal(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    quoted = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    return f"SELECT * FROM (VALUES {quoted}) AS listing({', '.join(columns)})"  # noqa: S608  # quoted
