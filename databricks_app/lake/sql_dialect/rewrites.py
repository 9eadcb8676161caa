"""Rewrites a parsed Databricks query where the translation of sqlglot gives another result.

Each function takes one node that is already removed from its tree, and returns its replacement. The
differences were measured with sqlglot 30.30 and DuckDB 2.0; the tests contain the documented
results of Databricks. Imports the SQL parser: import this module where it is used.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlglot import exp

from databricks_app.errors import QueryError
from databricks_app.lake.sql_dialect.functions import DIVISION_BY_ZERO, RENAMED
from databricks_app.lake.sql_dialect.nodes import (
    INTEGER_TYPES,
    call,
    case,
    cast,
    has_type,
    is_integer,
    mark_integers,
    outermost,
)
from databricks_app.lake.sql_dialect.times import TIME_REWRITES

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPES_OF_JSON = {"INT": "INTEGER", "TEXT": "VARCHAR", "TIMESTAMP": "TIMESTAMPTZ"}


def rewrite(tree: exp.Expr) -> None:
    """Change the tree in place, innermost nodes first."""
    mark_integers(tree)
    for node in reversed(list(tree.walk())):
        change = REWRITES.get(type(node))
        if change:
            is_aggregate = isinstance(node, exp.AggFunc | exp.IgnoreNulls)
            target = outermost(node) if is_aggregate else node
            # The node must leave the tree first, because its replacement often contains it.
            hole = exp.Null()
            target.replace(hole)
            hole.replace(change(target))


def _bigint(node: exp.Expr) -> exp.Expr:
    # COUNT_IF and sums of integers are HUGEINT in DuckDB and BIGINT on Databricks.
    aggregate = node.find(exp.CountIf, exp.Sum)
    if isinstance(aggregate, exp.Sum) and not is_integer(aggregate.this):
        return node
    return cast(node, "BIGINT")


def _divide(node: exp.Expr) -> exp.Expr:
    # Division by zero is an error on Databricks, and NULL or infinity in DuckDB.
    divisor = node.expression
    if isinstance(divisor, exp.Nullif) or (divisor.is_number and divisor.to_py() != 0):
        return node
    problem = exp.Literal.string(DIVISION_BY_ZERO)
    zero = exp.EQ(this=exp.Paren(this=divisor.copy()), expression=exp.Literal.number(0))
    return exp.Paren(this=case(zero, call("error", problem), node))


def _convert(node: exp.Expr) -> exp.Expr:
    """Truncate numbers that become integers, and write UTC times without an offset."""
    assert isinstance(node, exp.Cast)  # noqa: S101  # or its subclass TryCast
    value = node.this
    if node.to.this is exp.DType.TIMESTAMP:
        node.set("to", exp.DataType.build("TIMESTAMPTZ", dialect="duckdb"))
    elif node.to.this in INTEGER_TYPES and not is_integer(value) and not value.is_string:
        # Databricks truncates, DuckDB rounds.
        fractional = has_type(value, "DOUBLE", "FLOAT")
        decimal = exp.Like(
            this=call("typeof", value.copy()), expression=exp.Literal.string("DECIMAL%")
        )
        cut = call("trunc", exp.TryCast(this=value.copy(), to=exp.DataType.build("double")))
        whole = type(node)(this=cut, to=node.to.copy())
        return case(exp.Or(this=fractional, expression=decimal), whole, node)
    elif node.to.this is exp.DType.TEXT and not is_integer(value):
        plain = call("regexp_replace", node, exp.Literal.string("[+]00$"), exp.Literal.string(""))
        return case(has_type(value, "TIMESTAMP WITH TIME ZONE"), plain, node.copy())
    return node


def _renamed(node: exp.Expr) -> exp.Expr:
    name = node.name.lower()
    arguments = node.expressions
    if name in {"isnull", "isnotnull"}:
        null = exp.Paren(this=exp.Is(this=arguments[0], expression=exp.Null()))
        return null if name == "isnull" else exp.Not(this=null)
    if name == "timestamp_millis":
        thousand = exp.Literal.number("1000.0")
        arguments = [exp.Div(this=exp.Paren(this=arguments[0]), expression=thousand)]
    return call(RENAMED[name], *arguments)


def _ignoring_nulls(node: exp.Expr) -> exp.Expr:
    # first(x, true), last(x, true): the translation of sqlglot keeps the NULLs.
    ignoring = node.find(exp.IgnoreNulls)
    inner = ignoring.this if ignoring else None
    if ignoring is None or not isinstance(inner, exp.First | exp.Last):
        return node
    is_first = isinstance(inner, exp.First)
    if isinstance(node, exp.Window):
        ignoring.set("this", (exp.FirstValue if is_first else exp.LastValue)(this=inner.this))
        return node
    condition: exp.Expr = exp.Not(this=exp.Is(this=inner.this.copy(), expression=exp.Null()))
    if isinstance(node, exp.Filter):
        condition = exp.And(this=condition, expression=exp.Paren(this=node.expression.this))
    aggregate = call("first" if is_first else "last", inner.this)
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition))


def _renaming(name: str) -> Callable[[exp.Expr], exp.Expr]:
    """Return a rewrite to another aggregate with the first two arguments; FILTER and OVER stay."""

    def change(node: exp.Expr) -> exp.Expr:
        inner = node
        while isinstance(inner, exp.Filter | exp.Window):
            inner = inner.this
        arguments = list(inner.iter_expressions())[:2]
        renamed = call(name, *arguments)
        if inner is node:
            return renamed
        inner.replace(renamed)
        return node

    return change


def _distinct_count(node: exp.Expr) -> exp.Expr:
    # The exact count instead of the approximate one.
    inner = node.find(exp.ApproxDistinct)
    assert inner is not None  # noqa: S101  # the caller found it
    count = exp.Count(this=exp.Distinct(expressions=[inner.this]))
    if inner is node:
        return count
    inner.replace(count)
    return node


def _collected(node: exp.Expr) -> exp.Expr:
    # sqlglot adds a FILTER that drops NULLs. So the FILTER of the query moves into the argument.
    if isinstance(node, exp.Filter):
        inner = node.this
        inner.set("this", case(node.expression.this, inner.this))
        return inner  # type: ignore[no-any-return]  # sqlglot's children are untyped
    return node


def _json_text(node: exp.Expr) -> exp.Expr:
    # Text without quotes, and NULL if the text is not JSON.
    path = exp.JSONExtractScalar(this=node.this, expression=node.expression)
    valid = call("json_valid", cast(node.this.copy(), "VARCHAR"))
    return exp.Paren(this=case(valid, path))


def _from_json(node: exp.Expr) -> exp.Expr:
    schema = node.expression
    if not schema.is_string:
        raise QueryError("The schema of from_json must be a text such as 'name STRING, age INT'.")
    text = schema.name
    shape = text if "<" in text.split(" ")[0] else f"STRUCT<{text}>"
    kind = exp.DataType.build(shape, dialect="databricks")
    structure = exp.Literal.string(json.dumps(_json_shape(kind)))
    valid = call("json_valid", node.this.copy())
    return exp.Paren(this=case(valid, call("json_transform", node.this, structure)))


def _json_shape(kind: exp.Expr) -> object:
    if kind.this is exp.DType.STRUCT:
        return {part.name: _json_shape(part.args["kind"]) for part in kind.expressions}
    if kind.this is exp.DType.ARRAY:
        return [_json_shape(kind.expressions[0])]
    name = kind.sql("duckdb")
    return _TYPES_OF_JSON.get(name, name)


def _floor_or_ceil(node: exp.Expr) -> exp.Expr:
    # They give integers on Databricks.
    if node.args.get("decimals"):
        raise QueryError("floor and ceil with digits are not supported here; use round(x, digits).")
    return cast(node, "BIGINT")


def _regexp_replace(node: exp.Expr) -> exp.Expr:
    replacement = node.args.get("replacement")
    if replacement is not None and "$" in replacement.sql():
        raise QueryError("regexp_replace with $1 in the replacement is not supported here.")
    return node


def _bracket(node: exp.Expr) -> exp.Expr:
    # A column could be an index (counted from 0) or a key of a map; the text does not show which.
    if not all(place.is_string or place.is_number for place in node.expressions):
        raise QueryError(
            "The index of an array or the key of a map must be a literal number or text here."
        )
    return node


def _like(node: exp.Expr) -> exp.Expr:
    # A backslash escapes on Databricks and is an ordinary character in DuckDB.
    if isinstance(node.parent, exp.Escape) or "\\" not in node.expression.name:
        return node
    return exp.Escape(this=node, expression=exp.Literal.string("\\"))


def _logarithm(node: exp.Expr) -> exp.Expr:
    # NULL on Databricks if the number is not positive.
    positive = exp.GT(this=exp.Paren(this=node.this.copy()), expression=exp.Literal.number(0))
    return exp.Paren(this=case(positive, node))


def _sha2(node: exp.Expr) -> exp.Expr:
    if node.args["length"].name not in {"0", "256"}:
        raise QueryError("sha2 is supported here only with 256 bits.")
    return node


def _substring(node: exp.Expr) -> exp.Expr:
    # Position 0 means 1 on Databricks.
    start = node.args.get("start")
    if start is not None and start.is_number and start.to_py() == 0:
        node.set("start", exp.Literal.number(1))
    return node


REWRITES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    **TIME_REWRITES,
    exp.Anonymous: _renamed,
    exp.ApproxDistinct: _distinct_count,
    exp.ApproxQuantile: _renaming("quantile_disc"),
    exp.ArgMax: _renaming("arg_max_null"),
    exp.ArgMin: _renaming("arg_min_null"),
    exp.ArrayAgg: _collected,
    exp.ArrayUniqueAgg: _collected,
    exp.Bracket: _bracket,
    exp.Cast: _convert,
    exp.Ceil: _floor_or_ceil,
    exp.CountIf: _bigint,
    exp.Div: _divide,
    exp.Floor: _floor_or_ceil,
    exp.FromJson: _from_json,
    exp.ILike: _like,
    exp.IgnoreNulls: _ignoring_nulls,
    exp.IntDiv: _divide,
    exp.JSONExtract: _json_text,
    exp.JSONExtractScalar: _json_text,
    exp.Like: _like,
    exp.Ln: _logarithm,
    exp.Mod: _divide,
    exp.Quantile: _renaming("quantile_cont"),
    exp.RegexpReplace: _regexp_replace,
    exp.SHA2: _sha2,
    exp.Substring: _substring,
    exp.Sum: _bigint,
    exp.TryCast: _convert,
    # A uuid has its own type in DuckDB.
    exp.Uuid: lambda node: cast(node, "VARCHAR"),
}
