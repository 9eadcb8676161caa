"""The inbox: acknowledged events wait here until they are loaded (transactional inbox).

It has two interfaces:

- `Appender` for the web processes: `append` returns when the record is durable. A `GroupAppender`
  can also store a group for an event loop, without blocking it.
- `Reader` for the loader: `batches`, `delete`, `pending`, and `batch_of` to read again the batch
  during which a loader died.

`local` and `local_reader` implement them with local files, `volume` and `volume_reader` with a
Unity Catalog volume. `frames` is the format on disk, `waiting` the queue of records that are not
durable yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from databricks_app.errors import InboxError
from databricks_app.events.record import Record


@dataclass(frozen=True, slots=True)
class Pending:
    """The events that are durable and not yet in the tables.

    Attributes:
        events: Number of events, exact.
        bytes: Their size on disk.
        oldest_at: When the oldest event was received, UTC; None if there are no events.
    """

    events: int
    bytes: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to load together and to delete together.

    Attributes:
        records: In the order in which they were received.
        sources: Names of the segments or objects that contain them.
        damaged: Number of byte ranges without a readable record; the reader has copied them to
            the quarantine.
        torn: Number of unfinished writes. They were never acknowledged.
    """

    records: tuple[Record, ...]
    sources: tuple[str, ...]
    damaged: int = 0
    torn: int = 0


class Appender(Protocol):
    """The interface for the receiver."""

    def append(self, record: Record, deadline_seconds: float) -> None:
        """Store a record, and return when it would survive a loss of power.

        Raises:
            InboxFull: There is no room.
            InboxTimeout: The deadline has passed. The record may be stored nevertheless.
            InboxClosed: The process is stopping.
            InboxError: The disk or the volume failed.
        """
        ...

    def trouble(self) -> str | None:
        """Return why an append would fail now; None if it would succeed."""
        ...

    def close(self) -> None:
        """Refuse further records, finish the current ones and close the segment."""
        ...


@runtime_checkable
class GroupAppender(Protocol):
    """An `Appender` that can also store records without a waiting thread.

    Attributes:
        groups: How many groups one event loop should submit at the same time.
    """

    groups: int

    def submit(
        self, records: Sequence[Record], done: Callable[[InboxError | None], None]
    ) -> Callable[[], bool]:
        """Start to store records, all or none of them; return at once.

        Args:
            records: At least one; must not be changed afterwards.
            done: Called once, from any thread: with None when the records would survive a loss of
                power, or with the reason why they are not stored. Must neither raise nor block.

        Returns:
            A function that cancels. It returns True if the records were still waiting; then `done`
            is not called. It returns False if they are being written or `done` was called.

        Raises:
            InboxClosed: The process is stopping; `done` is not called.
        """
        ...


class Reader(Protocol):
    """The interface for the loader."""

    @property
    def folder(self) -> Path:
        """A local folder for the loader's note, see `crash_isolation`."""
        ...

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of the sources that could not be read in the last pass. They stay pending."""
        ...

    def batches(self, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield all events that are ready now, oldest first."""
        ...

    def batch_of(self, names: Sequence[str]) -> Batch | None:
        """Read the sources of a batch again; None if one is missing or cannot be read."""
        ...

    def delete(self, batch: Batch) -> None:
        """Delete a batch whose rows are durable in the tables."""
        ...

    def pending(self) -> Pending:
        """Count the events that are stored and not yet deleted."""
        ...
