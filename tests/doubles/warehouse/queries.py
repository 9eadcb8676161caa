"""A Databricks query over the double's tables, answered by DuckDB.

Each query gets an in-memory DuckDB. In it, snapshots of the tables that the query names are views,
under their catalog and schema. `names` refuses a column that Spark would not find; DuckDB resolves
the others. `databricks_app.lake.sql_dialect` translates functions; a function that it does not
translate fails with DuckDB's error.

Not simulated: read_files of other formats than Parquet, schema inference, time travel, identifiers
as parameters, `schema.table.*`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
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
from tests.doubles.warehouse import globs, listings, names
from tests.doubles.warehouse.delta import Snapshot, quoted, relation
from tests.doubles.warehouse.failures import SqlFailure, missing_table, of_engine

if TYPE_CHECKING:
    from tests.doubles.warehouse.statements import Engine
    from tests.doubles.workspace.metastore import Name, Securable

MAX_PARAMETERS = 256


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a statement; `value` None is NULL, `name` None is a positional `?`."""

    name: str | None
    type: str
    value: str | None


@dataclass(slots=True)
class Session:
    """The default catalog and schema of a session, and its principal."""

    catalog: str = "main"
    schema: str = "default"
    principal: str = ""

    def name(self, table: exp.Expr) -> Name:
        """Return the full name of a table in a statement."""
        parts = [part.name for part in table.parts] if isinstance(table, exp.Table) else []
        return self.full(parts)

    def full(self, parts: Iterable[str]) -> Name:
        """Return the full name (three parts) for one, two or three parts."""
        given = [part.lower() for part in parts]
        return tuple([self.catalog, self.schema][: max(0, 3 - len(given))] + given)


@lru_cache(1_000)
def parse(sql: str) -> exp.Expr:
    """Parse a statement. Copy the tree before you change it: the next caller gets the same.

    Raises:
        SqlFailure: It cannot be parsed.
    """
    names.require_plain_using(sql)
    try:
        return sqlglot.parse_one(sql, dialect="databricks")
    except SqlglotError as error:
        text = f"Syntax error: {str(error).splitlines()[0]}"
        raise SqlFailure("PARSE_SYNTAX_ERROR", text, "42601") from error


def bind(tree: exp.Expr, parameters: list[Parameter]) -> exp.Expr:
    """Replace the parameter markers `:name` and `?` by values.

    Raises:
        SqlFailure: There are too many parameters, or one is missing.
    """
    if len(parameters) > MAX_PARAMETERS:
        text = (
            f"Parameterized query has too many parameters: {len(parameters)} parameters were given"
            f" but the limit is {MAX_PARAMETERS}"
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
    """One query with its DuckDB connection; a context manager.

    Attributes:
        engine: The engine that has the tables.
        session: The session of the query.
        read: The snapshot of each table that the query has read.
    """

    engine: Engine
    session: Session
    read: dict[Name, Snapshot] = field(default_factory=dict)
    connection: duckdb.DuckDBPyConnection = field(init=False)
    _views: set[Name | str] = field(default_factory=set)

    def __enter__(self) -> Query:
        """Open the connection."""
        self.connection = duckdb.connect(config={"threads": 2})
        self.connection.execute("SET TimeZone = 'UTC'")
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.connection.close()

    def run(self, tree: exp.Expr) -> pa.Table:
        """Run a query whose parameters are bound, and return its rows.

        Raises:
            SqlFailure: The query fails.
        """
        named = self._with_views(tree)
        names.resolve(named, self.connection)
        text = _duckdb_text(named)
        try:
            found = self.connection.sql(text)
            kinds = [str(kind) for kind in found.types]
            rows = found.to_arrow_table()
        except duckdb.Error as error:
            raise of_engine(error) from error
        for index, kind in enumerate(kinds):
            if kind == "HUGEINT":  # DuckDB's type of a sum of integers; Databricks has BIGINT
                whole = rows.column(index).cast(pa.int64())
                rows = rows.set_column(index, rows.field(index).name, whole)
        return rows

    def _with_views(self, tree: exp.Expr) -> exp.Expr:
        """Create a view for each relation that the query reads, and make the query read it."""
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
        """Make the query read a view instead of files or a listing, with the same alias."""
        if not table.alias and table.name:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        for part in ("db", "catalog"):
            table.set(part, None)
        table.set("this", exp.to_identifier(view))

    def _name(self, table: exp.Table) -> None:
        """Create the view of a table, and make the query read it by its full name."""
        name = self.session.name(table)
        if name not in self._views:
            securable = self.engine.workspace.catalog.find("table", name)
            if securable is None:
                raise missing_table(".".join(name))
            if securable.query:
                text = self._view_text(securable)
            else:
                snapshot = self.engine.delta(securable).snapshot()
                self.read[securable.name] = snapshot
                text = relation(securable.columns, snapshot.files)
            self._define(name, text)
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

    def _view_text(self, securable: Securable) -> str:
        # Names in a view are resolved in the view's own catalog and schema.
        home, self.session = (
            self.session,
            Session(securable.name[0], securable.name[1], self.session.principal),
        )
        try:
            return _duckdb_text(self._with_views(parse(securable.query).copy()))
        finally:
            self.session = home

    def _define(self, name: Name, text: str) -> None:
        securable = self.engine.workspace.catalog.get("table", name)
        columns = ", ".join(f'"{column.name}"' for column in securable.columns)
        catalog, schema, view = (f'"{part}"' for part in _engine_name(name))
        self._views.add(name)
        try:
            self.connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {catalog}")
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog}.{schema}")
            self.connection.execute(f"CREATE VIEW {catalog}.{schema}.{view} ({columns}) AS {text}")
        except duckdb.Error as error:
            raise of_engine(error) from error

    def _files(self, call: exp.Func) -> str:
        """Create a view of `read_files(path, format => 'parquet', schema => '...')`."""
        arguments = [one for one in call.expressions if not isinstance(one, exp.Kwarg)]
        options = {
            one.name.lower(): one.expression.name
            for one in call.expressions
            if isinstance(one, exp.Kwarg)
        }
        if call.name.lower() != "read_files" or len(arguments) != 1:
            text = f"The double does not support the table function {call.name}."
            raise SqlFailure("DOUBLE_UNSUPPORTED", text, "0A000")
        unknown = set(options) - {"format", "schema"}
        if unknown or options.get("format", "").lower() != "parquet":
            text = (
                f"read_files({sorted(options)}): only format => 'parquet' and schema are supported."
            )
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
        found = sorted(local.rglob("*.parquet")) if local.is_dir() else globs.existing(local)
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
    """Return DuckDB's name for a catalog."""
    # DuckDB reserves the names `main`, `system` and `temp`.
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
