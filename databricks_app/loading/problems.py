"""What the loader has found since its start that an admin should know, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from databricks_app.events.workspaces import WorkspaceNames

# Commits of one load differ by microseconds, and the newest stamp is known to a millisecond.
CLOCK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LoaderProblems:
    """Counts since the start, and what stands now.

    Attributes:
        damaged: Damaged stretches of the inbox.
        isolated: Events that ended the loader whenever they were loaded.
        conflicts: Events whose key another event had.
        unreadable: Segments that cannot be read from the disk.
        clock_seconds_ahead: How far the newest `loaded_at` is ahead of the clock; may be negative.
        workspaces: Their names, and which are not in use yet.
    """

    damaged: int
    isolated: int
    conflicts: int
    unreadable: int
    clock_seconds_ahead: float
    workspaces: WorkspaceNames

    def sentences(self) -> tuple[str, ...]:
        """A sentence for each thing, with what to do."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.damaged:
            yield (
                f"{self.damaged} damaged stretches of the inbox were kept in its folder "
                "quarantine: the disk or its file system is not to be trusted"
            )
        if self.isolated:
            yield (
                f"{self.isolated} events end the loader whenever they are loaded and were kept "
                "in webhook_raw_events alone: report this, then `ciolake replay --unrouted`"
            )
        if self.conflicts:
            yield (
                f"{self.conflicts} events had the id and day of another event and were kept in "
                "webhook_raw_events alone, with the reason key_conflict: `ciolake verify` names "
                "them, report them to Customer.io"
            )
        if self.unreadable:
            yield f"{self.unreadable} segments of the inbox cannot be read from the disk"
        if self.clock_seconds_ahead > CLOCK_SECONDS:
            yield (
                f"loaded_at of the newest rows is {self.clock_seconds_ahead:.0f} s ahead of this "
                "machine's clock, and new rows go on from there, so that readers by loaded_at "
                "miss none: check the clocks of all machines (NTP)"
            )
        for name in sorted({self.workspaces.names[one] for one in self.workspaces.unrenamed}):
            yield (
                f"events of the workspace {name} are still loaded as default, like their rows "
                f"before: `ciolake workspaces rename default {name}` changes all of them"
            )
