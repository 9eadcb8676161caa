"""A Databricks query over the double's tables, answered by DuckDB.

Each query gets an in-memory DuckDB that sees snapshots of the tables it names as views, under their
catalog and schema. `names` decides whether Spark would find a column, DuckDB which one it is.
Functions mean what `databricks_app.lake.sql_dialect` makes of them; others fail with DuckDB's own
error.

Does not imitate: read_files of anything but Parquet, schema inference, time travel, identifiers
given as parameters, `schema.table.*`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from databricks_app.errors import QueryError
from databricks_app.lake.sql_dialect import duckdb_type
from databricks_app.lake.sql_dialect.rewrites import rewrite
from tests.doubles.messages import Refused
from tests.doubles.warehouse import listings, names
from tests.doubles.warehouse.delta import Snapshot, quoted, relation
from tests.doubles.warehouse.failures import SqlFailure, missing_table, of_engine

if TYPE_CHECKING:
    from tests.doubles.warehouse.statements import Engine
    from tests.doubles.workspace.metastore import Name, Securable

MOST_PARAMETERS = 256


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a statement; `value` None is NULL, `name` None stands for a `?`."""

    name: str | None
    type: str
    value: str | None


@dataclass(slots=True)
class Session:
    """Where names without a catalog or schema are looked for, and who asks."""

    catalog: str = "main"
    schema: str = "default"
    principal: str = ""

    def name(self, table: exp.Expr) -> Name:
        """The full name of a table in a statement."""
        parts = [part.name for part in table.parts] if isinstance(table, exp.Table) else []
        return self.full(parts)

    def full(self, parts: Iterable[str]) -> Name:
        """Three parts, from one, two or three."""
        given = [part.lower() for part in parts]
        return tuple([self.catalog, self.schema][: max(0, 3 - len(given))] + given)


def parse(sql: str) -> exp.Expr:
    """The tree of a statement.

    Raises:
        SqlFailure: It cannot be read.
    """
    names.require_plain_using(sql)
    try:
        return sqlglot.parse_one(sql, dialect="databricks")
    except SqlglotError as error:
        text = f"Syntax error: {str(error).splitlines()[0]}"
        raise SqlFailure("PARSE_SYNTAX_ERROR", text, "42601") from error


def bind(tree: exp.Expr, parameters: list[Parameter]) -> exp.Expr:
    """Put values in the place of `:name` and `?` marks.

    Raises:
        SqlFailure: There are too many, or one is missing.
    """
    if len(parameters) > MOST_PARAMETERS:
        text = (
            f"Parameterized query has too many parameters: {len(parameters)} parameters were given"
            f" but the limit is {MOST_PARAMETERS}"
        )
        raise SqlFailure("TOO_MANY_PARAMETERS", text, "54000")
    named = {one.name.lower(): one for one in parameters if one.name}
    positional = iter([one for one in parameters if not one.name])
    for mark in list(tree.find_all(exp.Placeholder)):
        name = mark.this or ""  # None for a `?`
        found = named.get(name.lower()) if name else next(positional, None)
        if found is None:
            text = f"Found the unbound parameter: {name or '_'}."
            raise SqlFailure("UNBOUND_SQL_PARAMETER", text, "42P02")
        mark.replace(_literal(found))
    return tree


def _literal(parameter: Parameter) -> exp.Expr:
    if parameter.value is None or parameter.type.upper() == "VOID":
        return exp.Null()
    text = exp.Literal.string(parameter.value)
    if parameter.type.upper() == "STRING":
        return text
    kind = exp.DataType.build(parameter.type, dialect="databricks")
    return exp.Cast(this=text, to=kind)


