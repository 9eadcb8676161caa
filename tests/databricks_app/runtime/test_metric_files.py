"""What ended processes counted still counts, in one file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from databricks_app.runtime.metric_files import fold_ended, is_running

COUNT = dedent("""
    from databricks_app.runtime.metrics import Metrics
    metrics = Metrics()
    metrics.accepted.labels("0badf00d").inc(3)
    metrics.append.observe(0.02)
""")


def count_in_a_process(folder: Path) -> None:
    """Let a process of its own count three events, and end."""
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", COUNT], env=environ, check=True)


def sums(folder: Path) -> dict[str, float | None]:
    """What a scrape would show."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return {
        "accepted": registry.get_sample_value("ciolake_accepted_events_total", {"key": "0badf00d"}),
        "appends": registry.get_sample_value("ciolake_append_seconds_count"),
        "fast": registry.get_sample_value("ciolake_append_seconds_bucket", {"le": "0.025"}),
    }


def test_sums_stay_the_same_when_processes_have_ended(tmp_path: Path) -> None:
    """Once and again: the file of sums is added to."""
    for processes in (1, 2, 3):
        count_in_a_process(tmp_path)

        folded = fold_ended(tmp_path, is_running)

        assert folded == 2
        assert sums(tmp_path) == {
            "accepted": 3 * processes,
            "appends": processes,
            "fast": processes,
        }
        assert len(list(tmp_path.iterdir())) == 2


def test_files_of_running_processes_are_left_alone(tmp_path: Path) -> None:
    """They are still written to."""
    count_in_a_process(tmp_path)

    assert fold_ended(tmp_path, lambda _pid: True) == 0
    assert sums(tmp_path)["accepted"] == 3


def test_is_running_knows_this_process_and_not_one_that_ended() -> None:
    """By its number."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    assert is_running(os.getpid())
    assert is_running(1)
    assert not is_running(ended.pid)
