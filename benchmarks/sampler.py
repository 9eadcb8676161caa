"""A sampling profile of all threads of a process.

Threads that wait for the disk, a socket or a lock are left out. A thread that waits for the
interpreter lock counts at its current function. The profile has shares, not times.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

VARIABLE = "CIOLAKE_BENCHMARK_PROFILE"
_PERIOD_SECONDS = 0.003
_WAITING = frozenset({"wait", "_wait_for_tstate_lock", "select", "poll", "_worker", "get", "join"})
_ROOTS = ("databricks_app", "gunicorn", "prometheus_client", "benchmarks", "deltalake")


def start_if_wanted() -> None:
    """Start the sampler in this process if the environment names a folder for the profile."""
    folder = os.environ.get(VARIABLE)
    if folder:
        found: Counter[str] = Counter()
        path = Path(folder) / f"{os.getpid()}.json"
        threading.Thread(target=_run, args=(found,), name="sampler", daemon=True).start()
        atexit.register(lambda: path.write_text(json.dumps(found)))


def read(folder: Path) -> list[tuple[str, float]]:
    """Return the shares of all processes that wrote into a folder, largest first."""
    total: Counter[str] = Counter()
    for path in folder.glob("*.json"):
        total.update(json.loads(path.read_text()))
    whole = sum(total.values()) or 1
    return [(name, number / whole) for name, number in total.most_common()]


def _run(found: Counter[str]) -> None:
    own = threading.get_ident()
    while True:
        time.sleep(_PERIOD_SECONDS)
        for thread, frame in sys._current_frames().items():
            if thread != own and (place := _place(frame)) is not None:
                found[place] += 1


def _place(frame: FrameType) -> str | None:
    """Return the innermost function of the server in a stack; None if the thread waits."""
    if frame.f_code.co_name in _WAITING:
        return None
    at: FrameType | None = frame
    while at is not None:
        module = str(at.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _ROOTS:
            return f"{module}.{at.f_code.co_qualname}"
        at = at.f_back
    return None
