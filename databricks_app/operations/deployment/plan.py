"""The target of a deployment: names, grants, table changes and the content of app.yaml. Pure.

Rights are granted one by one, not as resources of the app: it is not documented whether a resource
includes USE CATALOG and USE SCHEMA, and the number of resources is limited.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from databricks_app.lake.warehouse import statements

if TYPE_CHECKING:
    from databricks_app.lake.sql_dialect import Table

WAREHOUSE_RESOURCE = "warehouse"
KEYS_RESOURCE = "signing-keys"
VOLUME_RESOURCE = "volume"
NEW = "new"
"""The value of `--warehouse` for a warehouse that the deployment makes."""
FRESHNESS, STOP = "CIO_FRESHNESS_SECONDS", "CIO_WAREHOUSE_STOP"
LARGEST_FILE_BYTES = 10_000_000
_NOTEBOOK = b"# Databricks notebook source"
_APP_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Target:
    """What to deploy where.

    Attributes:
        app: Name of the app.
        catalog: Catalog of the tables, which must exist.
        schema: Schema of the tables and the volume.
        volume: Volume for accepted events.
        warehouse_id: SQL warehouse that loads the tables; empty before it is made.
        scope: Secret scope of the signing keys.
        relay: Application id of the relay's service principal; empty without one.
        freshness: Seconds until an event is a row, as the setting's text.
        stops: Whether the loader stops the warehouse after a load, for which it must manage it.
    """

    app: str
    catalog: str
    schema: str
    volume: str
    warehouse_id: str
    scope: str
    relay: str = ""
    freshness: str = "900"
    stops: bool = False

    @property
    def schema_name(self) -> str:
        """Full name of the schema."""
        return f"{self.catalog}.{self.schema}"

    @property
    def volume_name(self) -> str:
        """Full name of the volume."""
        return f"{self.schema_name}.{self.volume}"

    @property
    def volume_path(self) -> str:
        """Path of the volume's files."""
        return f"/Volumes/{self.catalog}/{self.schema}/{self.volume}"

    @property
    def variables(self) -> dict[str, str]:
        """Variables of app.yaml that depend on the target."""
        return {
            "CIO_CATALOG": self.catalog,
            "CIO_SCHEMA": self.schema,
            "CIO_VOLUME": self.volume,
            FRESHNESS: self.freshness,
            STOP: "on" if self.stops else "off",
        }


@dataclass(frozen=True, slots=True)
class Grant:
    """Privileges of the app's service principal on one object.

    Attributes:
        kind: Kind of the object; a view counts as a table.
        name: Its full name.
        privileges: As the API spells them, with underscores.
    """

    kind: Literal["CATALOG", "SCHEMA", "VOLUME", "TABLE"]
    name: str
    privileges: tuple[str, ...]


def is_app_name(text: str) -> bool:
    """Whether the platform accepts this as the name of an app."""
    return _APP_NAME.fullmatch(text) is not None


def grants(target: Target, tables: Iterable[str], views: Iterable[str]) -> list[Grant]:
    """Return the grants that the app needs; it may not create or alter tables."""
    inside = target.schema_name
    return [
        Grant("CATALOG", target.catalog, ("USE_CATALOG",)),
        Grant("SCHEMA", inside, ("USE_SCHEMA",)),
        Grant("VOLUME", target.volume_name, ("READ_VOLUME", "WRITE_VOLUME")),
        *(Grant("TABLE", f"{inside}.{name}", ("SELECT", "MODIFY")) for name in tables),
        # The loader lists the views at start; a view that it may not read seems to be missing.
        *(Grant("TABLE", f"{inside}.{name}", ("SELECT",)) for name in views),
    ]


def table_changes(
    tables: Iterable[Table], there: Mapping[str, frozenset[str]]
) -> list[tuple[str, str]]:
    """Return a description and the SQL of each change that the tables need; nothing is dropped.

    Args:
        tables: The definitions from `sql/`.
        there: Columns, in lower case, of each table that exists.
    """
    changes = []
    for table in tables:
        if table.name not in there:
            changes.append((f"create table {table.name}", table.sql))
        elif missing := [name for name in table.column_names if name not in there[table.name]]:
            words = f"add to {table.name}: {', '.join(missing)}"
            changes.append((words, statements.add_columns(table, missing)))
    return changes


def app_yaml(text: str, variables: Mapping[str, str]) -> str:
    """Replace the values of these variables in app.yaml.

    Raises:
        ValueError: The file does not have such a variable exactly once.
    """
    for name, value in variables.items():
        line = re.compile(rf"^(\s*- name: {name}\n\s+value: ).*$", re.MULTILINE)
        text, times = line.subn(lambda found, value=value: found[1] + json.dumps(value), text)  # type: ignore[misc]  # binds each
        if times != 1:
            raise ValueError(f"app.yaml must set {name} exactly once")
    return text


def refusal(path: str, content: bytes) -> str | None:
    """Return why the platform would refuse or rename a source file; None if it accepts it."""
    if len(content) > LARGEST_FILE_BYTES:
        return f"{path} is larger than 10 MB, which the platform refuses"
    if content.startswith(_NOTEBOOK):
        return f"{path} begins like a notebook, so the platform would rename it"
    return None


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def fingerprint(files: Mapping[str, str], secrets: Mapping[str, int], resources: str) -> str:
    """Return a digest of everything that a deployment depends on.

    If it has not changed, no new deployment is needed.

    Args:
        files: Digest by path.
        secrets: When each secret was last written, Unix milliseconds.
        resources: The resources of the app, as text.
    """
    whole = json.dumps([dict(sorted(files.items())), dict(sorted(secrets.items())), resources])
    return digest(whole.encode())
