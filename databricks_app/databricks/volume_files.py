"""The files of a volume: the interfaces, and calls with a time limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from databricks_app.databricks.call_timeout import CallTimeout, silence

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import DatabricksWorkspace, FileEntry

T = TypeVar("T")

_FILE_SECONDS = 60.0


class FileListing(Protocol):
    """What a reader needs from a volume; paths are absolute.

    `DatabricksWorkspace` documents the exceptions.
    """

    def get(self, path: str) -> bytes:
        """Read a file; FileNotFoundError if there is none."""
        ...

    def entries(self, folder: str) -> Iterator[FileEntry]:
        """Yield the entries of a folder; nothing if there is no such folder."""
        ...


class Files(FileListing, Protocol):
    """The files of a volume by absolute path. `DatabricksWorkspace` documents the exceptions."""

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder; none if there is no such folder."""
        ...

    def put(self, path: str, content: bytes, *, overwrite: bool, seconds: float = ...) -> None:
        """Store a file; durable on return. FileExistsError if it may not be overwritten."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file; do nothing if there is none."""
        ...

    def delete_folder(self, path: str) -> None:
        """Delete an empty folder; do nothing if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class TimedFiles:
    """The files of a workspace, with a time limit for each call.

    Attributes:
        workspace: The workspace.
        timeout: The limits.
    """

    workspace: DatabricksWorkspace
    timeout: CallTimeout

    def put(
        self, path: str, content: bytes, *, overwrite: bool, seconds: float = _FILE_SECONDS
    ) -> None:
        """See `DatabricksWorkspace.put`."""
        self._run(
            lambda: self.workspace.put(path, content, overwrite=overwrite, seconds=seconds),
            "a put into the volume",
        )

    def get(self, path: str) -> bytes:
        """See `DatabricksWorkspace.get`."""
        return self._run(lambda: self.workspace.get(path), "a read from the volume")

    def names(self, folder: str) -> list[str]:
        """See `DatabricksWorkspace.names`."""
        return self._run(lambda: self.workspace.names(folder), "a listing of the volume")

    def entries(self, folder: str) -> Iterator[FileEntry]:
        """See `DatabricksWorkspace.entries`."""
        return iter(
            self._run(lambda: list(self.workspace.entries(folder)), "a listing of the volume")
        )

    def delete(self, path: str) -> None:
        """See `DatabricksWorkspace.delete`."""
        self._run(lambda: self.workspace.delete(path), "a deletion in the volume")

    def delete_folder(self, path: str) -> None:
        """See `DatabricksWorkspace.delete_folder`."""
        self._run(lambda: self.workspace.delete_folder(path), "a deletion in the volume")

    def _run(self, call: Callable[[], T], what: str) -> T:
        return self.timeout.run(call, what, why=silence)
