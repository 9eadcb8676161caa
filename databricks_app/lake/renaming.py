"""The rename of a workspace: what all engines have in common.

An event belongs to the workspace of its raw row. So the typed tables are changed first and the raw
table last: after a crash the raw rows still show which rows remain to be changed, and a second run
changes them. Only the column `workspace` is changed; `loaded_at` stays. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from databricks_app.events.workspaces import DEFAULT
from databricks_app.lake import StartReport

KEYS_IN_RAW = f"""SELECT coalesce(workspace, '{DEFAULT}') AS workspace, key_fingerprint,
  count(*) AS events, max(received_at) AS newest_received_at
FROM webhook_raw_events
GROUP BY coalesce(workspace, '{DEFAULT}'), key_fingerprint"""  # noqa: S608  # a constant
"""Counts the raw rows by workspace and key; `keys_in_raw` reads the result."""


@dataclass(frozen=True, slots=True)
class Rename:
    """A rename: the rows of some keys move from one workspace to another.

    Attributes:
        old: Name in the rows. Rows of earlier releases have no name and belong to `default`.
        new: The new name.
        fingerprints: Keys whose rows are changed, at least one; 8 hex digits each.
    """

    old: str
    new: str
    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyInRaw:
    """The raw rows of one workspace and one key.

    Attributes:
        workspace: Name of the workspace; `default` for rows without a name.
        fingerprint: Fingerprint of the key; None for rows without one.
        events: Number of rows.
        newest_received_at: When the newest of them was received, UTC.
    """

    workspace: str
    fingerprint: str | None
    events: int
    newest_received_at: datetime


class RenamingLake(Protocol):
    """A lake whose workspaces can be renamed. Start it first, so that no loader runs."""

    def start(self) -> StartReport:
        """See `Lake.start`."""
        ...

    def rows_to_rename(self, rename: Rename) -> Mapping[str, int]:
        """Return how many rows of each table a rename would change, the raw table last.

        Raises:
            LakeError: A table cannot be read.
        """
        ...

    def rename(self, rename: Rename) -> Mapping[str, int]:
        """Change the rows, the raw table last; return how many rows of each table were changed.

        Raises:
            LakeError: The storage fails. A second run completes the rename.
        """
        ...

    def close(self) -> None:
        """See `Lake.close`."""
        ...


def keys_in_raw(rows: Iterable[tuple[object, ...]]) -> list[KeyInRaw]:
    """Convert the result of `KEYS_IN_RAW`; sorted by workspace and key, rows without a key last."""
    found = [KeyInRaw(*cast("tuple[str, str | None, int, datetime]", row)) for row in rows]
    return sorted(found, key=lambda one: (one.workspace, one.fingerprint is None, one.fingerprint))
