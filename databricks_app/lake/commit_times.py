"""Gives each commit a `loaded_at` that is later than that of every earlier commit.

A reader that polls a table by `loaded_at` would miss a row that is committed later with an earlier
time. The clock alone is not enough: a load makes several commits, a clock can step back, and two
instances have two clocks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from databricks_app.lake.arrow_columns import ArrowTable, constant

_STEP = timedelta(microseconds=1)


@dataclass(slots=True)
class CommitTimes:
    """The commit times of all tables, in one sequence.

    Attributes:
        newest: The newest `loaded_at` in any table; None without rows.
    """

    # One sequence for all tables: a typed row is never older than its raw row.
    newest: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def stamped(self, rows: ArrowTable) -> ArrowTable:
        """Return the rows of one commit with their `loaded_at`.

        Args:
            rows: At least one. Their `loaded_at` is the time at which the load began.
        """
        loaded_at = began_at = rows.column("loaded_at")[0].as_py()
        with self._lock:
            if self.newest is not None:
                loaded_at = max(began_at, self.newest + _STEP)
            self.newest = loaded_at
        return rows if loaded_at == began_at else constant(rows, "loaded_at", loaded_at)
