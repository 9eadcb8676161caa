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

    def next(self, began_at: datetime) -> datetime:
        """Return the `loaded_at` of the next commit: `began_at`, or later than every earlier one.

        Args:
            began_at: When the load began, UTC.
        """
        with self._lock:
            if self.newest is not None:
                began_at = max(began_at, self.newest + _STEP)
            self.newest = began_at
        return began_at

    def stamped(self, rows: ArrowTable) -> ArrowTable:
        """Return the rows of one commit with their `loaded_at`.

        Args:
            rows: At least one. Their `loaded_at` is the time at which the load began.
        """
        began_at = rows.column("loaded_at")[0].as_py()
        loaded_at = self.next(began_at)
        return rows if loaded_at == began_at else constant(rows, "loaded_at", loaded_at)
