"""Statements that define things (CREATE, ALTER, DROP, COMMENT, USE) and GRANT.

Not simulated: CREATE TABLE AS SELECT, external tables, partitions, generated columns, checks,
dropping or renaming columns. An unknown statement fails with a text that names it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from tests.doubles.warehouse.failures import SqlFailure, missing_table, unknown_statement
from tests.doubles.warehouse.queries import Query, Session, parse
from tests.doubles.workspace.metastore import Column, Securable

if TYPE_CHECKING:
    from tests.doubles.warehouse.statements import Engine


DONE = pa.table({})
# To analyse the views of the product takes seconds, and each test creates the same ones.
_SHAPES: dict[tuple[object, ...], pa.Table] = {}


def create(engine: Engine, session: Session, tree: exp.Create, text: str) -> pa.Table:
    """Run CREATE TABLE, VIEW or SCHEMA."""
    if tree.kind == "TABLE":
        return _create_table(engine, session, tree, text)
    if tree.kind == "VIEW":
        return _create_view(engine, session, tree, text)
    if tree.kind in {"SCHEMA", "CATALOG", "DATABASE"}:
        name = _schema_name(session, tree.this)
        made = Securable("schema", name, _comment(tree))
        engine.add(made, is_repeatable=bool(tree.args.get("exists")))
        return DONE
    raise unknown_statement(text)


def _create_table(engine: Engine, session: Session, tree: exp.Create, text: str) -> pa.Table:
    definition = tree.this
    if tree.expression or not isinstance(definition, exp.Schema):
        raise unknown_statement(text)
    name = session.name(definition.this)
    catalog = engine.workspace.catalog
    with catalog.lock:
        securable = catalog.find("table", name)
        if securable is not None and tree.args.get("replace"):
            catalog.drop("table", name)
            engine.forget(name)
        elif securable is not None and tree.args.get("exists"):
            return DONE
        columns = [_column(one, text) for one in definition.expressions]
        made = Securable("table", name, _comment(tree), _properties(tree, text), columns)
        made.clustering = _clustering(tree)
        engine.add(made)
        engine.delta(made).create(columns)
    return DONE


def _create_view(engine: Engine, session: Session, tree: exp.Create, text: str) -> pa.Table:
    definition = tree.this
    given: list[exp.Expr] = []
    if isinstance(definition, exp.Schema):
        given, definition = definition.expressions, definition.this
    name = session.name(definition)
    query = _query_text(text)
    shape = _shape(engine, session, query)
    if given and len(given) != shape.num_columns:
        counts = f"{len(given)} columns are named and the query has {shape.num_columns}."
        raise SqlFailure("CREATE_VIEW_COLUMN_ARITY_MISMATCH", counts, "21S01")
    names = [one.name for one in given] or shape.column_names
    comments = [_column_comment(one) for one in given] or [""] * len(names)
    columns = [
        Column(column, _type_text(field.type), comment=comment)
        for column, field, comment in zip(names, shape.schema, comments, strict=True)
    ]
    catalog = engine.workspace.catalog
    with catalog.lock:
        securable = catalog.find("table", name)
        if securable is not None:
            if tree.args.get("exists"):
                return DONE
            if not tree.args.get("replace") or securable.kind != "view":
                engine.add(Securable("view", name))
            catalog.drop("view", name)
        made = Securable("view", name, _comment(tree), columns=columns, query=query)
        if securable is not None:
            made.grants = securable.grants
        engine.add(made)
    return DONE


@lru_cache(1_000)
def _query_text(create: str) -> str:
    return parse(create).expression.sql("databricks")


def _shape(engine: Engine, session: Session, query: str) -> pa.Table:
    """Return the result of a view's query without rows. It depends on names and columns alone."""
    relations = tuple(
        (one.name, one.query, tuple((column.name, column.type) for column in one.columns))
        for one in engine.workspace.catalog.inside("table")
    )
    key = (query, session.catalog, session.schema, relations)
    if key not in _SHAPES:
        with Query(engine, session) as probe:
            tree = parse(query).copy().subquery("shape")  # type: ignore[attr-defined]  # a query
            _SHAPES[key] = probe.run(exp.select("*").from_(tree).limit(0))
    return _SHAPES[key]


def alter(engine: Engine, session: Session, tree: exp.Alter, text: str) -> pa.Table:
    """Run ALTER TABLE ... ADD COLUMNS or ... SET TBLPROPERTIES."""
    securable = named(engine, session, tree.this)
    for action in tree.args.get("actions", []):
        if isinstance(action, exp.AlterSet):
            for properties in action.expressions:
                securable.properties |= {
                    one.this.name: one.args["value"].name for one in properties.expressions
                }
        elif isinstance(action, exp.Schema | exp.ColumnDef) and securable.kind == "table":
            added = action.expressions if isinstance(action, exp.Schema) else [action]
            _add_columns(engine, securable, [_column(one, text) for one in added])
        else:
            raise unknown_statement(text)
    engine.changed(securable)
    return DONE


def _add_columns(engine: Engine, securable: Securable, added: list[Column]) -> None:
    existing = {column.name.lower() for column in securable.columns}
    for column in added:
        if column.name.lower() in existing:
            text = f"Column {column.name} already exists."
            raise SqlFailure("FIELD_ALREADY_EXISTS", text, "42710")
    engine.delta(securable).widen([*securable.columns, *added])
    securable.columns = [*securable.columns, *added]


