"""Which table a qualified column name means, by the rules of Spark.

The local tables have no catalog and no schema, so `schema.table.column` becomes `table.column`.
That is done only where FROM names the table with that schema and without an alias. Spark resolves
such a name. It refuses `alias.alias.column`, and a schema that is neither in FROM nor the
session's; the session's is unknown here. `column.field` and `table.column.field` stay as they are.
Pure but for the definitions. Imports the SQL parser: import it where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from databricks_app.errors import QueryError
from databricks_app.lake.sql_dialect.definitions import tables, views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class _Relation:
    """What a FROM clause offers; all names are lower case.

    Attributes:
        name: The alias, or the name of the table.
        schema: Schema, or catalog and schema, as FROM gives them. None where an alias hides them.
        columns: None where the text does not say.
    """

    name: str
    schema: tuple[str, ...] | None
    columns: frozenset[str] | None

    def is_named(self, qualifier: tuple[str, ...]) -> bool:
        """Whether these parts, the table last, name it with its schema."""
        if not self.schema:
            return False
        return qualifier == (*self.schema, self.name)[-len(qualifier) :]

    def may_have(self, column: str) -> bool:
        """Whether the text does not rule this column out."""
        return self.columns is None or column in self.columns


def remove_schemas(tree: exp.Expr) -> None:
    """Remove catalog and schema from the names of tables, and of the columns of such a table.

    Raises:
        QueryError: Spark does not resolve the name of a column; or a table is named with a
            schema, and WITH defines its name too.
    """
    # All is decided before anything changes: a table without its schema says nothing any more.
    changes = [(column, _column_parts(column)) for column in tree.find_all(exp.Column)]
    for column, parts in changes:
        for key, part in zip(("this", "table", "db", "catalog"), _padded(parts), strict=True):
            column.set(key, part)
    for table in tree.find_all(exp.Table):
        if table.db and _with_clause(table, table.name.lower()) is not None:
            raise QueryError(
                f"WITH defines {table.name}, and `{_text(table.parts)}` is read as well: give the "
                "part of WITH another name."
            )
        table.set("db", None)
        table.set("catalog", None)


def _padded(parts: Sequence[exp.Expr]) -> Iterator[exp.Expr | None]:
    """Four parts, the last one first."""
    yield from reversed(parts)
    yield from [None] * (4 - len(parts))


def _column_parts(column: exp.Column) -> Sequence[exp.Expr]:
    """The parts of a column's name without catalog and schema.

    Spark takes the longest prefix that names a table; what follows the column are fields of it.
    """
    parts = column.parts
    names = [part.name.lower() for part in parts]
    is_star = isinstance(column.this, exp.Star)
    visible = [each for query in _queries_around(column) for each in _relations(query)]
    for length in range(len(names) - 1, 1, -1):
        qualifier = tuple(names[:length])
        is_whole = length == len(names) - 1
        for each in visible:
            if each.is_named(qualifier) and (is_whole or each.may_have(names[length])):
                return parts[length - 1 :]
    if not _is_refused(column, names, visible, is_star=is_star):
        return parts
    raise _unresolved(parts, visible)


def _is_refused(
    column: exp.Column, names: Sequence[str], visible: Sequence[_Relation], *, is_star: bool
) -> bool:
    """Whether a name that starts with no schema cannot be a column, or might become another one.

    The engine has schemas of its own, such as `main`, and takes the name of a table for its row.
    """
    named = [each for each in visible if each.name == names[0]]
    if is_star:
        return len(names) > 2
    if _is_column(names[0], column, visible):
        return False
    if len(names) == 1:
        return bool(named) and not any(each.may_have(names[0]) for each in visible)
    if named:
        return len(names) > 2 and not any(each.may_have(names[1]) for each in named)
    return len(names) > 2 or any(each.name == names[1] for each in visible)


def _is_column(name: str, column: exp.Column, visible: Sequence[_Relation]) -> bool:
    """Whether the text shows a column, or an alias beside it, of that name."""
    query = column.find_ancestor(exp.Select)
    aliases = {one.alias.lower() for one in query.selects} if query else set()
    return name in aliases or any(name in (each.columns or ()) for each in visible)


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
        advice = f"write the name of the table as FROM has it ({known}), a dot and the column"
    return QueryError(f"Databricks finds no column `{_text(parts)}` here: {advice}.")


def _text(parts: Sequence[exp.Expr]) -> str:
    return ".".join("*" if isinstance(part, exp.Star) else part.name for part in parts)


def _queries_around(node: exp.Expr) -> Iterator[exp.Query]:
    """The query of a node, then those that it may refer to as a subquery of theirs."""
    query = node.find_ancestor(exp.Select, exp.SetOperation)
    while query is not None:
        yield query
        around = query.parent
        while isinstance(around, exp.Subquery | exp.SetOperation | exp.Paren):
            around = around.parent
        # A table in FROM or WITH knows nothing of what is beside or above it.
        if around is None or isinstance(around, exp.From | exp.Join | exp.CTE):
            return
        query = around.find_ancestor(exp.Select)


def _relations(query: exp.Expr) -> list[_Relation]:
    """What the FROM clause of a query offers; ORDER BY of a UNION has none."""
    if not isinstance(query, exp.Select):
        return []
    from_ = query.args.get("from_")
    given = ([from_.this] if from_ else []) + _joined(query)
    return [
        _Relation(source.alias_or_name.lower(), _schema(source), _columns(source))
        for each in given
        for source in _sources(each)
    ]


def _joined(node: exp.Expr) -> list[exp.Expr]:
    joins = [join.this for join in node.args.get("joins") or ()]
    return [*joins, *(node.args.get("laterals") or ())]


def _sources(node: exp.Expr) -> Iterator[exp.Expr]:
    """A table with those that are joined to it inside parentheses."""
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
        return _known_columns(source.name.lower())
    if isinstance(source, exp.Subquery | exp.CTE | exp.Lateral):
        query = source.this
        if isinstance(query, exp.Subquery):
            return _columns(query)
        return _selected(query) if isinstance(query, exp.Query) else None
    return None


def _selected(query: exp.Query) -> frozenset[str] | None:
    """Names of what a query selects; with a star, of all that it could mean."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this  # the first part of a UNION gives the names
    names = {one.alias_or_name.lower() for one in query.selects if not one.is_star}
    if any(one.is_star for one in query.selects):
        for each in _relations(query):
            if each.columns is None:
                return None
            names |= each.columns
    return frozenset(names)


def _known_columns(name: str) -> frozenset[str] | None:
    for table in tables():
        if table.name == name:
            return frozenset(table.column_names)
    return next((frozenset(view.column_comments) for view in views() if view.name == name), None)


def _defined(table: exp.Table) -> exp.CTE | None:
    """The part of a WITH clause that a table in FROM is."""
    return None if table.db else _with_clause(table, table.name.lower())


def _with_clause(node: exp.Expr, name: str) -> exp.CTE | None:
    """The part of a WITH clause that a name in this place means; earlier parts only."""
    child, around = node, node.parent
    while around is not None:
        if isinstance(around, exp.With):
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
