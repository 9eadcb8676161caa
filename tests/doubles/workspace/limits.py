"""Limits of the platform: how many calls the Files API takes, and how large things may be.

On by default, as strict as any source says. databricks/cli `libs/filer/files_client.go`: "the Files
API backend has a rate limit of 10 concurrent requests and 100 QPS". Of whom is not said; here both
count for the whole workspace. What exceeds them is 429 with Retry-After, nothing takes effect.
A test that cannot live with them names its reason: `Databricks(folder, limits=relaxed("..."))`.

Assumptions: a second is the last second, not one of a clock; a call counts from its head to its
answer; a body that is too large is 413. Does not imitate: limits of other APIs, quotas of storage.
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
        concurrent: Calls of the Files API under way at once; None: as many as come.
        per_second: Calls of the Files API in any second; None: as many as come.
        file_bytes: Largest file.
        statement_bytes: Longest text of a statement, in UTF-8.
        why: Why calls are not limited; empty where they are.
        refused: Calls that were refused, by limit: `concurrent`, `per_second`.
        most: Most calls that were under way at once.
        clock: Seconds.
    """

    concurrent: int | None = 10
    per_second: int | None = 100
    file_bytes: int = 5 * _GIB
    statement_bytes: int = 16 * _MIB
    why: str = ""
    refused: Counter[str] = field(default_factory=Counter)
    most: int = 0
    clock: Callable[[], float] = time.monotonic
    _under_way: int = 0
    _begun: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def call(self, operation: str) -> Iterator[None]:
        """Count a call while it is under way.

        Raises:
            Refused: It is one too many.
        """
        if not operation.startswith(_LIMITED):
            yield
            return
        self._begin()
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def _begin(self) -> None:
        with self._lock:
            now = self.clock()
            while self._begun and now - self._begun[0] >= 1:
                self._begun.popleft()
            if self.concurrent is not None and self._under_way >= self.concurrent:
                raise self._refusal("concurrent")
            if self.per_second is not None and len(self._begun) >= self.per_second:
                raise self._refusal("per_second")
            self._begun.append(now)
            self._under_way += 1
            self.most = max(self.most, self._under_way)

    def _refusal(self, limit: str) -> Refused:
        self.refused[limit] += 1
        return Refused(
            429,
            "REQUEST_LIMIT_EXCEEDED",
            f"Current request exceeds the rate limit of the workspace ({limit}).",
            headers={"Retry-After": "1"},
        )


def relaxed(why: str) -> Limits:
    """No limit of calls, for the reason given.

    Raises:
        ValueError: No reason is given.
    """
    if not why:
        raise ValueError("A double without limits of calls needs a reason.")
    return Limits(concurrent=None, per_second=None, why=why)
