"""What a deployed receiver consists of, and what is missing of it. Pure.

Rights are granted one by one on the things themselves, not declared as resources of the app:
whether USE CATALOG and USE SCHEMA come along with a resource is said nowhere, and an app takes few
resources.
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
LARGEST_FILE_BYTES = 10_000_000
_NOTEBOOK = b"# Databricks notebook source"
_APP_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Target:
    """What to deploy where.

    Attributes:
        app: Name of the app.
        catalog: Of the tables; must exist.
        schema: Of the tables and the volume.
        volume: Where accepted events lie.
        warehouse_id: SQL warehouse that loads the tables.
        scope: Secret scope of the signing keys.
        relay: Application id of the relay's service principal; empty without one.
    """

    app: str
    catalog: str
    schema: str
    volume: str
    warehouse_id: str
    scope: str
    relay: str = ""

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
        return {"CIO_CATALOG": self.catalog, "CIO_SCHEMA": self.schema, "CIO_VOLUME": self.volume}


@dataclass(frozen=True, slots=True)
class Grant:
    """Privileges of the app's service principal on one thing.

    Attributes:
        kind: What it is; a view is a table as well.
        name: Its full name.
        privileges: As the API spells them, with underscores.
    """

    kind: Literal["CATALOG", "SCHEMA", "VOLUME", "TABLE"]
    name: str
    privileges: tuple[str, ...]


def is_app_name(text: str) -> bool:
    """Whether the platform takes this as the name of an app."""
    return _APP_NAME.fullmatch(text) is not None


def grants(target: Target, tables: Iterable[str], views: Iterable[str]) -> list[Grant]:
    """What the app needs, and no more: it makes no table and changes none.

    Views are granted too: to the loader's look at the schema, one that it may not read is missing.
    """
    inside = target.schema_name
    return [
        Grant("CATALOG", target.catalog, ("USE_CATALOG",)),
        Grant("SCHEMA", inside, ("USE_SCHEMA",)),
        Grant("VOLUME", target.volume_name, ("READ_VOLUME", "WRITE_VOLUME")),
        *(Grant("TABLE", f"{inside}.{name}", ("SELECT", "MODIFY")) for name in tables),
        *(Grant("TABLE", f"{inside}.{name}", ("SELECT",)) for name in views),
    ]


def table_changes(
    tables: Iterable[Table], there: Mapping[str, frozenset[str]]
) -> list[tuple[str, str]]:
    """Words and statement of each change that brings the tables up to `sql/`; nothing is dropped.

    Args:
        tables: The definitions.
        there: Columns, lower case, of each table that exists.
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
    """Fill in the variables of this target.

    Raises:
        ValueError: The file has no such variable.
    """
    for name, value in variables.items():
        line = re.compile(rf"^(\s*- name: {name}\n\s+value: ).*$", re.MULTILINE)
        text, times = line.subn(lambda found, value=value: found[1] + json.dumps(value), text)  # type: ignore[misc]  # binds each
        if times != 1:
            raise ValueError(f"app.yaml must give {name} a value, once")
    return text


def refusal(path: str, content: bytes) -> str | None:
    """Why the platform would not take a source file; None if it does."""
    if len(content) > LARGEST_FILE_BYTES:
        return f"{path} is larger than 10 MB, which the platform refuses"
    if content.startswith(_NOTEBOOK):
        return f"{path} begins like a notebook, and would lose its name when it is imported"
    return None


def digest(content: bytes) -> str:
    """Name of a file's content."""
    return hashlib.sha256(content).hexdigest()


def fingerprint(files: Mapping[str, str], secrets: Mapping[str, int], resources: str) -> str:
    """Name of all that an app reads when it is deployed: the same name needs no new deployment.

    Args:
        files: Digest by path.
        secrets: When each was last put, Unix milliseconds.
        resources: What the app was given, as text.
    """
    whole = json.dumps([dict(sorted(files.items())), dict(sorted(secrets.items())), resources])
    return digest(whole.encode())
