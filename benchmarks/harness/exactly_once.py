"""Whether each acknowledged event stands exactly once in the local tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from databricks_app.lake.local.query import LocalQuery
from databricks_app.lake.local.store import definitions
from databricks_app.lake.local.verify import Verdict, check


def is_empty(folder: Path) -> bool:
    """Whether nothing waits in the inbox of a data folder."""
    return not any(path.suffix in (".seg", ".open") for path in (folder / "inbox").iterdir())


def verdict(folder: Path) -> Verdict:
    """Return what `ciolake verify` finds."""
    return check(folder, [one.name for one in definitions()][1:])


def raw_ids(folder: Path) -> list[str]:
    """Return the ids of the raw table, ordered, repeated if they stand there more than once."""
    rows = LocalQuery(folder).run("SELECT event_id FROM webhook_raw_events").rows
    return sorted(str(row[0]) for row in rows)


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in the tables.

    Attributes:
        ids: Of the raw table, ordered, repeated if they stand there more than once.
        differences: What `ciolake verify` finds.
    """

    ids: list[str]
    differences: tuple[object, ...]

    @property
    def doubled(self) -> int:
        """How many rows are too many, or not in the table where they belong."""
        return len(self.ids) - len(set(self.ids)) + len(self.differences)

    def lost(self, acknowledged: Iterable[str]) -> set[str]:
        """Which acknowledged events are in no table."""
        return set(acknowledged) - set(self.ids)


def found(folder: Path) -> Found:
    """Look into the tables of a data folder."""
    return Found(raw_ids(folder), verdict(folder).differences)
