"""Reads the tables, views and statements of the folder `sql/`. Never executes them.

A definition that cannot be read means a broken installation. The `QueryError` names the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from databricks_app.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlglot import exp

_PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """One column of a table.

    Attributes:
        name: Lower case.
        type: Databricks type, e.g. `BIGINT` or `MAP<STRING, ARRAY<STRING>>`.
        nullable: False where the definition says NOT NULL.
        comment: Unit and source of the values.
    """

    name: str
    type: str
    nullable: bool
    comment: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `sql` is its `CREATE TABLE` statement as written."""

    name: str
    columns: tuple[ColumnDefinition, ...]
    comment: str
    sql: str

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class View:
    """One view.

    Attributes:
        name: Lower case.
        column_comments: Unit and meaning of each column, by name, in the order of the columns.
        comment: One sentence.
        header: The comment lines above the statement: what one row is, and which question the
            view answers.
        sql: The query after `AS`, in the Databricks dialect.
        file: Name of its file.
    """

    name: str
    column_comments: dict[str, str]
    comment: str
    header: str
    sql: str
    file: str

    def lacking(self, columns: Collection[str]) -> tuple[str, ...]:
        """Return the columns of this view that are not among `columns`."""
        return tuple(name for name in self.column_comments if name not in columns)


@dataclass(frozen=True, slots=True)
class Statement:
    """One Databricks statement as written, without its semicolon."""

    file: str
    sql: str


def sql_folder() -> Path:
    """Return the folder of the definitions: in the package, or next to it in a checkout."""
    installed = _PACKAGE / "_sql"
    return installed if installed.is_dir() else _PACKAGE.parent / "sql"


def statements(folder: str) -> tuple[Statement, ...]:
    """Return the statements of a folder of `sql/`, e.g. `tables`, in order and unchanged.

    Raises:
        QueryError: There is no such folder.
    """
    files = sorted((sql_folder() / folder).glob("*.sql"))
    if not files:
        raise QueryError(f"No SQL files in {sql_folder() / folder}; reinstall the package.")
    return tuple(
        Statement(file.name, text)
        for file in files
        for text in _split(file.read_text(encoding="utf-8"))
    )


@cache
def tables() -> tuple[Table, ...]:
    """Return all tables in the order of their files; the raw table is the first."""
    return tuple(_table(statement) for statement in statements("tables"))


def table(name: str) -> Table:
    """Return the table with this name.

    Raises:
        QueryError: There is no such table; lists the existing ones.
    """
    for candidate in tables():
        if candidate.name == name:
            return candidate
    known = ", ".join(candidate.name for candidate in tables())
    raise QueryError(f"There is no table {name}. Tables: {known}.")


@cache
def views() -> tuple[View, ...]:
    """Return all views in the order of their files. A view reads only tables and earlier views."""
    return tuple(_view(statement) for statement in statements("views"))


@cache
def _split(text: str) -> tuple[str, ...]:
    """Split a text at semicolons, but not at those in strings and comments."""
    from sqlglot import TokenType
    from sqlglot.dialects import Databricks

    parts: list[str] = []
    start, has_tokens = 0, False
    for token in Databricks().tokenize(text):
        if token.token_type is TokenType.SEMICOLON:
            if has_tokens:
                parts.append(text[start : token.start].strip())
            start, has_tokens = token.end + 1, False
        else:
            has_tokens = True
    if has_tokens:
        parts.append(text[start:].strip())
    return tuple(parts)


def _parse(statement: Statement, kind: str) -> exp.Create:
    """Parse a CREATE statement of this kind, `TABLE` or `VIEW`."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(statement.sql, dialect="databricks")
    except sqlglot.ParseError as error:
        raise QueryError(f"{statement.file} cannot be read: {error}") from error
    if not isinstance(tree, exp.Create) or tree.kind != kind:
        raise QueryError(
            f"{statement.file} is not a CREATE {kind}; each file must contain one such statement."
        )
    return tree


def _table(statement: Statement) -> Table:
    from sqlglot import exp

    tree = _parse(statement, "TABLE")
    definitions = cast("list[exp.ColumnDef]", tree.this.expressions)
    return Table(
        name=tree.find(exp.Table, bfs=True).name,  # type: ignore[union-attr]  # a CREATE names one
        columns=tuple(_column(definition) for definition in definitions),
        comment=_comment(tree),
        sql=statement.sql,
    )


def _column(definition: exp.ColumnDef) -> ColumnDefinition:
    from sqlglot import exp

    kinds = [constraint.kind for constraint in definition.constraints]
    return ColumnDefinition(
        name=definition.name,
        type=cast("exp.DataType", definition.kind).sql("databricks"),
        nullable=not any(isinstance(kind, exp.NotNullColumnConstraint) for kind in kinds),
        comment=_column_comment(definition),
    )


def _column_comment(definition: exp.ColumnDef) -> str:
    from sqlglot import exp

    comment = definition.find(exp.CommentColumnConstraint)
    return comment.name if comment else ""


def _comment(tree: exp.Create) -> str:
    from sqlglot import exp

    comment = tree.find(exp.SchemaCommentProperty)
    return comment.name if comment else ""


def _view(statement: Statement) -> View:
    from sqlglot import exp

    tree = _parse(statement, "VIEW")
    return View(
        name=tree.find(exp.Table, bfs=True).name,  # type: ignore[union-attr]  # a CREATE names one
        column_comments={
            definition.name: _column_comment(definition)
            for definition in tree.this.find_all(exp.ColumnDef)
        },
        comment=_comment(tree),
        header="\n".join(line.strip() for line in tree.pop_comments() or []),
        sql=_query_text(statement.sql),
        file=statement.file,
    )


def _query_text(sql: str) -> str:
    """Return the text after the first AS; the part before it cannot contain another AS."""
    from sqlglot import TokenType
    from sqlglot.dialects import Databricks

    tokens = Databricks().tokenize(sql)
    keyword = next(token for token in tokens if token.token_type is TokenType.ALIAS)
    return sql[keyword.end + 1 :].strip()
