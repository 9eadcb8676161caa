"""How long the warehouse has run for the loader today: an estimate, kept in the volume.

The platform bills a warehouse from its start until it stops. Its bill comes too late for a ceiling,
so this is a model: from the begin of our first statement to the end of our last one, plus the
auto-stop time, or to the stop. The use of others is not in it, and the time in which they would
have kept the warehouse running anyway is not taken out.

The volume keeps it, so that a restart, another machine and the doctor know it too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databricks_app.databricks.volume_files import FileListing, Files

_DAY_SECONDS = 86400.0
_PATH = "state/warehouse_use.json"


@dataclass(frozen=True, slots=True)
class WarehouseUse:
    """The time in which the warehouse runs because of our statements. Times are Unix seconds.

    Attributes:
        awake_from: Begin of the first statement of the newest wake-up; 0 if there was none.
        awake_until: End of that wake-up: its last statement plus the auto-stop, or the stop.
        last_statement_at: End of our last statement; None if there was none.
        earlier_seconds: Seconds of the earlier wake-ups of the day of `awake_from`.
    """

    awake_from: float = 0.0
    awake_until: float = 0.0
    last_statement_at: float | None = None
    earlier_seconds: float = 0.0

    def after_statement(self, began: float, ended: float, auto_stop_seconds: float) -> WarehouseUse:
        """Return the use with one more statement."""
        until = ended + auto_stop_seconds
        last = max(ended, self.last_statement_at or 0.0)
        if self.awake_from and began <= self.awake_until:
            return replace(self, awake_until=max(self.awake_until, until), last_statement_at=last)
        return WarehouseUse(began, until, last, self.seconds_on_day_of(began))

    def after_stop(self, at: float) -> WarehouseUse:
        """Return the use if the warehouse was stopped."""
        return replace(self, awake_until=max(self.awake_from, min(self.awake_until, at)))

    def seconds_on_day_of(self, now: float) -> float:
        """Return the seconds of the UTC day of this time, until this time."""
        midnight = now - now % _DAY_SECONDS
        begin = max(self.awake_from, midnight)
        newest = max(0.0, min(self.awake_until, now) - begin)
        return newest + (self.earlier_seconds if self.awake_from >= midnight else 0.0)


def read(files: FileListing, volume: str) -> WarehouseUse:
    """Return the use that the volume keeps; an empty one if it has none or a damaged one.

    Raises:
        WorkspaceError: The volume cannot be read now.
    """
    try:
        content = json.loads(files.get(f"{volume}/{_PATH}"))
        last = content["last_statement_at"]
        return WarehouseUse(
            float(content["awake_from"]),
            float(content["awake_until"]),
            None if last is None else float(last),
            float(content["earlier_seconds"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return WarehouseUse()


def write(files: Files, volume: str, use: WarehouseUse) -> None:
    """Keep the use in the volume.

    Raises:
        WorkspaceError: It is unknown whether it is kept.
    """
    files.put(f"{volume}/{_PATH}", json.dumps(asdict(use)).encode(), overwrite=True)
