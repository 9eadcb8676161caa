"""The loader on the double of a workspace, over simulated hours.

The loader's loop, the statements and the volume are real. Only the clock is simulated: a pause of
the loader takes no time, and the warehouse stops when its auto-stop has passed.

Not a test module.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from databricks_app.databricks.warehouse_api import TAG, TAG_VALUE
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.volume_reader import Names
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse.store import WarehouseLake
from databricks_app.loading.loader import Loader, open_loader
from databricks_app.loading.waking import Waking
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.status import LoaderStatus
from databricks_app.settings import from_environment
from tests.doubles import Databricks
from tests.doubles.databricks import WAREHOUSE_ID
from tests.support.lake_events import EMAIL, RAW

VOLUME = "main.cio.events"
# A Monday.
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
AUTO_STOP_SECONDS = 60.0


class SimulatedHours(threading.Event):
    """The event that stops the loader; each wait on it lets simulated time pass.

    Attributes:
        now: The simulated time, Unix seconds.
        statements: The times at which statements ran, one for each pass that had some.
        ages: Age of each event when the first pass after its load began, in seconds.
        statuses: What the loader reported.
        others: Tells whether somebody else uses the warehouse at a time.
        each_wait: Called after each pause of the loader.
        waking: Of the loader.
    """

    def __init__(
        self,
        double: Databricks,
        variables: dict[str, str],
        arrivals: Iterable[float],
        *,
        begin: float = NOON,
        hours: float = 1.0,
        others: Callable[[float], bool] = lambda _now: False,
    ) -> None:
        """Create the loader; the caller has set the variables in the environment.

        Args:
            double: The workspace; its warehouse gets an auto-stop of a minute.
            variables: Its settings.
            arrivals: When events arrive, in seconds after the begin, ascending.
            begin: Unix seconds.
            hours: How long the simulation lasts.
            others: See the attribute.
        """
        super().__init__()
        self.now, self._end = begin, begin + hours * 3600
        self.statements: list[float] = []
        self.ages: list[float] = []
        self.statuses: list[LoaderStatus] = []
        self.others = others
        self._double = double
        self._arrivals = [begin + at for at in arrivals]
        self._waiting: dict[str, float] = {}
        self._names = Names(clock=lambda: self.now)
        self._executed = self._count()
        self._awake_until = 0.0
        self.warehouse = double.workspace.warehouses.get(WAREHOUSE_ID)
        self.warehouse.settings |= {"auto_stop_mins": 1}
        self.warehouse.is_stopped = not others(begin)
        self.each_wait: Callable[[], None] = lambda: None
        self.loader = self._loader(variables)
        assert self.loader.waking is not None
        self.waking = self.loader.waking

    def _loader(self, variables: dict[str, str]) -> Loader:
        loader = open_loader(from_environment(variables), Metrics(), None)
        assert isinstance(loader.lake, WarehouseLake)
        assert isinstance(loader.waking, Waking)
        loader.lake._custom_tables = [
            one for one in sql_dialect.tables() if one.name in {RAW, EMAIL}
        ]
        loader.lake._custom_views = ()
        loader.stopping = self
        loader.now = loader.waking.now = lambda: self.now
        loader.write_status = self.statuses.append
        return loader

    def run(self) -> SimulatedHours:
        """Run the loader until the end of the hours."""
        self.loader.run()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Let time pass."""
        self._note_loads()
        self.now += timeout or 0.0
        while self._arrivals and self._arrivals[0] <= self.now:
            self._store(self._arrivals.pop(0))
        if self.others(self.now):
            self.warehouse.start()
            self._awake_until = self.now + AUTO_STOP_SECONDS
        elif self.now >= self._awake_until:
            self.warehouse.is_stopped = True
        self.each_wait()
        if self.now >= self._end:
            self.set()
        return self.is_set()

    @property
    def wake_ups(self) -> int:
        """How often a statement of the loader started the warehouse."""
        return self.warehouse.starts

    def tag(self) -> None:
        """Mark the warehouse as one that was made for the loader."""
        self.warehouse.settings |= {"tags": {"custom_tags": [{"key": TAG, "value": TAG_VALUE}]}}

    def _count(self) -> int:
        counts = self._double.faults.counts
        return counts["sql.OpenSession"] + counts["sql.ExecuteStatement"]

    def _note_loads(self) -> None:
        if (executed := self._count()) != self._executed:
            self._executed = executed
            self.statements.append(self.now)
            self._awake_until = self.now + AUTO_STOP_SECONDS
        for path, at in list(self._waiting.items()):
            if not (self._inbox / path).exists():
                self.ages.append(self.now - at)
                del self._waiting[path]

    @property
    def _inbox(self) -> Any:
        return self._double.workspace.catalog.volume_dir(tuple(VOLUME.split("."))) / "inbox"

    def _store(self, at: float) -> None:
        body = json.dumps(
            {
                "event_id": f"event-{at:.0f}",
                "object_type": "email",
                "metric": "opened",
                "timestamp": int(at),
                "data": {"recipient": "person@example.com"},
            }
        ).encode()
        names = Names(clock=lambda: at, instance=self._names.instance)
        names._counter = self._names._counter
        path, content = names.frame(
            [Record(body, datetime.fromtimestamp(at, UTC), "1", "00000000", len(body))]
        )
        (self._inbox / path).parent.mkdir(parents=True, exist_ok=True)
        (self._inbox / path).write_bytes(content)
        self._waiting[path] = at
