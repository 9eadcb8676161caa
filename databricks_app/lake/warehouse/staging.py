"""Files on their way into a warehouse: Parquet in the volume, gone when they are loaded.

All lie in one folder, so that whoever takes the lease finds what was left behind in one look.
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
        folder: Path of the folder of all leases.
        lease: Name of this lease, the beginning of its files' names.
    """

    files: Files
    folder: str
    lease: str
    _staged: list[str] = field(default_factory=list, init=False)

    def put(self, name: str, rows: ArrowTable) -> str:
        """Store rows and return the path of their file; may be called by several threads."""
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression="zstd")
        path = f"{self.folder}/{self.lease}.{name}.parquet"
        self._staged.append(path)
        # A file of the same name is one of a try before, with the same rows.
        self.files.put(path, buffer.getvalue(), overwrite=True)
        return path

    def finished(self) -> list[str]:
        """Paths of what was staged since it was last asked."""
        staged, self._staged = self._staged, []
        return staged

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; what cannot be removed now is left to `sweep`."""
        for path in paths:
            with suppress(LakeError):
                self.files.delete(path)

    def sweep(self) -> None:
        """Remove what other leases and a process before have left behind."""
        with suppress(LakeError):
            for name in self.files.names(self.folder):
                self.files.delete(f"{self.folder}/{name}")
