"""Limits of the platform: calls of the Files API, and sizes.

They are on by default, and as strict as the strictest source. databricks/cli
`libs/filer/files_client.go`: "the Files API backend has a rate limit of 10 concurrent requests and
100 QPS". It does not say whether per user or per workspace; here both count for the workspace. A
call over a limit is answered 429 with Retry-After and has no effect. A test that cannot keep the
limits gives a reason: `Databricks(folder, limits=relaxed("..."))`.

Assumptions: the second is a sliding window; a call counts from its head to its answer; a body that
is too large is answered 413. Not simulated: limits of other APIs, storage quotas.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.doubles.messages import Refused

_LIMITED = ("files.", "directories.")
_GIB = 1 << 30
_MIB = 1 << 20


@dataclass(slots=True)
class Limits:
    """The limits of one workspace.

    Attributes:
        concurrent: Maximum number of concurrent calls of the Files API; None: no limit.
        per_second: Maximum number of its calls in any second; None: no limit.
        file_bytes: Maximum size of a file.
        statement_bytes: Maximum length of a statement, in UTF-8.
        why: Why calls are not limited; empty if they are.
        refused: Number of refused calls, by limit: `concurrent`, `per_second`.
        max_current: Highest number of concurrent calls so far.
        clock: Returns seconds of a monotonic clock.
    """

    concurrent: int | None = 10
    per_second: int | None = 100
    file_bytes: int = 5 * _GIB
    statement_bytes: int = 16 * _MIB
    why: str = ""
    refused: Counter[str] = field(default_factory=Counter)
    max_current: int = 0
    clock: Callable[[], float] = time.monotonic
    _current: int = 0
    _starts: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def call(self, operation: str) -> Iterator[None]:
        """Count a call while it runs.

        Raises:
            Refused: It exceeds a limit.
        """
        if not operation.startswith(_LIMITED):
            yield
            return
        self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._current -= 1

    def state(self) -> dict[str, int]:
        """Return the counts, for the control route."""
        return {"refused": sum(self.refused.values()), "max_current": self.max_current}

    def _enter(self) -> None:
        with self._lock:
            now = self.clock()
            while self._starts and now - self._starts[0] >= 1:
                self._starts.popleft()
            if self.concurrent is not None and self._current >= self.concurrent:
                raise self._refusal("concurrent")
            if self.per_second is not None and len(self._starts) >= self.per_second:
                raise self._refusal("per_second")
            self._starts.append(now)
            self._current += 1
            self.max_current = max(self.max_current, self._current)

    def _refusal(self, limit: str) -> Refused:
        self.refused[limit] += 1
        return Refused(
            429,
            "REQUEST_LIMIT_EXCEEDED",
            f"Current request exceeds the rate limit of the workspace ({limit}).",
            headers={"Retry-After": "1"},
        )


def relaxed(why: str) -> Limits:
    """Return limits without a limit of calls, for a reason.

    Raises:
        ValueError: The reason is empty.
    """
    if not why:
        raise ValueError("relaxed() needs a reason: why can this test not keep the limits?")
    return Limits(concurrent=None, per_second=None, why=why)