def drop(engine: Engine, session: Session, tree: exp.Drop, text: str) -> pa.Table:
    """Run DROP TABLE, VIEW or SCHEMA."""
    kind = str(tree.args["kind"]).lower()
    if kind not in {"table", "view", "schema"}:
        raise unknown_statement(text)
    target = tree.args["tables"][0] if tree.args.get("tables") else tree.this
    name = _schema_name(session, target) if kind == "schema" else session.name(target)
    catalog = engine.workspace.catalog
    if catalog.find(kind, name) is None:
        if tree.args.get("exists"):
            return DONE
        raise missing_table(".".join(name))
    catalog.drop(kind, name, is_forced=bool(tree.args.get("cascade")))
    engine.forget(name)
    return DONE


def comment(engine: Engine, session: Session, tree: exp.Comment, text: str) -> pa.Table:
    """Run COMMENT ON TABLE."""
    if str(tree.args["kind"]).upper() not in {"TABLE", "VIEW"}:
        raise unknown_statement(text)
    named(engine, session, tree.this).comment = tree.expression.name
    return DONE


def use(engine: Engine, session: Session, tree: exp.Use, _text: str) -> pa.Table:
    """Run USE CATALOG or USE SCHEMA."""
    kind = tree.args.get("kind")
    parts = [part.name.lower() for part in tree.this.parts]
    if kind is not None and kind.name.upper() == "CATALOG":
        engine.known("catalog", (parts[0],))
        session.catalog = parts[0]
        return DONE
    *above, schema = parts
    catalog = above[0] if above else session.catalog
    engine.known("schema", (catalog, schema))
    session.catalog, session.schema = catalog, schema
    return DONE


def grant(engine: Engine, session: Session, tree: exp.Grant | exp.Revoke, text: str) -> pa.Table:
    """Run GRANT or REVOKE."""
    kind = str(tree.args.get("kind") or "TABLE").lower()
    securable = tree.args["securable"]
    securable = secured(engine, session, kind, [part.name for part in securable.parts], text)
    privileges = {one.this.name for one in tree.args["privileges"]}
    is_grant = isinstance(tree, exp.Grant)
    for principal in tree.args["principals"]:
        add, remove = (privileges, set()) if is_grant else (set(), privileges)
        engine.workspace.catalog.grant(securable, principal.name, add, remove)
    return DONE


def secured(engine: Engine, session: Session, kind: str, parts: list[str], text: str) -> Securable:
    """Return the securable that a GRANT names."""
    kind = "table" if kind == "view" else kind
    depths = {"catalog": 1, "schema": 2, "table": 3, "volume": 3}
    if kind not in depths:
        raise unknown_statement(text)
    full = tuple(session.full(parts)) if depths[kind] == 3 else tuple(one.lower() for one in parts)
    if kind == "schema" and len(full) == 1:
        full = (session.catalog, *full)
    return engine.known(kind, full)


def named(engine: Engine, session: Session, table: exp.Expr) -> Securable:
    """Return a table or view that must exist."""
    name = session.name(table)
    securable = engine.workspace.catalog.find("table", name)
    if securable is None:
        raise missing_table(".".join(name))
    return securable


def _schema_name(session: Session, table: exp.Expr) -> tuple[str, ...]:
    parts = [part.name.lower() for part in table.parts] if isinstance(table, exp.Table) else []
    return tuple(parts) if len(parts) > 1 else (session.catalog, *parts)


def _column(one: exp.Expr, text: str) -> Column:
    if not isinstance(one, exp.ColumnDef):
        raise unknown_statement(text)
    kinds = [constraint.kind for constraint in one.constraints]
    allowed = (exp.NotNullColumnConstraint, exp.CommentColumnConstraint)
    if not all(isinstance(kind, allowed) for kind in kinds):
        raise unknown_statement(text)
    is_nullable = not any(isinstance(kind, exp.NotNullColumnConstraint) for kind in kinds)
    kind_text = one.args["kind"].sql("databricks")
    return Column(one.name.lower(), kind_text, is_nullable, _column_comment(one))


def _column_comment(one: exp.Expr) -> str:
    found = one.find(exp.CommentColumnConstraint)
    return found.name if found else ""


def _comment(tree: exp.Create) -> str:
    found = tree.find(exp.SchemaCommentProperty)
    return found.name if found else ""


def _properties(tree: exp.Create, text: str) -> dict[str, str]:
    found = {}
    securable = tree.args.get("properties")
    for one in securable.expressions if securable else []:
        if isinstance(one, exp.SchemaCommentProperty | exp.Cluster | exp.ClusteredByProperty):
            continue
        if isinstance(one, exp.FileFormatProperty) and one.name.upper() == "DELTA":
            continue
        if type(one) is not exp.Property:
            if "cluster" in type(one).__name__.lower():
                continue
            raise unknown_statement(text)
        found[one.this.name] = one.args["value"].name
    return found


def _clustering(tree: exp.Create) -> list[str]:
    securable = tree.args.get("properties")
    for one in securable.expressions if securable else []:
        if "cluster" in type(one).__name__.lower():
            return [
                column.name for column in one.find_all(exp.Column, exp.Identifier) if column.name
            ]
    return []


def _type_text(kind: pa.DataType) -> str:
    names = {
        "string": "STRING",
        "int64": "BIGINT",
        "int32": "INT",
        "double": "DOUBLE",
        "bool": "BOOLEAN",
        "date32[day]": "DATE",
        "timestamp[us, tz=UTC]": "TIMESTAMP",
    }
    if pa.types.is_list(kind):
        return f"ARRAY<{_type_text(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"MAP<{_type_text(kind.key_type)}, {_type_text(kind.item_type)}>"
    return names.get(str(kind), str(kind).upper())
