"""Wakes the warehouse for loads: applies `wake_ups` to the real inbox, warehouse and clock.

Only the loader's loop calls it, but statements report from several threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from databricks_app.databricks import warehouse_use
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.volume_files import Files, TimedFiles
from databricks_app.databricks.warehouse_api import RUNNING, WarehouseApi, WarehouseDescription
from databricks_app.databricks.warehouse_use import WarehouseUse
from databricks_app.errors import LakeError
from databricks_app.ingest.inbox import Pending
from databricks_app.loading import wake_ups
from databricks_app.loading.wake_ups import Decision, Reason, Situation, WakeUpPolicy
from databricks_app.runtime.freshness import CEILING_WAIT_SECONDS
from databricks_app.runtime.metrics import Metrics
from databricks_app.runtime.status import WarehouseStatus

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import DatabricksWorkspace
    from databricks_app.settings import Settings

# Of a warehouse whose auto-stop cannot be read: the default of Databricks.
_UNKNOWN_AUTO_STOP_SECONDS = 600.0
# Events of the local inbox may be loaded only so much later than they arrived.
_UNCLOSED_SECONDS = 60.0
# In these states the first statement waits for the start.
_NOT_RUNNING = frozenset(("STOPPED", "STOPPING", "STARTING"))

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Waking:
    """Decides when to load, and keeps account of how long the warehouse runs for it.

    Attributes:
        policy: What is allowed; it learns from each load.
        warehouse: The warehouse.
        files: The volume.
        volume: Its path; it keeps the use of the warehouse.
        metrics: Counts wake-ups.
        stops: Whether to stop a warehouse that was made for the loader after a load.
        inbox_max_bytes: Size at which the receiver refuses events; None if there is no limit.
        take: Becomes the loader that loads, without a statement; may be called again.
        now: Clock, Unix seconds.
    """

    policy: WakeUpPolicy
    warehouse: WarehouseApi
    files: Files
    volume: str
    metrics: Metrics
    stops: bool = False
    inbox_max_bytes: int | None = None
    take: Callable[[], None] = lambda: None
    now: Callable[[], float] = time.time
    _use: WarehouseUse | None = None
    _described: WarehouseDescription | None = None
    _decision: Decision | None = None
    _proven_at: float | None = None
    _drained_at: float = 0.0
    _has_rest: bool = False
    _events: int = 0
    _since: float = 0.0
    _wait_seconds: float = 0.0
    _first: tuple[float, float] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, pending: Pending) -> Decision:
        """Return whether to load everything now, and when to look again.

        Raises:
            LakeError: The volume cannot be read.
        """
        self._first, self._events = None, pending.events
        if self._use is None:
            self._use = warehouse_use.read(self.files, self.volume)
            self._since = self.now()
        situation = self._situation(pending)
        decision = wake_ups.decide(self.policy, situation)
        if decision.is_state_wanted:
            # Another machine of ours may keep it running; two of them would never let it stop.
            self._use = self._newest_use()
            self._described = self._describe()
            if self._described is not None:
                situation = replace(self._situation(pending), state=self._described.state)
                decision = wake_ups.decide(self.policy, situation)
        if wake_ups.is_over_ceiling(self.policy, situation.used_seconds):
            self._wait_seconds = max(self.policy.freshness_seconds, CEILING_WAIT_SECONDS)
        if decision.is_proven is not None:
            self._proven_at = situation.now if decision.is_proven else None
        self._decision = decision
        return decision

    @contextmanager
    def load(self) -> Iterator[None]:
        """Load inside: accounts for the statements, then stops the warehouse if it may.

        Raises:
            LakeError: The volume cannot be read.
        """
        self._use = self._newest_use()
        self._described = self._describe()
        began = self.now()
        is_shared = self._is_used_by_others(began)
        self._has_rest = False
        try:
            yield
        except BaseException:
            if self.has_woken:
                self._keep()
            raise
        self._drained_at, self._wait_seconds = 0.0 if self._has_rest else began, 0.0
        if self.has_woken:
            self._learn(self._events, began)
            if self.stops and not is_shared:
                self._stop()
            self._keep()

    def leave_rest(self) -> None:
        """Note that the load ends early: what it leaves stays due."""
        self._has_rest = True

    @contextmanager
    def statement(self) -> Iterator[None]:
        """Account for a statement, which may wake the warehouse. Safe for threads."""
        began = self.now()
        if self._account(began, began):
            self._keep()  # before the wake-up: a process that dies in a load has used it too
        try:
            yield
        finally:
            self._account(began, self.now())

    @property
    def has_woken(self) -> bool:
        """Whether a statement has run since the newest decision."""
        return self._first is not None

    def stand_by(self) -> None:
        """Forget what only the loader that loads knows."""
        self._use = self._decision = None

    def status(self) -> WarehouseStatus | None:
        """Return what `/readyz` shows; None before the first decision and on standby."""
        if self._use is None:
            return None
        return WarehouseStatus(
            seconds_today=round(self._use.seconds_on_day_of(self.now()), 1),
            ceiling_seconds=self.policy.daily_seconds,
            waits_because=None if self._decision is None else str(self._decision.reason),
            wait_seconds=max(self.policy.freshness_seconds, self._wait_seconds),
        )

    def _account(self, began: float, ended: float) -> bool:
        """Add a statement to the use; return whether it is the first one of a load."""
        with self._lock:
            use = self._use or WarehouseUse()
            self._use = use.after_statement(began, ended, self._idle_seconds())
            is_first = self._first is None
            if self._first is None or self._first[0] == began:
                self._first = began, ended
        return is_first

    def _situation(self, pending: Pending) -> Situation:
        now = self.now()
        use = self._use or WarehouseUse()
        oldest = None
        if pending.oldest_at is not None:
            # What a load leaves (an object that cannot be read) waits for the next one; otherwise
            # each look would load. The newest events may be in a segment that was not closed.
            oldest = pending.oldest_at.timestamp()
            if oldest <= self._drained_at - _UNCLOSED_SECONDS:
                oldest = self._drained_at
        if self.policy.hours is not None and self._described is None:
            self._described = self._describe()
        described = self._described
        limit = self.inbox_max_bytes
        return Situation(
            now=now,
            oldest_at=oldest,
            events=pending.events,
            bytes=pending.bytes,
            # Nothing is known of a time before this process: its last statement may be just over.
            last_statement_at=use.last_statement_at or self._since,
            auto_stop_seconds=None if described is None else described.auto_stop_seconds,
            proven_at=self._proven_at,
            used_seconds=use.seconds_on_day_of(now),
            inbox_share=pending.bytes / limit if limit else 0.0,
        )

    def _describe(self) -> WarehouseDescription | None:
        try:
            return self.warehouse.describe()
        except LakeError as error:
            log.warning("warehouse_not_described", problem=str(error))
            return self._described and replace(self._described, state="UNKNOWN")

    def _idle_seconds(self) -> float:
        known = None if self._described is None else self._described.auto_stop_seconds
        return _UNKNOWN_AUTO_STOP_SECONDS if known is None else known

    def _newest_use(self) -> WarehouseUse:
        """Return the use of the volume, where another machine may have loaded since."""
        kept, own = warehouse_use.read(self.files, self.volume), self._use
        # Ours is newer if it could not be kept.
        is_ours_newer = own is not None and (own.last_statement_at or 0.0) > (
            kept.last_statement_at or 0.0
        )
        return own if own is not None and is_ours_newer else kept

    def _is_used_by_others(self, now: float) -> bool:
        """Tell whether the warehouse runs although our statements do not keep it running."""
        is_running = self._described is not None and self._described.state == RUNNING
        until = (self._use or WarehouseUse()).awake_until
        return is_running and now > until + wake_ups.IDLE_MARGIN_SECONDS

    def _learn(self, events: int, began: float) -> None:
        """Remember how long start and load took."""
        first = self._first or (began, began)
        described = self._described
        is_start = described is not None and described.state in _NOT_RUNNING
        # The first statement waits for the start; the rest of the time is the load.
        start = first[1] - first[0] if is_start else None
        seconds = self.now() - began - (start or 0.0)
        self.policy = self.policy.after_load(events, max(seconds, 0.0), start)
        reason = Reason.DUE if self._decision is None else self._decision.reason
        self.metrics.wake_ups.labels(reason.name.lower()).inc()
        log.info(
            "warehouse_used",
            reason=reason.name.lower(),
            events=events,
            start_seconds=None if start is None else round(start, 1),
            load_seconds=round(seconds, 1),
        )

    def _stop(self) -> None:
        """Stop the warehouse if it was made for the loader and no query runs on it."""
        described = self._described
        if described is None or not described.is_for_loader:
            log.warning(
                "warehouse_not_stopped",
                problem="it has no tag ciolake=loader",
                advice="only `ciolake deploy` sets it, on a warehouse that nobody else uses",
            )
            return
        try:
            if self.warehouse.has_queries():
                log.info("warehouse_in_use")
                return
            self.warehouse.stop()
        except LakeError as error:
            log.warning("warehouse_not_stopped", problem=str(error))
            return
        if self._use is not None:
            self._use = self._use.after_stop(self.now())
        log.info("warehouse_stopped")

    def _keep(self) -> None:
        if self._use is None:
            return
        try:
            warehouse_use.write(self.files, self.volume, self._use)
        except LakeError as error:
            log.warning("warehouse_use_not_kept", problem=str(error))


def for_settings(
    settings: Settings,
    workspace: DatabricksWorkspace,
    metrics: Metrics,
    timeout: CallTimeout,
    take: Callable[[], None],
) -> Waking:
    """Return the waking of these settings.

    Args:
        settings: Freshness, hours, ceiling and names.
        workspace: The workspace.
        metrics: Counts wake-ups.
        timeout: Limits of the calls.
        take: See `Waking`.
    """
    return Waking(
        policy=WakeUpPolicy(
            freshness_seconds=settings.freshness_seconds,
            hours=settings.warehouse_hours,
            daily_seconds=settings.warehouse_daily_seconds,
        ),
        warehouse=WarehouseApi(workspace, settings.warehouse_id, timeout),
        files=TimedFiles(workspace, timeout),
        volume=settings.volume_path,
        metrics=metrics,
        stops=settings.is_warehouse_stopped,
        inbox_max_bytes=settings.inbox_max_bytes,
        take=take,
    )
