"""A sampling profile of all threads of a process.

Threads that wait (for the disk, a socket, a lock) are left out; a thread that waits for the
interpreter counts where it stands. Only shares are told, not times.
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
    """Begin in this process if the environment names a folder for the outcome."""
    folder = os.environ.get(VARIABLE)
    if folder:
        found: Counter[str] = Counter()
        threading.Thread(target=_run, args=(found,), name="sampler", daemon=True).start()
        atexit.register(_write, Path(folder) / f"{os.getpid()}.json", found)


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
    """Name the innermost function of the server in a stack; None of a thread that waits."""
    if frame.f_code.co_name in _WAITING:
        return None
    at: FrameType | None = frame
    while at is not None:
        module = str(at.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _ROOTS:
            return f"{module}.{at.f_code.co_qualname}"
        at = at.f_back
    return None


def _write(path: Path, found: Counter[str]) -> None:
    path.write_text(json.dumps(found))
