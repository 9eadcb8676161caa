"""A volume in memory or in a folder, for tests of what is kept in one."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from databricks_app.errors import LakeError


class MemoryFiles:
    """A volume whose operations take effect one after the other.

    Attributes:
        stored: Content by path.
        broken: What every operation says while it is set.
        before: Called with the operation and the path before each takes effect.
    """

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.broken: str | None = None
        self.before: Callable[[str, str], None] = lambda _operation, _path: None
        self._lock = threading.RLock()

    def _begin(self, operation: str, path: str) -> None:
        self.before(operation, path)
        if self.broken is not None:
            raise LakeError(self.broken)

    def put(self, path: str, content: bytes, *, overwrite: bool, **_limits: float) -> None:
        """Store a file."""
        self._begin("put", path)
        with self._lock:
            if path in self.stored and not overwrite:
                raise FileExistsError(path)
            self.stored[path] = content

    def get(self, path: str) -> bytes:
        """Read a file."""
        self._begin("get", path)
        try:
            return self.stored[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def names(self, folder: str) -> list[str]:
        """Names in a folder."""
        self._begin("names", folder)
        with self._lock:
            return sorted(
                path.removeprefix(f"{folder}/")
                for path in self.stored
                if path.startswith(f"{folder}/")
            )

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._begin("delete", path)
        self.stored.pop(path, None)


class FolderFiles(MemoryFiles):
    """A volume in a folder, for processes that die.

    Attributes:
        root: Where `/Volumes/...` lies.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def local(self, path: str) -> Path:
        """Where a file lies."""
        return self.root / path.removeprefix("/")

    def put(self, path: str, content: bytes, *, overwrite: bool, **_limits: float) -> None:
        """Store a file."""
        self._begin("put", path)
        target = self.local(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        made = target.with_name(f".{secrets.token_hex(8)}")
        made.write_bytes(content)
        if overwrite:
            made.replace(target)
        else:
            try:
                target.hardlink_to(made)
            finally:
                made.unlink()

    def get(self, path: str) -> bytes:
        """Read a file."""
        self._begin("get", path)
        return self.local(path).read_bytes()

    def names(self, folder: str) -> list[str]:
        """Names in a folder."""
        self._begin("names", folder)
        found = self.local(folder)
        if not found.is_dir():
            return []
        return sorted(one.name for one in found.iterdir() if not one.name.startswith("."))

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._begin("delete", path)
        self.local(path).unlink(missing_ok=True)
