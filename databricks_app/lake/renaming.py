"""A workspace gets another name: which rows are changed, whatever the engine.

The raw table decides: an event belongs to the workspace of its raw row. So the typed tables are
changed first and the raw table last: after a crash the raw rows still say what is to be done, and
a repetition completes it. Everything but the column `workspace` stays as it is, `loaded_at` too.
Pure.
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
"""What the raw table holds of each workspace and key; see `keys_in_raw`."""


@dataclass(frozen=True, slots=True)
class Rename:
    """The rows of some keys go from one workspace to another.

    Attributes:
        old: Name in the rows; rows of earlier releases without a name belong to `default`.
        new: Name that they get.
        fingerprints: Keys whose rows are changed, at least one; 8 hex digits each.
    """

    old: str
    new: str
    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyInRaw:
    """What the raw table holds of one workspace and one key.

    Attributes:
        workspace: Its name; `default` for rows without one.
        fingerprint: Of the key; None where the rows have none.
        events: How many rows.
        newest_received_at: When the newest of them was received, UTC.
    """

    workspace: str
    fingerprint: str | None
    events: int
    newest_received_at: datetime


class RenamingLake(Protocol):
    """A lake whose workspaces can be renamed; started, so that nobody else loads."""

    def start(self) -> StartReport:
        """See `Lake.start`."""
        ...

    def rows_to_rename(self, rename: Rename) -> Mapping[str, int]:
        """How many rows of each table a rename would change, the raw table last.

        Raises:
            LakeError: A table cannot be read.
        """
        ...

    def rename(self, rename: Rename) -> Mapping[str, int]:
        """Change them, the raw table last; how many rows of each table were changed.

        Raises:
            LakeError: The storage fails. Run again, it completes what is missing.
        """
        ...

    def close(self) -> None:
        """See `Lake.close`."""
        ...


def keys_in_raw(rows: Iterable[tuple[object, ...]]) -> list[KeyInRaw]:
    """The rows of `KEYS_IN_RAW`, by workspace and key; the rows without a key last."""
    found = [KeyInRaw(*cast("tuple[str, str | None, int, datetime]", row)) for row in rows]
    return sorted(found, key=lambda one: (one.workspace, one.fingerprint is None, one.fingerprint))
