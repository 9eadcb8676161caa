"""The `loaded_at` of each commit: later than that of every earlier one, whatever clocks do.

A reader that polls a table by `loaded_at` misses a row that is committed later with an earlier
stamp. A load makes several commits, a clock steps back, another instance has another clock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from databricks_app.lake.arrow_columns import ArrowTable, constant

_STEP = timedelta(microseconds=1)


@dataclass(slots=True)
class CommitTimes:
    """One sequence for all tables, so that typed rows are never older than their raw rows.

    Attributes:
        newest: The newest `loaded_at` in any table; None without rows.
    """

    newest: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def stamped(self, rows: ArrowTable) -> ArrowTable:
        """Give the rows of one commit their `loaded_at`.

        Args:
            rows: At least one; their `loaded_at` is when the load began.
        """
        loaded_at = began_at = rows.column("loaded_at")[0].as_py()
        with self._lock:
            if self.newest is not None:
                loaded_at = max(began_at, self.newest + _STEP)
            self.newest = loaded_at
        return rows if loaded_at == began_at else constant(rows, "loaded_at", loaded_at)
