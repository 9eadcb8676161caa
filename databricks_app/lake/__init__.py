"""The lake: rows into Delta tables, each event exactly once, durable when `load` returns.

This module is the contract alone and imports no storage engine; `lake.local` writes Delta tables
into a folder, `lake.warehouse` into those of a Databricks workspace. A load may be repeated at any
time and after any crash: it completes what is missing and changes nothing that is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from databricks_app.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set
    from datetime import datetime

    from databricks_app.events.decoding import Reading

RAW_TABLE = "webhook_raw_events"

CLOCK_SECONDS = 5.0
"""What the newest `loaded_at` may be ahead of the clock without being worth a word.

Commits of one load differ by microseconds, and the newest stamp is known to a millisecond.
"""


class Standby(LakeError):  # noqa: N818  # a state, and no failure
    """Another instance loads into the same tables; nothing is wrong and nothing to be done."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What one load did.

    Attributes:
        inserted: New rows by table; a table without new rows may be absent.
        duplicates: Rows by table that were not written because their key stood earlier in the
            batch or in the table already.
        unrouted: New raw rows without a table, by reason.
        rejected: Rows that could not be loaded as they were, by reason (`load_failed:<Type>`).
            They are raw rows without a table, unless the raw table held them before or the
            engine refused the typed row alone: these keep their raw row, and a check names them.
        seconds: Duration of the load.
        by_metric: The new rows by table and by the event's metric as sent.
    """

    inserted: Mapping[str, int]
    duplicates: Mapping[str, int]
    unrouted: Mapping[str, int]
    rejected: Mapping[str, int]
    seconds: float
    by_metric: Mapping[tuple[str, str | None], int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class StartReport:
    """What the start of the lake found and did.

    Attributes:
        created: Tables that were made.
        added_columns: Names of the columns that were added, by table.
        problems: One sentence for each thing that was moved aside, with the table, the version
            and where it lies now. Empty after a clean stop.
    """

    created: tuple[str, ...] = ()
    added_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Lake(Protocol):
    """Where rows become tables. One process, one thread calls it."""

    def start(self) -> StartReport:
        """Take the lock, repair what a power cut left, create and widen tables.

        Raises:
            Standby: Another instance loads; ask again.
            LakeError: Another loader runs, or a table cannot be used; says what to do.
        """
        ...

    def load(
        self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime
    ) -> LoadReport:
        """Insert the rows that are not there yet; durable when it returns.

        Args:
            readings: In the order of their receipt.
            batch_id: Another one for each load, also of the same readings.
            loaded_at: When it begins, UTC. Each commit takes this or, if a table holds rows of
                that time or later, a microsecond more than the newest of them.

        Raises:
            Standby: Another instance has taken over.
            LakeError: The storage fails for now (disk full, unreadable, changed by somebody
                else). Nothing is lost; the same batch may be loaded again.
        """
        ...

    def newest_loaded_at(self) -> datetime | None:
        """The newest `loaded_at` of all tables, from the start on; None without rows."""
        ...

    def workspaces_of(self, fingerprints: Set[str]) -> frozenset[tuple[str, str]]:
        """Each of these keys with each workspace of its routed rows; at least one is asked.

        Events without a table, such as canaries, belong to no delivery and do not count.

        Raises:
            LakeError: The raw table cannot be read.
        """
        ...

    def close(self) -> None:
        """Give the lock back. The lake may be started again."""
        ...
