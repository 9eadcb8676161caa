"""Staged files: Parquet files in the volume that a MERGE reads; removed when they are loaded.

All are in one folder, so that a new owner of the lease finds old files with one listing.
"""

from __future__ import annotations

import io
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from databricks_app.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Set
    from datetime import date

    from databricks_app.databricks.volume_files import Files
    from databricks_app.lake.arrow_columns import ArrowTable

_SUFFIX = ".parquet"
MISSING = (
    "a staged file is missing: another loader has deleted it, or somebody else. Only the owner of "
    "the lease may delete files in `staging/`"
)


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A staged file and what is known about its rows.

    Attributes:
        path: Where it is.
        rows: Number of rows.
        dates: Every `event_date` in it.
        metrics: Number of rows by the metric of the event.
    """

    path: str
    rows: int
    dates: Set[date]
    metrics: Counter[str | None]


@dataclass(slots=True)
class Staging:
    """The staged files of one lease.

    Attributes:
        files: The volume.
        folder: Path of the folder that all leases share.
        lease: Name of this lease; the prefix of its file names.
    """

    files: Files
    folder: str
    lease: str
    _staged: list[str] = field(default_factory=list, init=False)
    _numbers: Iterator[int] = field(default_factory=count, init=False)

    def put(self, name: str, rows: ArrowTable) -> str:
        """Store rows as a new file and return its path. Several threads may call it.

        Args:
            name: The middle of the file's name. Files with the same name differ by a number.
            rows: What to store.
        """
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression="zstd")
        path = f"{self.folder}/{self.lease}.{name}.{next(self._numbers)}{_SUFFIX}"
        self._staged.append(path)
        # Only a put whose answer was lost finds a file with this name, with the same rows.
        self.files.put(path, buffer.getvalue(), overwrite=True)
        return path

    def stage(self, name: str, rows: ArrowTable) -> StagedFile:
        """Store rows like `put`; return the file with the facts about its rows."""
        path = self.put(name, rows)
        dates = frozenset(rows.column("event_date").unique().to_pylist())
        return StagedFile(path, rows.num_rows, dates, Counter(rows.column("metric").to_pylist()))

    def read(self, file: StagedFile) -> ArrowTable:
        """Read the rows of a file.

        Raises:
            LakeError: The file is missing, or cannot be read now.
        """
        try:
            content = self.files.get(file.path)
        except FileNotFoundError as error:
            raise LakeError(MISSING) from error
        return pq.read_table(pa.BufferReader(content))

    def finished(self) -> list[str]:
        """Return the paths that were staged since the last call."""
        staged, self._staged = self._staged, []
        return staged

    def remove(self, path: str) -> None:
        """Remove a file. `sweep` removes what could not be removed here."""
        with suppress(LakeError):
            self.files.delete(path)

    def sweep(self) -> None:
        """Remove all files that other leases or an earlier process left."""
        with suppress(LakeError):
            for name in self.files.names(self.folder):
                self.files.delete(f"{self.folder}/{name}")


def pattern(files: Sequence[StagedFile]) -> str:
    """Return one path that matches exactly these files, in the syntax of `read_files`.

    A single file is its own pattern: then `read_files` fails if the file is missing. With several
    files it reads those that exist.

    Args:
        files: At least one; staged under the same name.
    """
    first, *others = [one.path for one in files]
    if not others:
        return first
    start = first.removesuffix(_SUFFIX).rpartition(".")[0] + "."
    numbers = ",".join(one.removeprefix(start).removesuffix(_SUFFIX) for one in (first, *others))
    return f"{start}{{{numbers}}}{_SUFFIX}"
