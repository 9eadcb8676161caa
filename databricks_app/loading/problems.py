"""The problems that the loader reports in `/readyz`, with what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from databricks_app.events.workspaces import WorkspaceNames
from databricks_app.lake import CLOCK_SECONDS
from databricks_app.runtime.status import WarehouseStatus, over_ceiling
from databricks_app.runtime.words import counted


@dataclass(frozen=True, slots=True)
class LoaderProblems:
    """Counts since the loader started, and its current state.

    Attributes:
        damaged: Damaged byte ranges of the inbox.
        isolated: Events that crashed the loader each time.
        conflicts: Events with the key of another event.
        unreadable: Segments or objects of the inbox that cannot be read now.
        clock_seconds_ahead: Newest `loaded_at` minus the clock of this machine; can be negative.
        workspaces: The names of workspaces, and which of them are not in use yet.
        warehouse: The use of the warehouse; None for a local store.
    """

    damaged: int
    isolated: int
    conflicts: int
    unreadable: int
    clock_seconds_ahead: float
    workspaces: WorkspaceNames
    warehouse: WarehouseStatus | None = None

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each problem, with what to do."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.warehouse is not None and self.warehouse.is_over_ceiling:
            yield over_ceiling(self.warehouse)
        if self.damaged:
            yield counted(
                self.damaged,
                "damaged [part of the inbox was|parts of the inbox were] copied to its folder "
                "quarantine: check the disk and its file system",
            )
        if self.isolated:
            yield counted(
                self.isolated,
                "[event crashes the loader and is|events crash the loader and are] only in "
                "webhook_raw_events: report this; after a fix run `ciolake replay --unrouted`",
            )
        if self.conflicts:
            yield counted(
                self.conflicts,
                "[event had the id and day of another event and is|events had the id and day of "
                "another event and are] only in webhook_raw_events, with the reason key_conflict: "
                "`ciolake verify` lists [it, report it|them, report them] to Customer.io",
            )
        if self.unreadable:
            yield counted(
                self.unreadable,
                "inbox [segment|segments] cannot be read: check the disk or volume",
            )
        if self.clock_seconds_ahead > CLOCK_SECONDS:
            yield (
                f"loaded_at of the newest rows is {self.clock_seconds_ahead:.0f} s ahead of this "
                "machine's clock; new rows get still later values, so that readers by loaded_at "
                "miss no row: check the clocks of all machines (NTP)"
            )
        for old, new in self.workspaces.renames:
            yield (
                f"events of the workspace {new} are still loaded as {old}, like their older rows: "
                f"run `ciolake workspaces rename {old} {new}` to rename all of them"
            )
