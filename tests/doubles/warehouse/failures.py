"""Failures of statements: error class, SQLSTATE and text, as Databricks writes them."""

from __future__ import annotations

import duckdb


class SqlFailure(Exception):  # noqa: N818  # an answer, not an error of the double
    """A statement fails; the client gets the text."""

    def __init__(self, error_class: str, text: str, state: str) -> None:
        super().__init__(f"[{error_class}] {text} SQLSTATE: {state}")
        self.error_class = error_class
        self.state = state


class InjectedFailure(SqlFailure):
    """A failure that a fault injects, with the whole text given by a test."""

    def __init__(self, text: str) -> None:
        Exception.__init__(self, text or "[INTERNAL_ERROR] An injected fault. SQLSTATE: XX000")
        self.error_class, self.state = "GIVEN", "XX000"


def missing_table(name: str) -> SqlFailure:
    """Return the failure for a table or view that does not exist."""
    text = f"The table or view `{name}` cannot be found. Verify the spelling and correctness."
    return SqlFailure("TABLE_OR_VIEW_NOT_FOUND", text, "42P01")


def unknown_statement(statement: str) -> SqlFailure:
    """Return the failure for a statement that the double does not support."""
    words = " ".join(statement.split())[:200]
    return SqlFailure("DOUBLE_UNSUPPORTED", f"The double does not support: {words}", "0A000")


def concurrent_append(table: str) -> SqlFailure:
    """Return the failure for a write after which another write has committed first."""
    text = (
        "ConcurrentAppendException: Files were added to the root of the table by a concurrent"
        f" update of `{table}`. Please try the operation again."
    )
    return SqlFailure("DELTA_CONCURRENT_APPEND", text, "2D521")


def of_engine(error: duckdb.Error) -> SqlFailure:
    """Return the failure that Databricks would give for an error of DuckDB."""
    text = str(error).partition("\n\nLINE ")[0]
    match error:
        case duckdb.ConversionException() | duckdb.InvalidInputException():
            return SqlFailure("CAST_INVALID_INPUT", text, "22018")
        case duckdb.OutOfRangeException():
            return SqlFailure("ARITHMETIC_OVERFLOW", text, "22003")
        case duckdb.ParserException():
            return SqlFailure("PARSE_SYNTAX_ERROR", text, "42601")
        case duckdb.BinderException():
            return SqlFailure("UNRESOLVED_COLUMN.WITH_SUGGESTION", text, "42703")
        case duckdb.CatalogException():
            return SqlFailure("UNRESOLVED_ROUTINE", text, "42883")
        case duckdb.InterruptException():
            return SqlFailure("OPERATION_CANCELED", "The query was cancelled.", "HY008")
    return SqlFailure("INTERNAL_ERROR", text, "XX000")
