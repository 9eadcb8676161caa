"""What only Databricks has, and what the tests use instead when Spark runs our SQL.

Not a test module. A statement that matches nothing here runs as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_READ_FILES = re.compile(
    r"read_files\('(?P<path>[^']+)', format => 'parquet', schema => '(?P<schema>[^']*)'\)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement runs.

    Attributes:
        spark: The session, in the schema of the tables.
        local: The file on this machine that stands for a file of a volume.
    """

    spark: SparkSession
    local: Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Substitution:
    """A part of a statement that Spark does not know.

    Attributes:
        pattern: Finds it.
        why: Why Spark cannot run it.
        instead: What runs in its place.
        replace: Makes the text that does, from what was found.
    """

    pattern: re.Pattern[str]
    why: str
    instead: str
    replace: Callable[[Place, re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class NotRun:
    """Statements that Spark cannot run at all."""

    pattern: re.Pattern[str]
    why: str


def _staged(place: Place, found: re.Match[str]) -> str:
    """A view of the Parquet file with the requested schema."""
    path = place.local(found["path"])
    name = f"files_{re.sub('[^0-9A-Za-z]', '_', path.name)}_{found['schema'].count(',')}"
    rows = place.spark.read.schema(found["schema"]).parquet(str(path))
    rows.createOrReplaceTempView(name)
    return name


def _columns(place: Place, _found: re.Match[str]) -> str:
    """A view with the result of DESCRIBE for every table and view of the schema."""
    schema = place.spark.catalog.currentDatabase()
    rows = []
    for (table,) in (
        place.spark.sql("SHOW TABLES").where("NOT isTemporary").select("tableName").collect()
    ):
        for column in place.spark.table(f"`{table}`").schema:
            rows.append((schema, table, column.name, column.dataType.simpleString()))
    names = "table_schema STRING, table_name STRING, column_name STRING, full_data_type STRING"
    place.spark.createDataFrame(rows, names).createOrReplaceTempView("schema_columns")
    return "schema_columns"


SUBSTITUTIONS = (
    Substitution(
        _READ_FILES,
        "The table function read_files is Databricks' own.",
        "A temporary view of the same Parquet file, read with the same schema.",
        _staged,
    ),
    Substitution(
        re.compile(r"information_schema\.columns"),
        "Spark's catalog has no information schema.",
        "A temporary view of what Spark says of the columns of the schema.",
        _columns,
    ),
)
NOT_RUN = (
    NotRun(
        re.compile(r"SHOW GRANTS .*", re.DOTALL),
        "Spark has no grants; Unity Catalog has.",
    ),
    NotRun(
        re.compile(r"SELECT .* FROM information_schema\.table_privileges .*", re.DOTALL),
        "Spark has no grants; Unity Catalog has.",
    ),
)


def reason_not_to_run(statement: str) -> str | None:
    """Return why Spark cannot run a statement; None if it can."""
    return next((one.why for one in NOT_RUN if one.pattern.fullmatch(statement)), None)


def substituted(place: Place, statement: str) -> str:
    """Return the statement as Spark runs it."""
    for one in SUBSTITUTIONS:
        statement = one.pattern.sub(lambda found, of=one: of.replace(place, found), statement)
    return statement
