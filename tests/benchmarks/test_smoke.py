"""Every benchmark runs; its figures are not looked at."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

_SLOW = pytest.mark.slow
NAMES = (
    "start",
    pytest.param("serial_sender", marks=_SLOW),
    "warehouse_days",
    pytest.param("commits", marks=_SLOW),
    pytest.param("files_limits", marks=_SLOW),
    pytest.param("merge", marks=_SLOW),
    pytest.param("staging", marks=_SLOW),
    pytest.param("large_events", marks=_SLOW),
    pytest.param("year", marks=_SLOW),
)
NAMES_WITH_WRK = (
    "receive",
    "slow_clients",
    "open_loop",
    "beside",
    "freshness",
    "load",
    "memory",
    "volume",
    "warehouse",
)


def _report(name: str) -> str:
    command = [sys.executable, "-m", "benchmarks", "--smallest", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_benchmark_runs_at_its_smallest_size(name: str) -> None:
    """A benchmark ends well and says with which command to repeat it."""
    report = _report(name)

    assert f"Command: `python -m benchmarks {name}`" in report


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk")
@pytest.mark.parametrize("name", NAMES_WITH_WRK)
def test_benchmark_with_wrk_runs_at_its_smallest_size(name: str) -> None:
    """A benchmark that posts with wrk ends well and says with which command to repeat it."""
    report = _report(name)

    assert f"Command: `python -m benchmarks {name}`" in report


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    shutil.which("wrk") is None or shutil.which("nginx") is None, reason="needs wrk and nginx"
)
def test_the_web_worker_is_compared_with_another_checkout() -> None:
    """Every shape of request runs on both; here the other checkout is this one."""
    command = [sys.executable, "-m", "benchmarks.web_worker", str(ROOT), "--rounds=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" to ") > 40


def test_benchmarks_refuse_an_unknown_name() -> None:
    """A name that is none ends with 2 and is repeated."""
    command = [sys.executable, "-m", "benchmarks", "no_such"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, "no_such" in done.stderr) == (2, True)