@dataclass(slots=True)
class Query:
    """One query: its connection, and which snapshots it has read.

    Attributes:
        engine: Whose tables.
        session: Where names are looked for.
        read: Snapshot by table, as first seen.
    """

    engine: Engine
    session: Session
    read: dict[Name, Snapshot] = field(default_factory=dict)
    connection: duckdb.DuckDBPyConnection = field(init=False)
    _views: set[Name | str] = field(default_factory=set)

    def __enter__(self) -> Query:
        """Open a DuckDB."""
        self.connection = duckdb.connect(config={"threads": 2})
        self.connection.execute("SET TimeZone = 'UTC'")
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.connection.close()

    def run(self, tree: exp.Expr) -> pa.Table:
        """The rows of a query whose parameters are bound.

        Raises:
            SqlFailure: It fails.
        """
        named = self._named(tree)
        names.resolve(named, self.connection)
        text = _duckdb_text(named)
        try:
            found = self.connection.sql(text)
            kinds = [str(kind) for kind in found.types]
            rows = found.to_arrow_table()
        except duckdb.Error as error:
            raise of_engine(error) from error
        for place, kind in enumerate(kinds):
            if kind == "HUGEINT":
                whole = rows.column(place).cast(pa.int64())
                rows = rows.set_column(place, rows.field(place).name, whole)
        return rows

    def _named(self, tree: exp.Expr) -> exp.Expr:
        """A query over views of the connection, which are made of what it reads."""
        local = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        for table in list(tree.find_all(exp.Table)):
            if isinstance(table.this, exp.Func):
                self._alias(table, self._files(table.this))
            elif table.db.lower() == "information_schema":
                self._alias(table, self._listing(table))
            elif table.name.lower() not in local or table.db:
                self._name(table)
        catalogs = {table.catalog for table in tree.find_all(exp.Table)}
        for column in tree.find_all(exp.Column):
            if column.catalog and _catalog(column.catalog) in catalogs:
                column.set("catalog", exp.to_identifier(_catalog(column.catalog)))
        for user in list(tree.find_all(exp.CurrentUser, exp.SessionUser)):
            user.replace(exp.Literal.string(self.session.principal))
        return tree

    def _alias(self, table: exp.Table, view: str) -> None:
        """Read a view in the place of files or a listing, under the statement's name of it."""
        if not table.alias and table.name:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        for part in ("db", "catalog"):
            table.set(part, None)
        table.set("this", exp.to_identifier(view))

    def _name(self, table: exp.Table) -> None:
        """Read a table under its full name, and make it known to the connection."""
        name = self.session.name(table)
        if name not in self._views:
            held = self.engine.workspace.catalog.find("table", name)
            if held is None:
                raise missing_table(".".join(name))
            self._define(name, self._of_view(held) if held.query else self._of_table(held))
        for key, part in zip(("catalog", "db", "this"), _engine_name(name), strict=True):
            table.set(key, exp.to_identifier(part, quoted=True))

    def _listing(self, table: exp.Table) -> str:
        view = f"information_schema_{table.name.lower()}"
        catalog = table.catalog.lower() or self.session.catalog
        if view not in self._views:
            rows = listings.information_schema(self.engine.workspace, catalog, table.name.lower())
            self.connection.register(view, rows)
            self._views.add(view)
        return view

    def _of_table(self, held: Securable) -> str:
        snapshot = self.engine.delta(held).snapshot()
        self.read[held.name] = snapshot
        return relation(held.columns, snapshot.files)

    def _of_view(self, held: Securable) -> str:
        home, self.session = (
            self.session,
            Session(held.name[0], held.name[1], self.session.principal),
        )
        try:
            return _duckdb_text(self._named(parse(held.query)))
        finally:
            self.session = home

    def _define(self, name: Name, text: str) -> None:
        held = self.engine.workspace.catalog.get("table", name)
        columns = ", ".join(f'"{column.name}"' for column in held.columns)
        catalog, schema, view = (f'"{part}"' for part in _engine_name(name))
        self._views.add(name)
        try:
            self.connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {catalog}")
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog}.{schema}")
            self.connection.execute(f"CREATE VIEW {catalog}.{schema}.{view} ({columns}) AS {text}")
        except duckdb.Error as error:
            raise of_engine(error) from error

    def _files(self, call: exp.Func) -> str:
        """A view of `read_files(path, format => 'parquet', schema => '...')`."""
        arguments = [one for one in call.expressions if not isinstance(one, exp.Kwarg)]
        options = {
            one.name.lower(): one.expression.name
            for one in call.expressions
            if isinstance(one, exp.Kwarg)
        }
        if call.name.lower() != "read_files" or len(arguments) != 1:
            raise SqlFailure("DOUBLE_UNSUPPORTED", f"No table function {call.name}.", "0A000")
        unknown = set(options) - {"format", "schema"}
        if unknown or options.get("format", "").lower() != "parquet":
            text = f"read_files with {sorted(options)}; only format => 'parquet' and schema."
            raise SqlFailure("DOUBLE_UNSUPPORTED", text, "0A000")
        view = f"files_{len(self._views)}"
        text = _parquet(self._paths(arguments[0].name), options.get("schema"))
        try:
            self.connection.execute(f"CREATE TEMP VIEW {view} AS {text}")
        except duckdb.Error as error:
            raise of_engine(error) from error
        self._views.add(view)
        return view

    def _paths(self, path: str) -> list[str]:
        try:
            local = self.engine.workspace.catalog.local_path(path)
        except Refused as refused:
            raise SqlFailure(
                "PATH_NOT_FOUND", f"Path does not exist: {path}.", "42K03"
            ) from refused
        if local.is_dir():
            found = sorted(local.rglob("*.parquet"))
        else:
            found = [local] if local.is_file() else sorted(local.parent.glob(local.name))
        if not found:
            raise SqlFailure("PATH_NOT_FOUND", f"Path does not exist: {path}.", "42K03")
        return [str(one) for one in found]


def _duckdb_text(tree: exp.Expr) -> str:
    try:
        rewrite(tree)
    except QueryError as error:
        raise SqlFailure("DOUBLE_UNSUPPORTED", str(error), "0A000") from error
    return tree.sql("duckdb", comments=False)


def _engine_name(name: Name) -> Name:
    return (_catalog(name[0]), *name[1:])


def _catalog(name: str) -> str:
    """DuckDB's name of a catalog; it keeps `main`, `system` and `temp` for itself."""
    return f"unity_{name.lower()}"


def _parquet(paths: list[str], schema: str | None) -> str:
    listed = ", ".join(quoted(path) for path in paths)
    source = f"read_parquet([{listed}], union_by_name = true)"
    if schema is None:
        return f"SELECT * FROM {source}"
    present = {name for path in paths for name in pq.read_schema(path).names}
    wanted = exp.DataType.build(f"STRUCT<{schema}>", dialect="databricks").expressions
    columns = []
    for column in wanted:
        kind = duckdb_type(column.args["kind"].sql("databricks"))
        value = f'"{column.name}"' if column.name in present else "NULL"
        columns.append(f'CAST({value} AS {kind}) AS "{column.name}"')
    return f"SELECT {', '.join(columns)} FROM {source}"
