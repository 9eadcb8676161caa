"""Crash points: a process dies at a named place."""

from __future__ import annotations

import subprocess
import sys

import pytest

from databricks_app.runtime import crash_points
from databricks_app.runtime.crash_points import CrashPoint


def test_a_crash_point_is_due_only_at_the_first_visit_of_its_name() -> None:
    """A name without a number means the first visit; other points do not count."""
    fault = CrashPoint.parse("lake.after_raw_append")

    assert fault is not None
    assert [
        fault.is_due(name)
        for name in ("elsewhere", "lake.after_raw_append", "lake.after_raw_append")
    ] == [False, True, False]


def test_a_crash_point_counts_visits_from_one() -> None:
    """`name:3` is the third visit."""
    fault = CrashPoint.parse(" here:3 ")

    assert fault is not None
    assert [fault.is_due("here") for _ in range(4)] == [False, False, True, False]


def test_an_empty_text_is_no_crash_point() -> None:
    """Nothing is armed without a name."""
    assert CrashPoint.parse("") is None


@pytest.mark.parametrize("text", ["here:0", "here:-1", "here:x"])
def test_a_crash_point_refuses_an_impossible_count(text: str) -> None:
    """Below one, or not a number."""
    with pytest.raises(ValueError, match=r"visits|invalid literal"):
        CrashPoint.parse(text)


def test_reach_does_nothing_when_nothing_is_armed() -> None:
    """The usual case."""
    crash_points.reach("here")


def test_reach_kills_the_process_that_was_armed_by_the_environment() -> None:
    """With SIGKILL, at the second visit."""
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
