"""Statements under way: each runs in a thread, is waited for, polled, and cancelled."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from tests.doubles.warehouse.failures import SqlFailure

if TYPE_CHECKING:
    from tests.doubles.warehouse.queries import Parameter, Session
    from tests.doubles.warehouse.statements import Engine


@dataclass(slots=True)
class Execution:
    """One statement.

    Attributes:
        sql: Its text.
        id: Unique for ever.
        state: As the Statement Execution API names it.
        rows: Of a success; empty and without columns where a statement has none.
        failure: Of a failure.
    """

    sql: str
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    state: str = "PENDING"
    rows: pa.Table | None = None
    failure: str = ""
    sql_state: str = ""
    position: int = 0
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(
        self, engine: Engine, session: Session, parameters: list[Parameter], delay: float = 0.0
    ) -> None:
        """Run it in a thread, after `delay` seconds."""

        def work() -> None:
            if delay:
                time.sleep(delay)
            with self._lock:
                if self.state != "PENDING":
                    return
                self.state = "RUNNING"
            try:
                rows = engine.run(self.sql, session, parameters)
            except SqlFailure as failure:
                self._settle("FAILED", None, str(failure), failure.state)
            except Exception as error:  # noqa: BLE001  # a fault of the double, told to its user
                self._settle("FAILED", None, f"[DOUBLE_BROKEN] {error!r}", "XX000")
            else:
                self._settle("SUCCEEDED", rows, "", "")

        engine.pool.submit(work)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it has come."""
        return self._done.wait(seconds)

    def cancel(self) -> None:
        """Give it up; what it does may still take effect, as on the platform."""
        self._settle("CANCELED", None, "The statement was cancelled.", "HY008")

    def _settle(self, state: str, rows: pa.Table | None, failure: str, sql_state: str) -> None:
        with self._lock:
            if self._done.is_set():
                return
            self.state, self.rows = state, rows
            self.failure, self.sql_state = failure, sql_state
            self._done.set()
