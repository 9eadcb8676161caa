"""What Unity Catalog knows: catalogs, schemas, volumes, tables, views, and grants.

Names are compared in lower case. Volumes are folders `volumes/<catalog>/<schema>/<volume>`, tables
Delta tables in `tables/<catalog>/<schema>/<table>`; all else is memory of the process.

Does not imitate: enforcement of grants (they are kept and told; a fault denies) and of ownership,
owners of what SQL makes (the metastore's owner; a test says otherwise), external locations, storage
credentials, tags, lineage.
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
    """One column; `type` is the Databricks type in capitals."""

    name: str
    type: str
    nullable: bool = True
    comment: str = ""


@dataclass(slots=True)
class Securable:
    """Anything with a name and grants.

    Attributes:
        kind: What it is.
        name: Parts of its full name.
        comment: Of its maker.
        properties: Table properties.
        columns: Of a table or view.
        clustering: Columns that a table is clustered by.
        query: What a view selects.
        grants: Privileges by principal.
        owner: Who made it, or was given it; empty for the metastore's owner.
        made_at: Unix milliseconds.
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
    """All securables; methods may be called by several threads.

    Attributes:
        folder: Where volumes and tables lie.
        owner: Of the metastore.
        lock: Held while something is made, changed or removed.
    """

    folder: Path
    owner: str = "admin@example.com"
    lock: threading.RLock = field(default_factory=threading.RLock)
    _held: dict[tuple[str, Name], Securable] = field(default_factory=dict)

    def add(self, made: Securable, *, is_repeatable: bool = False) -> Securable:
        """Make a securable; with `is_repeatable` the one that is there is good as well.

        Raises:
            Refused: It exists, or what it would be in does not.
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
        """Make a volume `catalog.schema.volume`, or a schema, with what it is in."""
        parts = tuple(full_name.lower().split("."))
        kinds: tuple[Literal["catalog", "schema", "volume"], ...] = ("catalog", "schema", "volume")
        for depth, kind in enumerate(kinds[: len(parts)], 1):
            self.add(Securable(kind, parts[:depth]), is_repeatable=True)

    def get(self, kind: str, name: Name) -> Securable:
        """The securable of that name; a view is found as a table.

        Raises:
            Refused: There is none.
        """
        name = tuple(part.lower() for part in name)
        held = self._held.get((_namespace(kind), name))
        if held is None:
            raise Refused(
                404,
                f"{_word(kind)}_DOES_NOT_EXIST",
                f"{_word(kind).title()} '{'.'.join(name)}' does not exist.",
            )
        return held

    def find(self, kind: str, name: Name) -> Securable | None:
        """The securable of that name, if there is one."""
        return self._held.get((_namespace(kind), tuple(part.lower() for part in name)))

    def inside(self, kind: str, parent: Name = ()) -> list[Securable]:
        """Securables directly inside another, by name."""
        parent = tuple(part.lower() for part in parent)
        with self.lock:
            found = [
                held
                for (namespace, name), held in self._held.items()
                if namespace == _namespace(kind) and name[: len(parent)] == parent
            ]
        return sorted(found, key=lambda held: held.name)

    def drop(self, kind: str, name: Name, *, is_forced: bool = False) -> None:
        """Remove a securable with its files.

        Raises:
            Refused: There is none, or it is not empty and not forced.
        """
        with self.lock:
            held = self.get(kind, name)
            within = [key for key in self._held if _is_within(key[1], held.name)]
            if within and not is_forced and held.kind in {"catalog", "schema"}:
                raise Refused(
                    400,
                    "INVALID_PARAMETER_VALUE",
                    f"Cannot delete {held.kind} '{held.full_name}': it is not empty.",
                )
            del self._held[(_namespace(held.kind), held.name)]
            if held.kind in {"catalog", "schema"}:
                for key in within:
                    del self._held[key]
            for below in ("volumes", "tables"):
                if held.kind in {"catalog", "schema", below[:-1]}:
                    shutil.rmtree(self.folder / below / Path(*held.name), ignore_errors=True)

    def volume_dir(self, name: Name) -> Path:
        """Folder of a volume."""
        return self.folder / "volumes" / Path(*name)

    def table_dir(self, name: Name) -> Path:
        """Folder of a table."""
        return self.folder / "tables" / Path(*name)

    def local_path(self, path: str) -> Path:
        """The local path of `/Volumes/<catalog>/<schema>/<volume>/...`.

        Raises:
            Refused: It is none, or there is no such volume.
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

    def above(self, held: Securable) -> list[Securable]:
        """The schema and the catalog that a securable is in, the nearest first."""
        kinds = {2: "schema", 1: "catalog"}
        depths = [depth for depth in (2, 1) if depth < len(held.name)]
        return [self.get(kinds[depth], held.name[:depth]) for depth in depths]

    def is_managed_by(self, held: Securable, names: set[str]) -> bool:
        """Whether one of these owns or manages a securable, one above it, or the metastore."""
        chain = [held, *self.above(held)]
        owners = {self.owner, *(one.owner or self.owner for one in chain)}
        managers = {who for one in chain for who, held in one.grants.items() if "MANAGE" in held}
        return bool(names & (owners | managers))

    def grant(self, held: Securable, principal: str, add: set[str], remove: set[str]) -> None:
        """Change the privileges of a principal; they are written with underscores."""
        with self.lock:
            now = held.grants.setdefault(principal, set())
            now |= {_privilege(one) for one in add}
            now -= {_privilege(one) for one in remove}
            if not now:
                del held.grants[principal]


def _namespace(kind: str) -> str:
    return "table" if kind == "view" else kind


def _word(kind: str) -> str:
    return _WORDS[_namespace(kind)]


def _is_within(name: Name, parent: Name) -> bool:
    return len(name) > len(parent) and name[: len(parent)] == parent


def _privilege(name: str) -> str:
    return "_".join(name.upper().replace("_", " ").split())
