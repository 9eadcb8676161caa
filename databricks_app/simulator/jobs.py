"""Exports and imports of the workspace, which take a few seconds as at the vendor."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from databricks_app.simulator.filters import text_of

if TYPE_CHECKING:
    from databricks_app.simulator.messages import Json

JOB_SECONDS = 5.0
URL_SECONDS = 900.0


@dataclass(slots=True)
class SimulatedExport:
    """An export.

    Attributes:
        id: Counts the exports, from 1.
        type: `customers` or `deliveries`.
        created_at: Unix seconds.
        total: The number of rows.
        content: The file.
        downloads: How often a URL of the file was given out.
    """

    id: int
    type: str
    created_at: float
    total: int
    content: bytes = field(repr=False)
    downloads: int = 0

    def is_done(self, now: float) -> bool:
        """Whether there is a file."""
        return now >= self.created_at + JOB_SECONDS


@dataclass(slots=True)
class SimulatedImport:
    """An import.

    Attributes:
        id: Counts the imports, from 1.
        fields: What the call said.
        created_at: Unix seconds.
        state: `processing`, `imported` or `failed`.
        rows: The number of rows of the file.
        imported: The number of rows that were imported.
        error: Why nothing was imported.
    """

    id: int
    fields: Json
    created_at: float
    state: str = "processing"
    rows: int = 0
    imported: int = 0
    error: str = ""


class SimulatedJobs:
    """All exports and imports, by id."""

    def __init__(self) -> None:
        self.exports: dict[int, SimulatedExport] = {}
        self.imports: dict[int, SimulatedImport] = {}

    def add_export(self, type_: str, rows: list[Json], now: float) -> SimulatedExport:
        """Start an export of these rows."""
        export = SimulatedExport(len(self.exports) + 1, type_, now, len(rows), _csv(rows))
        self.exports[export.id] = export
        return export

    def add_import(self, fields: Json, now: float) -> SimulatedImport:
        """Start an import."""
        started = SimulatedImport(len(self.imports) + 1, fields, now)
        self.imports[started.id] = started
        return started


def _csv(rows: list[Json]) -> bytes:
    """Write rows as CSV; the columns are all names, in the order in which they appear."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else text_of(row[name]) for name in names])
    return file.getvalue().encode()
