"""Statements that change rows: MERGE that only inserts or only updates, INSERT, UPDATE, DELETE.

An update sets columns to literals. Not simulated: MERGE with several clauses, conditions or
deletes, other updates, INSERT OVERWRITE, COPY INTO, constraints other than NOT NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyarrow as pa
from sqlglot import exp

from tests.doubles.warehouse import delta, listings
from tests.doubles.warehouse.failures import SqlFailure, missing_table, unknown_statement
from tests.doubles.warehouse.queries import Query, Session

if TYPE_CHECKING:
    from tests.doubles.warehouse.statements import Engine
    from tests.doubles.workspace.metastore import Securable

_MERGED = ("num_affected_rows", "num_updated_rows", "num_deleted_rows", "num_inserted_rows")


def merge(engine: Engine, session: Session, tree: exp.Merge, text: str) -> pa.Table:
    """Insert the rows of the source that match no row of the target, or update those that match."""
    securable = _target(engine, session, tree.this)
    whens = tree.args["whens"].expressions
    if isinstance(whens[0].args.get("then"), exp.Update):
        return _merge_update(engine, session, tree, text)
    is_plain = len(whens) == 1 and not whens[0].args.get("matched")
    insert = whens[0].args.get("then")
    if not is_plain or whens[0].args.get("source") or not isinstance(insert, exp.Insert):
        raise unknown_statement(text)
    if whens[0].args.get("condition") or not isinstance(insert.this, exp.Tuple):
        raise unknown_statement(text)
    names = [name.name.lower() for name in insert.this.expressions]
    values = cast("exp.Tuple", insert.expression).expressions
    found = exp.select("1").from_(tree.this.copy()).where(tree.args["on"].copy())
    rows = (
        exp.select(
            *[
                exp.alias_(value.copy(), name, quoted=True)
                for name, value in zip(names, values, strict=True)
            ]
        )
        .from_(tree.args["using"].copy())
        .where(exp.not_(exp.Exists(this=found)))
    )
    with Query(engine, session) as query:
        new = query.run(rows)
        read = query.read[securable.name]
    engine.overlap(text)
    count = _append(engine, securable, new, read)
    return listings.table(_MERGED, [(count, 0, 0, count)])


def _merge_update(engine: Engine, session: Session, tree: exp.Merge, text: str) -> pa.Table:
    """Set columns of the rows of the target that match one row of the source."""
    whens = tree.args["whens"].expressions
    is_plain = len(whens) == 1 and whens[0].args.get("matched")
    if not is_plain or whens[0].args.get("condition") or whens[0].args.get("source"):
        raise unknown_statement(text)
    source, on = tree.args["using"], tree.args["on"]
    is_matched = exp.Exists(this=exp.select("1").from_(source.copy()).where(on.copy()))
    matches = exp.select(exp.Count(this=exp.Star())).from_(tree.this.copy())
    matches = matches.join(source.copy(), on=on.copy())
    with Query(engine, session) as query:
        found = query.run(matches).column(0)[0].as_py()
        matched = exp.select(exp.Count(this=exp.Star())).from_(tree.this.copy()).where(is_matched)
        distinct = query.run(matched).column(0)[0].as_py()
    if distinct != found:
        raise SqlFailure(
            "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE",
            "Cannot perform Merge as multiple source rows matched the same target row.",
            "21506",
        )
    count = _update(engine, session, tree.this, whens[0].args["then"], is_matched, text)
    return listings.table(_MERGED, [(count, count, 0, 0)])


def update(engine: Engine, session: Session, tree: exp.Update, text: str) -> pa.Table:
    """Set columns of the rows that a condition is true for."""
    where = tree.args.get("where")
    if where is None or tree.args.get("from_"):
        raise unknown_statement(text)
    count = _update(engine, session, tree.this, tree, where.this, text)
    return listings.table(("num_affected_rows",), [(count,)])


def _update(
    engine: Engine,
    session: Session,
    target: exp.Table,
    tree: exp.Update,
    condition: exp.Expr,
    text: str,
) -> int:
    """Rewrite the table with literals in columns of some rows; how many rows these are."""
    securable = _target(engine, session, target)
    given = {one.this.name.lower(): one.expression for one in tree.expressions}
    if not all(isinstance(value, exp.Literal) for value in given.values()):
        raise unknown_statement(text)
    columns = []
    for column in securable.columns:
        value: exp.Expr = exp.column(column.name, table=target.alias_or_name)
        if column.name.lower() in given:
            chosen = exp.Case().when(condition.copy(), given.pop(column.name.lower()).copy())
            value = chosen.else_(value)
        columns.append(exp.alias_(value, column.name, quoted=True))
    if given:
        unknown = f"A column with name {sorted(given)} cannot be resolved."
        raise SqlFailure("UNRESOLVED_COLUMN.WITH_SUGGESTION", unknown, "42703")
    affected = exp.select(exp.Count(this=exp.Star())).from_(target.copy()).where(condition.copy())
    with Query(engine, session) as query:
        count = int(query.run(affected).column(0)[0].as_py())
        rows = query.run(exp.select(*columns).from_(target.copy()))
        read = query.read[securable.name]
    engine.overlap(text)
    if count:
        engine.delta(securable).replace(_fitted(securable, rows), read)
    return count


def insert(engine: Engine, session: Session, tree: exp.Insert, text: str) -> pa.Table:
    """Append the rows of a query or of VALUES."""
    if tree.args.get("overwrite") or tree.args.get("where") or tree.args.get("by_name"):
        raise unknown_statement(text)
    target = tree.this
    names = []
    if isinstance(target, exp.Schema):
        names = [column.name.lower() for column in target.expressions]
        target = target.this
    securable = _target(engine, session, target)
    source = tree.expression
    if isinstance(source, exp.Values):
        source = exp.select("*").from_(source)
    with Query(engine, session) as query:
        rows = query.run(source)
        read = query.read.get(securable.name)
    names = names or [column.name for column in securable.columns]
    if len(names) != rows.num_columns:
        counts = f"{len(names)} columns are needed and {rows.num_columns} given."
        raise SqlFailure("INSERT_COLUMN_ARITY_MISMATCH", counts, "21S01")
    engine.overlap(text)
    count = _append(engine, securable, rows.rename_columns(names), read)
    return listings.table(("num_affected_rows", "num_inserted_rows"), [(count, count)])


def delete(engine: Engine, session: Session, tree: exp.Delete, text: str) -> pa.Table:
    """Rewrite the table without the rows for which the condition is true."""
    securable = _target(engine, session, tree.this)
    kept = exp.select("*").from_(tree.this.copy())
    total = exp.select(exp.Count(this=exp.Star())).from_(tree.this.copy())
    if where := tree.args.get("where"):
        # A row for which the condition is NULL stays.
        is_kept = exp.Not(this=exp.Coalesce(this=where.this.copy(), expressions=[exp.false()]))
        kept = kept.where(is_kept)
    else:
        kept = kept.where(exp.false())
    with Query(engine, session) as query:
        before = query.run(total).column(0)[0].as_py()
        rows = query.run(kept)
        read = query.read[securable.name]
    engine.overlap(text)
    deleted = before - rows.num_rows
    if deleted:
        engine.delta(securable).replace(_fitted(securable, rows), read)
    return listings.table(("num_affected_rows",), [(deleted,)])


def _target(engine: Engine, session: Session, table: exp.Expr) -> Securable:
    name = session.name(table)
    securable = engine.workspace.catalog.find("table", name)
    if securable is None:
        raise missing_table(".".join(name))
    if securable.kind == "view":
        raise SqlFailure("EXPECT_TABLE_NOT_VIEW", f"`{securable.full_name}` is a view.", "42809")
    return securable


def _append(
    engine: Engine, securable: Securable, rows: pa.Table, read: delta.Snapshot | None
) -> int:
    fitted = _fitted(securable, rows)
    if fitted.num_rows:
        engine.delta(securable).append(fitted, read)
    return int(fitted.num_rows)


def _fitted(securable: Securable, rows: pa.Table) -> pa.Table:
    """Return the rows with the table's columns and types; a missing column is NULL."""
    schema = delta.schema(securable.columns)
    names = {name.lower(): index for index, name in enumerate(rows.column_names)}
    if unknown := set(names) - {column.name.lower() for column in securable.columns}:
        text = f"A column with name {sorted(unknown)} cannot be resolved."
        raise SqlFailure("UNRESOLVED_COLUMN.WITH_SUGGESTION", text, "42703")
    columns = []
    for column, field in zip(securable.columns, schema, strict=True):
        index = names.get(column.name.lower())
        values = pa.nulls(rows.num_rows, field.type) if index is None else rows.column(index)
        try:
            values = values.cast(field.type)
        except pa.ArrowException as error:
            text = f"The value of column `{column.name}` cannot be cast to {column.type}."
            raise SqlFailure("CAST_OVERFLOW_IN_TABLE_INSERT", text, "22003") from error
        if not column.nullable and values.null_count:
            text = f"NOT NULL constraint violated for column: {column.name}."
            raise SqlFailure("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", text, "23502")
        columns.append(values)
    return pa.table(columns, schema=schema)
