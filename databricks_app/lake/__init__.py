"""The lake writes rows into Delta tables: each event exactly once, durable when `load` returns.

This module contains only the interface and imports no storage engine. `lake.local` writes Delta
tables in a folder, `lake.warehouse` writes tables of a Databricks workspace. A load may be repeated
at any time and after any crash: it adds the rows that are missing and changes no existing row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from databricks_app.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set
    from datetime import datetime

    from databricks_app.events.decoding import Reading

RAW_TABLE = "webhook_raw_events"

# Commits of one load differ by microseconds, and the newest `loaded_at` is known to a millisecond.
CLOCK_SECONDS = 5.0
"""How many seconds the newest `loaded_at` may be ahead of the clock without a warning."""


class Standby(LakeError):  # noqa: N818  # a state, not a failure
    """Another instance loads into the same tables. This is normal and needs no action."""


class KeptLease(Standby):
    """The other instance keeps the lease until it stops; it does not give it back after a drain."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The result of one load.

    Attributes:
        inserted: New rows by table; a table without new rows may be absent.
        duplicates: Rows by table that were not written because the batch or the table already
            contains their key.
        unrouted: New raw rows without a table, by reason.
        rejected: Rows that could not be loaded unchanged, by reason (`load_failed:<Type>`). Each
            becomes a raw row without a table. There are two exceptions: the raw table already
            has the event, or the engine refuses only the typed row. Then the raw row stays as
            it is, and `ciolake verify` lists the event.
        seconds: Duration of the load.
        by_metric: New rows by table and by the metric of the event, as sent.
    """

    inserted: Mapping[str, int]
    duplicates: Mapping[str, int]
    unrouted: Mapping[str, int]
    rejected: Mapping[str, int]
    seconds: float
    by_metric: Mapping[tuple[str, str | None], int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class StartReport:
    """The result of `Lake.start`.

    Attributes:
        created: Tables that were created.
        added_columns: Names of the columns that were added, by table.
        problems: One sentence for each file that was moved to quarantine, with the table, the
            version and the new path; or for each view that is missing or old. Empty after a
            clean stop.
    """

    created: tuple[str, ...] = ()
    added_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Lake(Protocol):
    """Writes rows into tables. Only one thread of one process may call it."""

    def start(self) -> StartReport:
        """Take the lock, repair damage of a power cut, create tables, add missing columns.

        Raises:
            Standby: Another instance loads; call again later.
            LakeError: Another loader runs, or a table cannot be used; says what to do.
        """
        ...

    def load(
        self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime
    ) -> LoadReport:
        """Insert the rows that are missing; durable when it returns.

        Args:
            readings: In the order in which they were received.
            batch_id: Different for each load, also if the same readings are loaded again.
            loaded_at: When the load begins, UTC. A commit uses this time. If a table has rows of
                this time or later, the commit uses the newest time plus one microsecond.

        Raises:
            Standby: Another instance has taken over.
            LakeError: The storage fails at the moment (disk full, unreadable, changed by another
                program). Nothing is lost; the same batch may be loaded again.
        """
        ...

    def newest_loaded_at(self) -> datetime | None:
        """Return the newest `loaded_at` of all tables; None if they are empty. Needs `start`."""
        ...

    def workspaces_of(self, fingerprints: Set[str]) -> frozenset[tuple[str, str]]:
        """Return the pairs of key and workspace in the raw rows that name a table.

        Raw rows without a table, e.g. canaries, belong to no delivery and are ignored.

        Args:
            fingerprints: The keys, at least one.

        Raises:
            LakeError: The raw table cannot be read.
        """
        ...

    def close(self) -> None:
        """Release the lock. The lake may be started again."""
        ...


@runtime_checkable
class StagingLake(Lake, Protocol):
    """A lake that can store the rows of several portions first and load all of them at once.

    Nothing that is staged counts until `commit` returns: after a crash, a failure or `discard`, all
    portions must be staged again.
    """

    def stage(self, readings: Sequence[Reading], *, batch_id: str, loaded_at: datetime) -> bool:
        """Store the rows of a portion. This needs the volume and no warehouse.

        Args:
            readings: In the order in which they were received.
            batch_id: The same for all portions of a load, and different for each load. Portions
                of an earlier load that was not committed are discarded.
            loaded_at: When the load begins, UTC.

        Returns:
            Whether the load takes a further portion; if not, commit it first.

        Raises:
            LakeError: The volume cannot be used now, or the lake is not started.
        """
        ...

    def commit(self, *, loaded_at: datetime) -> LoadReport:
        """Insert the staged rows that are missing; durable when it returns.

        Nothing is staged afterwards, also if it fails. `seconds` of the report has only the commit.

        Args:
            loaded_at: Like that of `load`.

        Raises:
            Standby: Another instance has taken over.
            LakeError: The storage fails at the moment. Nothing is lost; stage again.
        """
        ...

    def discard(self) -> None:
        """Forget what is staged; never fails."""
        ...
