"""Helpers of the rewrites: they make new nodes, and infer the type of a node from the query.

Imports the SQL parser: import it where it is used.
"""

from __future__ import annotations

from functools import cache

from sqlglot import exp

from databricks_app.lake.sql_dialect.definitions import tables

INTEGER_TYPES = exp.DataType.INTEGER_TYPES


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """Make a call of a DuckDB function."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def cast(node: exp.Expr, kind: str) -> exp.Cast:
    """Make a cast to a DuckDB type."""
    return exp.Cast(this=node, to=exp.DataType.build(kind, dialect="duckdb"))


def case(condition: exp.Expr, then: exp.Expr, otherwise: exp.Expr | None = None) -> exp.Case:
    """Make CASE WHEN condition THEN then ELSE otherwise END."""
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)


def date(node: exp.Expr) -> exp.Expr:
    """Cast to DATE. Needed because a date plus days is a timestamp in DuckDB."""
    return cast(node, "DATE")


def timestamp(node: exp.Expr) -> exp.Expr:
    """Cast to a UTC timestamp."""
    return cast(node, "TIMESTAMPTZ")


def has_type(node: exp.Expr, *names: str) -> exp.Expr:
    """Make a condition: the node has one of these DuckDB types."""
    # DuckDB evaluates `typeof` when it plans the query, so this costs nothing per row.
    values = [exp.Literal.string(name) for name in names]
    return exp.In(this=call("typeof", node.copy()), expressions=values)


def outermost(node: exp.Expr) -> exp.Expr:
    """Return the outermost node of an aggregate: with its FILTER, IGNORE NULLS and OVER."""
    around = node.parent
    while isinstance(around, exp.Filter | exp.Window | exp.IgnoreNulls) and around.this is node:
        node, around = around, around.parent
    return node


@cache
def _column_types() -> dict[str, str]:
    return {column.name: column.type for table in tables() for column in table.columns}


def is_integer(node: exp.Expr) -> bool:
    """Whether the query shows that the node is an integer; False means unknown."""
    if isinstance(node, exp.Literal):
        return node.is_int
    if isinstance(node, exp.Column):
        return "integer" in node.meta or _column_types().get(node.name) == "BIGINT"
    if isinstance(node, exp.Cast):
        return node.to.this in INTEGER_TYPES
    if isinstance(node, exp.Case):
        ends = [branch.args["true"] for branch in node.args["ifs"]]
        ends += [node.args["default"]] if node.args.get("default") else []
        return all(is_integer(end) for end in ends)
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Coalesce | exp.Greatest | exp.Least):
        return all(is_integer(child) for child in node.iter_expressions())
    if isinstance(node, exp.Paren | exp.Neg | exp.Max | exp.Min | exp.Sum | exp.Filter):
        return is_integer(node.this)
    return isinstance(node, exp.Count | exp.CountIf | exp.Length | exp.DateDiff)


def is_date(node: exp.Expr) -> bool:
    """Whether the query shows that the node is a DATE; False means unknown."""
    if isinstance(node, exp.Column):
        return node.name.lower().endswith("date")
    if isinstance(node, exp.Cast):
        return node.to.is_type("date")
    if isinstance(node, exp.Paren | exp.Max | exp.Min):
        return is_date(node.this)
    return isinstance(node, exp.CurrentDate | exp.TsOrDsToDate | exp.LastDay)


def mark_integers(tree: exp.Expr) -> None:
    """Mark the columns whose names the query defines only as integers."""
    definitions: dict[str, list[exp.Expr]] = {}
    for alias in tree.find_all(exp.Alias):
        definitions.setdefault(alias.alias, []).append(alias.this)
    marked = True
    # Several rounds, because one name can be defined by another name.
    while marked:
        marked = False
        for column in tree.find_all(exp.Column):
            meanings = definitions.get(column.name)
            if meanings and not is_integer(column) and all(map(is_integer, meanings)):
                column.meta["integer"] = marked = True
