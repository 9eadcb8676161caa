"""Crash points: dying at a named place."""

from __future__ import annotations

import subprocess
import sys

import pytest

from databricks_app.runtime import crash_points
from databricks_app.runtime.crash_points import CrashPoint


def test_fault_is_due_at_the_first_visit_of_its_name_only() -> None:
    """A name alone means the first visit, and no other point counts."""
    fault = CrashPoint.parse("lake.after_raw_append")

    assert fault is not None
    assert [
        fault.is_due(name)
        for name in ("elsewhere", "lake.after_raw_append", "lake.after_raw_append")
    ] == [False, True, False]


def test_fault_counts_visits_from_one() -> None:
    """`name:3` is the third visit."""
    fault = CrashPoint.parse(" here:3 ")

    assert fault is not None
    assert [fault.is_due("here") for _ in range(4)] == [False, False, True, False]


def test_fault_of_an_empty_text_is_none() -> None:
    """Nothing is armed without a name."""
    assert CrashPoint.parse("") is None


@pytest.mark.parametrize("text", ["here:0", "here:-1", "here:x"])
def test_fault_refuses_a_count_that_is_no_visit(text: str) -> None:
    """A count below one or no number is a mistake of whoever arms it."""
    with pytest.raises(ValueError, match=r"visits|invalid literal"):
        CrashPoint.parse(text)


def test_reach_does_nothing_when_nothing_is_armed() -> None:
    """The usual case."""
    crash_points.reach("here")


def test_reach_kills_the_process_that_was_armed_by_the_environment() -> None:
    """SIGKILL, at the second visit, as asked."""
    code = (
        "from databricks_app.runtime import crash_points\n"
        "for n in '12': print(n, flush=True); crash_points.reach('x')"
    )

    died = subprocess.run(
        [sys.executable, "-c", code],
        env={"CIO_CRASH_POINT": "x:2"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (died.returncode, died.stdout) == (-9, "1\n2\n")
