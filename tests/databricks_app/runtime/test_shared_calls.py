"""The calls of all web processes: counted together, bounded, and free of dead processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from databricks_app.runtime.sender_pace import CallSums
from databricks_app.runtime.shared_calls import SharedCalls
from tests.support.paths import ROOT

# One answered call of another process, and one that is still in flight when it ends.
OTHER = (
    "import sys, pathlib; from databricks_app.runtime.shared_calls import SharedCalls; "
    "calls = SharedCalls(pathlib.Path(sys.argv[1])); "
    "call = calls.begin(1000.0); calls.end(call, 1000.2); calls.begin(1000.3)"
)


def in_another_process(folder: Path) -> None:
    """Make the calls of OTHER in a process that then ends."""
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", OTHER, str(folder)], env=environ, check=True)


def test_a_call_knows_the_pause_since_the_answer_before_it() -> None:
    """The first call has none; a short pause counts with its answer."""
    calls = SharedCalls(None)
    first = calls.begin(100.0)
    calls.end(first, 100.2)

    second = calls.begin(100.21)
    calls.end(second, 100.31)
    third = calls.begin(103.0)
    calls.end(third, 103.1)

    pauses = [one.pause_seconds for one in (first, second, third)]
    assert pauses == [None, pytest.approx(0.01), pytest.approx(2.69)]
    assert [one.is_prompt for one in (first, second, third)] == [False, True, False]
    sums = calls.last_minute(104.0)
    assert (sums.calls, sums.overlapping, sums.prompt) == (3, 0, 1)
    assert (sums.answer_seconds, sums.pause_seconds) == pytest.approx((0.1, 0.01))


def test_a_call_that_begins_before_an_answer_is_overlapping() -> None:
    """It has no pause."""
    calls = SharedCalls(None)
    calls.end(calls.begin(100.0), 100.1)
    first, second = calls.begin(100.2), calls.begin(100.3)

    assert calls.in_flight(100.3) == 2
    assert (first.is_overlapping, second.is_overlapping) == (False, True)
    assert second.pause_seconds is None


def test_the_sums_forget_what_is_older_than_a_minute() -> None:
    """Also if nothing else was counted since."""
    calls = SharedCalls(None)
    calls.end(calls.begin(100.0), 100.1)

    assert calls.last_minute(150.0).calls == 1
    assert calls.last_minute(160.0) == CallSums()
    calls.end(calls.begin(170.0), 170.1)  # the same place of the ring as 100
    assert calls.last_minute(171.0).calls == 1


def test_processes_count_together(tmp_path: Path) -> None:
    """A serial sender with a new connection for each call reaches one after the other."""
    calls = SharedCalls(tmp_path)
    in_another_process(tmp_path)

    during = calls.begin(1000.4)
    both = calls.in_flight(1000.4)
    calls.end(during, 1000.5)

    assert both == 2
    assert during.is_overlapping  # the other process has not answered its second call
    assert calls.last_minute(1001.0).calls == 2


def test_a_call_of_a_killed_process_does_not_stay_in_flight(tmp_path: Path) -> None:
    """Every call is answered within seconds; the next process takes its slot."""
    calls = SharedCalls(tmp_path)
    in_another_process(tmp_path)
    assert calls.in_flight(1001.0) == 1

    after = calls.begin(1011.0)

    assert not after.is_overlapping
    in_another_process(tmp_path)  # in the slot of the killed one
    assert calls.in_flight(1001.0) == 2


def test_a_folder_without_room_leaves_a_process_its_own_calls(tmp_path: Path) -> None:
    """Counting never fails a request."""
    calls = SharedCalls(tmp_path / "missing")

    calls.end(calls.begin(100.0), 100.1)

    assert calls.last_minute(101.0).calls == 1
