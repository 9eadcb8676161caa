"""Staged files: Parquet files in the volume that a MERGE reads; removed when they are loaded.

All are in one folder, so that a new owner of the lease finds old files with one listing.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from databricks_app.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from databricks_app.databricks.volume_files import Files
    from databricks_app.lake.arrow_columns import ArrowTable


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

    def put(self, name: str, rows: ArrowTable) -> str:
        """Store rows as a file and return its path. Several threads may call it."""
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression="zstd")
        path = f"{self.folder}/{self.lease}.{name}.parquet"
        self._staged.append(path)
        # A file with this name is from an earlier attempt and has the same rows.
        self.files.put(path, buffer.getvalue(), overwrite=True)
        return path

    def finished(self) -> list[str]:
        """Return the paths that were staged since the last call."""
        staged, self._staged = self._staged, []
        return staged

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files. `sweep` removes what could not be removed here."""
        for path in paths:
            with suppress(LakeError):
                self.files.delete(path)

    def sweep(self) -> None:
        """Remove all files that other leases or an earlier process left."""
        with suppress(LakeError):
            for name in self.files.names(self.folder):
                self.files.delete(f"{self.folder}/{name}")
