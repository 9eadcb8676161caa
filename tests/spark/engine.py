"""Runs Databricks SQL on Spark, in a schema of its own. Not a test module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databricks_app.lake import sql_dialect
from tests.spark.substitutions import Place, substituted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = tuple[Any, ...]
_VOLUME = re.compile(r"/Volumes/[^/]+/[^/]+/[^/]+/")


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a statement.

    Attributes:
        names: Of its columns.
        types: Of its columns, in Databricks' words and upper case.
        rows: Its rows; times are UTC-aware.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[Row]


class SparkEngine:
    """A schema, and the session that runs statements in it.

    Attributes:
        spark: The session.
    """

    def __init__(self, spark: SparkSession, schema: str, volume: Path | None = None) -> None:
        """Create the schema and use it.

        Args:
            spark: Where; a session of its own is made.
            schema: Its name.
            volume: Folder that stands for the volume of the statements, whatever its name.
        """
        self.spark = spark.newSession()
        self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS `{schema}`")
        self.spark.sql(f"USE `{schema}`")
        self._volume = volume

    def run(self, sql: str, parameters: Mapping[str, object] | None = None) -> Answer:
        """Run a statement, with `substitutions` for the parts that Spark does not have."""
        text = substituted(Place(self.spark, self._local), sql)
        frame = self.spark.sql(text, dict(parameters or {}))
        types = tuple(column.dataType.simpleString().upper() for column in frame.schema)
        rows = frame.toArrow()
        columns = [column.to_pylist(maps_as_pydicts="strict") for column in rows.columns]
        return Answer(tuple(frame.columns), types, list(zip(*columns, strict=True)))

    def make(self, kind: str) -> None:
        """Run every file of `sql/tables` or `sql/views`, in order."""
        for statement in sql_dialect.statements(kind):
            self.run(statement.sql)

    def register(self, folder: Path) -> None:
        """Use the Delta tables of a local data folder, and make the views over them."""
        for table in sql_dialect.tables():
            folder_of_table = folder / "tables" / table.name
            if folder_of_table.is_dir():
                self.spark.sql(
                    f"CREATE TABLE `{table.name}` USING DELTA LOCATION '{folder_of_table}'"
                )
            else:
                self.run(table.sql)
        self.make("views")

    def _local(self, path: str) -> Path:
        assert self._volume is not None, f"no volume for {path}"
        found = _VOLUME.match(path)
        assert found, path
        return self._volume / path[found.end() :]


def comparable(rows: Iterable[Iterable[Any]]) -> list[Row]:
    """Convert rows so that each SQL value has the same Python value for all engines."""
    return [tuple(_plain(value) for value in row) for row in rows]


def ordered(rows: list[Row]) -> list[Row]:
    """Sort rows of any values; NULL is first."""
    return sorted(rows, key=lambda row: [(value is not None, repr(value)) for value in row])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.tzinfo is not None
        return value.astimezone(UTC)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value
