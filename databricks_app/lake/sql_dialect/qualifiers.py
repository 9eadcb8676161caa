"""Resolves qualified column names by the rules of Spark.

The local tables have no catalog and no schema, so `schema.table.column` becomes `table.column`.
This is done only if FROM names the table with that schema and without an alias; Spark resolves such
a name. Spark refuses `alias.alias.column`, and a schema that is neither in FROM nor the schema of
the session. The schema of the session is unknown here. `column.field` and `table.column.field`
stay. Pure except for reading the definitions. Imports the SQL parser: import this module where it
is used.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from databricks_app.errors import QueryError
from databricks_app.lake.sql_dialect.definitions import tables, views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class _Relation:
    """A table, view or subquery in a FROM clause; all names are lower case.

    Attributes:
        name: The alias, or the name of the table.
        schema: Schema, or catalog and schema, as in FROM. None if an alias hides them.
        columns: Names of its columns; None if the query does not show them.
    """

    name: str
    schema: tuple[str, ...] | None
    columns: frozenset[str] | None

    def matches(self, qualifier: tuple[str, ...]) -> bool:
        """Whether these parts name it with its schema; the last part is the table."""
        if not self.schema:
            return False
        return qualifier == (*self.schema, self.name)[-len(qualifier) :]

    def may_have(self, column: str) -> bool:
        """Whether it has this column, or its columns are unknown."""
        return self.columns is None or column in self.columns


def remove_schemas(tree: exp.Expr) -> None:
    """Remove catalog and schema from the names of tables, and of the columns of such a table.

    Raises:
        QueryError: Spark cannot resolve the name of a column. Or FROM names a table with a schema,
            and WITH defines the same name.
    """
    # Decide everything before the first change, because the decision needs the schemas in FROM.
    changes = [(column, _column_parts(column)) for column in tree.find_all(exp.Column)]
    for column, parts in changes:
        # The parts from right to left; a part that is absent is None.
        for key, part in itertools.zip_longest(("this", "table", "db", "catalog"), reversed(parts)):
            column.set(key, part)
    for table in tree.find_all(exp.Table):
        if table.db and _with_clause(table, table.name.lower()) is not None:
            raise QueryError(
                f"WITH defines {table.name}, and the query also reads `{_text(table.parts)}`: use "
                "another name in WITH."
            )
        table.set("db", None)
        table.set("catalog", None)


def _column_parts(column: exp.Column) -> Sequence[exp.Expr]:
    """Return the parts of a column name without catalog and schema."""
    # Spark takes the longest prefix that names a table. Parts after the column are its fields.
    parts = column.parts
    names = [part.name.lower() for part in parts]
    is_star = isinstance(column.this, exp.Star)
    visible = [each for query in _queries_around(column) for each in _relations(query)]
    for length in range(len(names) - 1, 1, -1):
        qualifier = tuple(names[:length])
        is_whole = length == len(names) - 1
        for each in visible:
            if each.matches(qualifier) and (is_whole or each.may_have(names[length])):
                return parts[length - 1 :]
    if not _is_refused(column, names, visible, is_star=is_star):
        return parts
    raise _unresolved(parts, visible)


def _is_refused(
    column: exp.Column, names: Sequence[str], visible: Sequence[_Relation], *, is_star: bool
) -> bool:
    """Whether a name without a schema cannot be a column, or DuckDB could resolve it otherwise."""
    # DuckDB has its own schemas, such as `main`, and reads the name of a table as a row of it.
    named = [each for each in visible if each.name == names[0]]
    if is_star:
        return len(names) > 2
    query = column.find_ancestor(exp.Select)
    aliases = {one.alias.lower() for one in query.selects} if query else set()
    if names[0] in aliases or any(names[0] in (each.columns or ()) for each in visible):
        return False
    if len(names) == 1:
        return bool(named) and not any(each.may_have(names[0]) for each in visible)
    if named:
        return len(names) > 2 and not any(each.may_have(names[1]) for each in named)
    return len(names) > 2 or any(each.name == names[1] for each in visible)


def _unresolved(parts: Sequence[exp.Expr], visible: Sequence[_Relation]) -> QueryError:
    by_name = {each.name: each for each in visible if each.name}
    table = parts[-2] if len(parts) > 1 else None
    found = by_name.get(table.name.lower()) if table else None
    if len(parts) == 1:
        advice = f"it is the name of a table, so write `{parts[0].name}.` and a column"
    elif table is not None and found is not None:
        advice = f"write `{_text((table, parts[-1]))}`"
        shorter = (*found.schema, found.name) if found.schema is not None else ()
        if shorter and shorter == tuple(part.name.lower() for part in parts[:-1])[-len(shorter) :]:
            advice += f", or read FROM `{_text(parts[:-1])}`"
    else:
        known = ", ".join(sorted(by_name)) or "no table"
        advice = f"write the name of the table as in FROM ({known}), a dot and the column"
    return QueryError(f"Databricks finds no column `{_text(parts)}` here: {advice}.")


def _text(parts: Sequence[exp.Expr]) -> str:
    return ".".join("*" if isinstance(part, exp.Star) else part.name for part in parts)


def _queries_around(node: exp.Expr) -> Iterator[exp.Query]:
    """Yield the query of a node, then the outer queries whose columns it may use."""
    query = node.find_ancestor(exp.Select, exp.SetOperation)
    while query is not None:
        yield query
        around = query.parent
        while isinstance(around, exp.Subquery | exp.SetOperation | exp.Paren):
            around = around.parent
        # A subquery in FROM or WITH cannot use columns of the queries around it.
        if around is None or isinstance(around, exp.From | exp.Join | exp.CTE):
            return
        query = around.find_ancestor(exp.Select)


def _relations(query: exp.Expr) -> list[_Relation]:
    """Return the relations in the FROM clause; a UNION has none of its own."""
    if not isinstance(query, exp.Select):
        return []
    from_ = query.args.get("from_")
    direct = ([from_.this] if from_ else []) + _joined(query)
    return [
        _Relation(source.alias_or_name.lower(), _schema(source), _columns(source))
        for each in direct
        for source in _sources(each)
    ]


def _joined(node: exp.Expr) -> list[exp.Expr]:
    joins = [join.this for join in node.args.get("joins") or ()]
    return [*joins, *(node.args.get("laterals") or ())]


def _sources(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield a table, and the tables that are joined to it inside parentheses."""
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias:
        yield from _sources(node.this)
    else:
        yield node
    for joined in _joined(node):
        yield from _sources(joined)


