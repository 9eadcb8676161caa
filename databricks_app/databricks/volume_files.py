"""The files of a volume, each call within the limits of the loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from databricks_app.databricks.call_timeout import Patience, silence

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import Entry, Workspace

T = TypeVar("T")

_FILE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PatientFiles:
    """The files of a workspace, each call within the writer's limits.

    Attributes:
        workspace: Whose.
        patience: The limits.
    """

    workspace: Workspace
    patience: Patience

    def put(
        self, path: str, content: bytes, *, overwrite: bool, seconds: float = _FILE_SECONDS
    ) -> None:
        """See `Workspace.put`."""
        self._run(
            lambda: self.workspace.put(path, content, overwrite=overwrite, seconds=seconds),
            "a put into the volume",
        )

    def get(self, path: str) -> bytes:
        """See `Workspace.get`."""
        return self._run(lambda: self.workspace.get(path), "a read from the volume")

    def names(self, folder: str) -> list[str]:
        """See `Workspace.names`."""
        return self._run(lambda: self.workspace.names(folder), "a look into the volume")

    def entries(self, folder: str) -> Iterator[Entry]:
        """See `Workspace.entries`."""
        return iter(
            self._run(lambda: list(self.workspace.entries(folder)), "a look into the volume")
        )

    def delete(self, path: str) -> None:
        """See `Workspace.delete`."""
        self._run(lambda: self.workspace.delete(path), "a removal from the volume")

    def delete_folder(self, path: str) -> None:
        """See `Workspace.delete_folder`."""
        self._run(lambda: self.workspace.delete_folder(path), "a removal from the volume")

    def _run(self, call: Callable[[], T], what: str) -> T:
        return self.patience.run(call, what, why=silence)
