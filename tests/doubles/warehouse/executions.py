"""Running statements: each runs in a thread; a client waits for it, polls or cancels it."""

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
        id: Its id.
        state: Its state, by the name of the Statement Execution API.
        rows: The rows, after a success; a statement without a result has no columns.
        failure: The error text, after a failure.
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

    def start(
        self, engine: Engine, session: Session, parameters: list[Parameter], delay: float = 0.0
    ) -> None:
        """Run the statement in a thread, after `delay` seconds."""

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
                self._finish("FAILED", None, str(failure), failure.state)
            except Exception as error:  # noqa: BLE001  # a bug of the double is shown to its user
                self._finish("FAILED", None, f"[DOUBLE_BROKEN] {error!r}", "XX000")
            else:
                self._finish("SUCCEEDED", rows, "", "")

        engine.pool.submit(work)

    def wait(self, seconds: float) -> bool:
        """Wait until the statement has ended; returns whether it has."""
        return self._done.wait(seconds)

    def cancel(self) -> None:
        """Cancel the statement; as on the platform, its effect may still take place."""
        self._finish("CANCELED", None, "The statement was cancelled.", "HY008")

    def _finish(self, state: str, rows: pa.Table | None, failure: str, sql_state: str) -> None:
        with self._lock:
            if self._done.is_set():
                return
            self.state, self.rows = state, rows
            self.failure, self.sql_state = failure, sql_state
            self._done.set()