def _schema(source: exp.Expr) -> tuple[str, ...] | None:
    if not isinstance(source, exp.Table) or source.alias or _defined(source) is not None:
        return None
    return tuple(part.lower() for part in (source.catalog, source.db) if part)


def _columns(source: exp.Expr) -> frozenset[str] | None:
    if names := source.alias_column_names:
        return frozenset(name.lower() for name in names)
    if isinstance(source, exp.Table):
        found = _defined(source)
        if found is not None:
            return _columns(found)
        name = source.name.lower()
        known = {table.name: frozenset(table.column_names) for table in tables()}
        known |= {view.name: frozenset(view.column_comments) for view in views()}
        return known.get(name)
    if isinstance(source, exp.Subquery | exp.CTE | exp.Lateral):
        query = source.this
        if isinstance(query, exp.Subquery):
            return _columns(query)
        return _selected(query) if isinstance(query, exp.Query) else None
    return None


def _selected(query: exp.Query) -> frozenset[str] | None:
    """Return the column names of a query; a star stands for all columns of its relations."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this  # the first query of a UNION defines the names
    names = {one.alias_or_name.lower() for one in query.selects if not one.is_star}
    if any(one.is_star for one in query.selects):
        for each in _relations(query):
            if each.columns is None:
                return None
            names |= each.columns
    return frozenset(names)


def _defined(table: exp.Table) -> exp.CTE | None:
    """Return the part of WITH that a table in FROM refers to."""
    return None if table.db else _with_clause(table, table.name.lower())


def _with_clause(node: exp.Expr, name: str) -> exp.CTE | None:
    """Return the part of WITH that a name means at this node."""
    child, around = node, node.parent
    while around is not None:
        if isinstance(around, exp.With):
            # A part of WITH sees only the parts before it.
            parts = around.expressions
            visible = parts[: next(n for n, part in enumerate(parts) if part is child)]
        elif isinstance(around, exp.Query) and not isinstance(child, exp.With):
            visible = around.ctes
        else:
            visible = []
        for part in visible:
            if part.alias.lower() == name:
                return part  # type: ignore[no-any-return]  # sqlglot's children are untyped
        child, around = around, around.parent
    return None
