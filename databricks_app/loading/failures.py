"""The failed tries of a load since the last success: the pause, the log lines and the status."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from databricks_app.errors import LakeError

_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# Each try may wake the warehouse: a fault that lasts for days must not keep it awake.
_WAREHOUSE_PAUSES = (60.0, 120.0, 300.0, 600.0, 900.0)

log = structlog.get_logger("databricks_app.loading.loader")


@dataclass(slots=True)
class LoadFailures:
    """Tries that failed in a row.

    Attributes:
        now: Clock, Unix seconds.
        sentences: What `/readyz` says about them; empty after a success.
    """

    now: Callable[[], float] = time.time
    sentences: tuple[str, ...] = field(default=(), init=False)
    _number: int = field(default=0, init=False)
    _since: float = field(default=0.0, init=False)
    _logged: str = field(default="", init=False)

    def add(self, error: Exception, *, has_woken: bool) -> float:
        """Count a failed try, and log each problem once; return the pause until the next try.

        Args:
            error: Why it failed.
            has_woken: Whether the try may have woken a warehouse.
        """
        pauses = _PAUSES + _WAREHOUSE_PAUSES if has_woken else _PAUSES
        pause = pauses[min(self._number, len(pauses) - 1)]
        if not self._number:
            self._since = self.now()
        self._number += 1
        # One line for each problem, not for each try.
        problem = _log_text(error)
        if problem != self._logged:
            self._logged = problem
            log.error(
                "load_failed",
                error=type(error).__name__,
                problem=problem,
                failures=self._number,
                advice="nothing is lost, the load is repeated: do what `problem` says",
            )
        reason = str(error)
        if isinstance(error, OSError):
            reason = f"the disk: {error.strerror or type(error).__name__}"
        times = ""
        if self._number > 1:
            times = f" ({self._number} times in {self.now() - self._since:.0f} s)"
        self.sentences = (f"loading fails{times} and is repeated, nothing is lost: {reason}",)
        return pause

    def end(self) -> None:
        """Log that a failure has ended."""
        if self._number:
            seconds = round(self.now() - self._since, 1)
            log.info("load_failed_ended", times=self._number, seconds=seconds)
        self._number, self.sentences, self._logged = 0, (), ""


def _log_text(error: Exception) -> str:
    """Return a text of an error that is safe to log."""
    if isinstance(error, LakeError):
        return error.log_text
    if isinstance(error, OSError) and error.errno is not None:
        return f"the disk: {os.strerror(error.errno)}"
    # Texts of libraries can contain values of a row.
    return type(error).__name__
