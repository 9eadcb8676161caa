"""Checks that each acknowledged event is exactly once in the local tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import definitions
from databricks_app.lake.local.verify import Verdict, check


def is_empty(folder: Path) -> bool:
    """Return whether the inbox of a data folder is empty."""
    return not any(path.suffix in (".seg", ".open") for path in (folder / "inbox").iterdir())


def verdict(folder: Path) -> Verdict:
    """Return the result of `ciolake verify`."""
    return check(folder, [one.name for one in definitions()][1:])


def raw_ids(folder: Path) -> list[str]:
    """Return the ids of the raw table, sorted; an id with several rows is repeated."""
    rows = LocalQuery(folder).run("SELECT event_id FROM webhook_raw_events").rows
    return sorted(str(row[0]) for row in rows)


@dataclass(frozen=True, slots=True)
class Found:
    """The content of the tables.

    Attributes:
        ids: Ids of the raw table, sorted; an id with several rows is repeated.
        differences: The differences that `ciolake verify` finds.
    """

    ids: list[str]
    differences: tuple[object, ...]

    @property
    def doubled(self) -> int:
        """Number of rows that are duplicates, or missing in their typed table."""
        return len(self.ids) - len(set(self.ids)) + len(self.differences)

    def lost(self, acknowledged: Iterable[str]) -> set[str]:
        """Return the acknowledged events that are in no table."""
        return set(acknowledged) - set(self.ids)


def found(folder: Path) -> Found:
    """Read the tables of a data folder."""
    return Found(raw_ids(folder), verdict(folder).differences)
