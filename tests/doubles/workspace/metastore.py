"""The content of Unity Catalog: catalogs, schemas, volumes, tables, views, and grants.

Names are compared in lower case. Volumes are folders `volumes/<catalog>/<schema>/<volume>`, tables
are Delta tables in `tables/<catalog>/<schema>/<table>`. Everything else is in memory.

Not simulated: enforcement of grants (they are stored and shown; a fault denies) and of ownership,
owners of what SQL creates (the metastore's owner, unless a test sets one), external locations,
storage credentials, tags, lineage.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from tests.doubles.messages import Refused

Name = tuple[str, ...]


@dataclass(slots=True)
class Column:
    """One column; `type` is the Databricks type in upper case."""

    name: str
    type: str
    nullable: bool = True
    comment: str = ""


@dataclass(slots=True)
class Securable:
    """An object with a name and grants.

    Attributes:
        kind: The kind of object.
        name: Parts of its full name.
        comment: Its comment.
        properties: Table properties.
        columns: Columns of a table or view.
        clustering: Names of the clustering columns of a table.
        query: The SELECT of a view.
        grants: Privileges by principal.
        owner: Its owner; empty: the metastore's owner.
        made_at: When it was created, in Unix milliseconds.
    """

    kind: Literal["catalog", "schema", "volume", "table", "view"]
    name: Name
    comment: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    clustering: list[str] = field(default_factory=list)
    query: str = ""
    grants: dict[str, set[str]] = field(default_factory=dict)
    owner: str = ""
    made_at: int = field(default_factory=lambda: int(time.time() * 1000))

    @property
    def full_name(self) -> str:
        """The name with dots."""
        return ".".join(self.name)


_WORDS = {"catalog": "CATALOG", "schema": "SCHEMA", "volume": "VOLUME", "table": "TABLE"}


@dataclass(slots=True)
class Metastore:
    """All securables. Safe to share between threads.

    Attributes:
        folder: The folder for volumes and tables.
        owner: Owner of the metastore.
        lock: Held while a securable is added, changed or removed.
    """

    folder: Path
    owner: str = "admin@example.com"
    lock: threading.RLock = field(default_factory=threading.RLock)
    _held: dict[tuple[str, Name], Securable] = field(default_factory=dict)

    def add(self, made: Securable, *, is_repeatable: bool = False) -> Securable:
        """Add a securable; with `is_repeatable` an existing one is returned instead.

        Raises:
            Refused: It already exists, or its parent does not exist.
        """
        key = (_namespace(made.kind), made.name)
        with self.lock:
            if key in self._held:
                if is_repeatable:
                    return self._held[key]
                raise Refused(
                    409,
                    f"{_word(made.kind)}_ALREADY_EXISTS",
                    f"{_word(made.kind).title()} '{made.full_name}' already exists",
                )
            if len(made.name) > 1:
                self.get("catalog" if len(made.name) == 2 else "schema", made.name[:-1])
            if made.kind == "volume":
                self.volume_dir(made.name).mkdir(parents=True, exist_ok=True)
            self._held[key] = made
            return made

    def seed(self, full_name: str) -> None:
        """Add a volume `catalog.schema.volume`, or a schema or catalog, with its parents."""
        parts = tuple(full_name.lower().split("."))
        kinds: tuple[Literal["catalog", "schema", "volume"], ...] = ("catalog", "schema", "volume")
        for depth, kind in enumerate(kinds[: len(parts)], 1):
            self.add(Securable(kind, parts[:depth]), is_repeatable=True)

    def get(self, kind: str, name: Name) -> Securable:
        """Return the securable of that name; a view is found as a table.

        Raises:
            Refused: It does not exist.
        """
        name = tuple(part.lower() for part in name)
        securable = self._held.get((_namespace(kind), name))
        if securable is None:
            raise Refused(
                404,
                f"{_word(kind)}_DOES_NOT_EXIST",
                f"{_word(kind).title()} '{'.'.join(name)}' does not exist.",
            )
        return securable

    def find(self, kind: str, name: Name) -> Securable | None:
        """Return the securable of that name, or None if it does not exist."""
        return self._held.get((_namespace(kind), tuple(part.lower() for part in name)))

    def inside(self, kind: str, parent: Name = ()) -> list[Securable]:
        """Return the securables of a kind inside a parent, by name."""
        parent = tuple(part.lower() for part in parent)
        with self.lock:
            found = [
                securable
                for (namespace, name), securable in self._held.items()
                if namespace == _namespace(kind) and name[: len(parent)] == parent
            ]
        return sorted(found, key=lambda securable: securable.name)

    def drop(self, kind: str, name: Name, *, is_forced: bool = False) -> None:
        """Remove a securable with its files.

        Raises:
            Refused: It does not exist, or it is not empty and `is_forced` is false.
        """
        with self.lock:
            securable = self.get(kind, name)
            depth = len(securable.name)
            within = [
                key
                for key in self._held
                if len(key[1]) > depth and key[1][:depth] == securable.name
            ]
            if within and not is_forced and securable.kind in {"catalog", "schema"}:
                raise Refused(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    f"Cannot delete {securable.kind} '{securable.full_name}': it is not empty.",
                )
            del self._held[(_namespace(securable.kind), securable.name)]
            if securable.kind in {"catalog", "schema"}:
                for key in within:
                    del self._held[key]
            for below in ("volumes", "tables"):
                if securable.kind in {"catalog", "schema", below[:-1]}:
                    shutil.rmtree(self.folder / below / Path(*securable.name), ignore_errors=True)

    def volume_dir(self, name: Name) -> Path:
        """Return the folder of a volume."""
        return self.folder / "volumes" / Path(*name)

    def table_dir(self, name: Name) -> Path:
        """Return the folder of a table."""
        return self.folder / "tables" / Path(*name)

    def local_path(self, path: str) -> Path:
        """Return the local path of `/Volumes/<catalog>/<schema>/<volume>/...`.

        Raises:
            Refused: The path has another form, or the volume does not exist.
        """
        parts = PurePosixPath(path).parts
        if len(parts) < 5 or parts[:2] != ("/", "Volumes") or ".." in parts:  # / Volumes c s v
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Invalid path: {path}")
        volume = self.find("volume", parts[2:5])
        if volume is None:
            name = ".".join(parts[2:5])
            raise Refused(
                404,
                "NOT_FOUND",
                f"Volume '{name}' does not exist.",
                reason="FILES_API_VOLUME_IS_NOT_FOUND",
            )
        return self.volume_dir(volume.name).joinpath(*parts[5:])

    def above(self, securable: Securable) -> list[Securable]:
        """Return the parents of a securable: its schema, then its catalog."""
        kinds = {2: "schema", 1: "catalog"}
        depths = [depth for depth in (2, 1) if depth < len(securable.name)]
        return [self.get(kinds[depth], securable.name[:depth]) for depth in depths]

    def is_managed_by(self, securable: Securable, names: set[str]) -> bool:
        """Return whether one of these principals owns or manages a securable.

        An owner or manager of a parent or of the metastore counts too.
        """
        chain = [securable, *self.above(securable)]
        owners = {self.owner, *(one.owner or self.owner for one in chain)}
        managers = {
            who for one in chain for who, privileges in one.grants.items() if "MANAGE" in privileges
        }
        return bool(names & (owners | managers))

    def grant(self, securable: Securable, principal: str, add: set[str], remove: set[str]) -> None:
        """Change the privileges of a principal; they are stored with underscores."""
        with self.lock:
            now = securable.grants.setdefault(principal, set())
            now |= {_privilege(one) for one in add}
            now -= {_privilege(one) for one in remove}
            if not now:
                del securable.grants[principal]


def _namespace(kind: str) -> str:
    return "table" if kind == "view" else kind


def _word(kind: str) -> str:
    return _WORDS[_namespace(kind)]


def _privilege(name: str) -> str:
    return "_".join(name.upper().replace("_", " ").split())
