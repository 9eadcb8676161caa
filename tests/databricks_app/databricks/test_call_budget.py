"""The call budget: never more calls than slots over all processes, and no slot is ever lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from databricks_app.app import open_inbox
from databricks_app.databricks.call_budget import CallBudget
from databricks_app.databricks.workspace import WorkspaceError, connect
from databricks_app.loading.loader import open_loader
from databricks_app.operations.alerting.process import counting
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import from_environment
from tests.doubles.databricks import Databricks
from tests.doubles.faults import Fault
from tests.support.paths import ROOT

VOLUME = "/Volumes/main/cio/landing"
SOON = 0.02
# Eight threads put without a pause, as the receiver or as the loader.
CALLER = f"""
import os, sys, threading
from databricks_app.databricks.workspace import connect
files = connect(os.environ, is_receiver=sys.argv[1] == "receiver")
def run(number):
    while True:
        files.put(f"{VOLUME}/{{os.getpid()}}-{{number}}", b"", overwrite=True)
for number in range(8):
    threading.Thread(target=run, args=(number,)).start()
"""


class Clock:
    """A clock that sleeping advances."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Advance it."""
        self.at += seconds


def soon() -> float:
    """A deadline that a free slot meets."""
    return time.monotonic() + SOON


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fail after 20 s."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def busiest(double: Databricks) -> int:
    """The highest number of concurrent calls in the next 0.1 s."""
    double.workspace.limits.max_current = 0
    time.sleep(0.1)
    return double.workspace.limits.max_current


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume and the limits of the platform."""
    with Databricks(tmp_path / "double", volume="main.cio.landing") as double:
        yield double


def test_two_slots_are_for_the_receivers_puts_and_the_rest_for_other_calls() -> None:
    """So neither of them waits for the other."""
    budget = CallBudget(None, 5)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(budget.call(soon(), is_receivers_put=True))
        with pytest.raises(TimeoutError):
            held.enter_context(budget.call(soon(), is_receivers_put=True))
        for _ in range(3):
            held.enter_context(budget.call(soon()))
        with pytest.raises(TimeoutError):
            held.enter_context(budget.call(soon()))

    with budget.call(soon()), budget.call(soon(), is_receivers_put=True):
        pass


def test_the_slots_of_a_run_folder_are_shared(tmp_path: Path) -> None:
    """Those of two budgets without one are not."""
    one, other = CallBudget(tmp_path, 2), CallBudget(tmp_path, 2)
    own = CallBudget(None, 2)

    with one.call(soon()), own.call(soon()), pytest.raises(TimeoutError), other.call(soon()):
        pass

    with other.call(soon()):
        pass


def test_a_budget_needs_no_folder_that_can_be_written(tmp_path: Path) -> None:
    """Then the process has slots of its own."""
    with CallBudget(tmp_path / "missing", 2).call(soon()):
        pass


def test_a_waiting_call_gets_the_slot_that_becomes_free() -> None:
    """Within milliseconds, and in the order of the queue."""
    budget = CallBudget(None, 2)
    got: list[float] = []

    def wait() -> None:
        with budget.call(time.monotonic() + 10):
            got.append(time.monotonic())

    with budget.call(soon()):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.1)
        freed = time.monotonic()
    thread.join()

    assert 0 <= got[0] - freed < 0.1


def test_a_free_slot_costs_less_than_five_milliseconds(tmp_path: Path) -> None:
    """A request that is alone does not notice the budget."""
    budget = CallBudget(tmp_path, 5)
    took = []

    for _ in range(9):
        began = time.perf_counter()
        with budget.call(soon(), is_receivers_put=True):
            took.append(time.perf_counter() - began)

    assert sorted(took)[4] < 0.005


def test_at_most_80_calls_begin_in_any_second(tmp_path: Path) -> None:
    """Over all processes; a pause of a second allows a small burst and no more."""
    clock = Clock()
    budgets = [CallBudget(tmp_path, 5, clock, clock.sleep) for _ in range(3)]
    began = []

    for number in range(400):
        with budgets[number % 3].call(clock() + 60):
            began.append(clock())
        if number == 200:
            clock.at += 10

    counts = [sum(at <= one < at + 1 for one in began) for at in began]
    assert 70 <= max(counts) <= 80


def test_a_pace_of_another_clock_is_ignored(tmp_path: Path) -> None:
    """For example that of the time before a restart of the machine."""
    late = Clock()
    late.at = 1e9
    with CallBudget(tmp_path, 5, late, late.sleep).call(late() + 1):
        pass

    with CallBudget(tmp_path, 5).call(soon()):
        pass


def test_four_processes_keep_the_limit_and_a_killed_one_frees_its_slots(
    double: Databricks, tmp_path: Path
) -> None:
    """Never more than the slots at once, never a refused call, and no slot is lost."""
    double.faults.set(Fault("latency", "files.put", times=None, seconds=0.05))
    limits = double.workspace.limits
    environ = os.environ | double.environment() | {"PYTHONPATH": str(ROOT)}
    environ |= {"CIO_RUN_DIR": str(tmp_path), "CIO_FILES_CALLS": "5"}
    callers = [
        subprocess.Popen([sys.executable, "-c", CALLER, role], env=environ)
        for role in ("receiver", "receiver", "loader", "loader")
    ]
    try:
        eventually(lambda: limits.max_current == 5)
        for one in callers[:3]:
            one.send_signal(signal.SIGKILL)
            one.wait()

        eventually(lambda: busiest(double) == 3)  # the last loader has all slots of its kind
        limits.max_current = 0
        files = connect(environ, is_receiver=True)
        for _ in range(2):
            files.put(f"{VOLUME}/last", b"", overwrite=True, seconds=5.0)
        files.close()
    finally:
        for one in callers:
            one.kill()
            one.wait()

    assert limits.max_current <= 5
    assert not limits.refused


def test_receiver_loader_and_alerting_use_the_budget_of_their_run_folder(
    double: Databricks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their calls wait while others hold all slots."""
    environ = double.environment() | {
        "CIO_RUN_DIR": str(tmp_path),
        "CIO_FILES_CALLS": "2",
        "CIO_STORE": "databricks",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": "cio",
        "CIO_VOLUME": "landing",
        "CIO_DATA_DIR": str(tmp_path / "data"),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = from_environment(environ)
    budget = CallBudget.of(environ)

    with ExitStack() as closing:
        with budget.call(soon()), budget.call(soon(), is_receivers_put=True):
            closing.callback(open_inbox(settings).close)
            loader = open_loader(settings, Metrics(), None)
            count = counting(settings, environ, closing)
            counted = threading.Thread(target=loader.reader.pending)
            counted.start()
            count()
            time.sleep(0.15)
            early = dict(double.faults.counts)
        eventually(lambda: double.faults.counts["files.put"] > 0)
        eventually(lambda: double.faults.counts["directories.list"] > 1)
        counted.join()

    assert {name for name in early if not name.startswith("auth")} == set()


def test_a_process_that_waits_for_a_token_holds_no_slot(double: Databricks, tmp_path: Path) -> None:
    """Other processes have a token and need the slot."""
    environ = double.environment() | {"CIO_RUN_DIR": str(tmp_path), "CIO_FILES_CALLS": "2"}
    ready = connect(environ)
    ready.names(VOLUME)
    double.faults.set(Fault("latency", "auth.token", seconds=0.5))
    late = connect(environ)
    waiting = threading.Thread(target=late.names, args=(VOLUME,))
    waiting.start()
    eventually(lambda: double.faults.counts["auth.token"] == 2)

    with CallBudget.of(environ).call(soon()):
        pass

    waiting.join()
    ready.close()
    late.close()


def test_a_call_without_a_slot_in_time_fails_with_the_reason(
    double: Databricks, tmp_path: Path
) -> None:
    """The caller may try again; nothing was sent."""
    environ = double.environment() | {"CIO_RUN_DIR": str(tmp_path), "CIO_FILES_CALLS": "2"}
    files = connect(environ)
    files.names(VOLUME)  # from now on it has a token
    budget = CallBudget.of(environ)

    with budget.call(soon()), pytest.raises(WorkspaceError, match="CIO_FILES_CALLS") as caught:
        files.put(f"{VOLUME}/one", b"", overwrite=True, seconds=0.05)

    assert caught.value.kind == "busy"
    assert not double.faults.counts["files.put"]
    files.close()
