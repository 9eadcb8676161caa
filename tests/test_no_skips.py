"""Skips are failures where CIOLAKE_NO_SKIPS is 1, but for those on the list."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SKIPS = """
import pytest

def test_listed():
    pytest.skip("this machine has no IPv6")

def test_unlisted():
    pytest.skip("a tool is missing")

@pytest.mark.xfail
def test_expected_failure():
    assert False
"""
MODULE = 'import pytest\npytest.skip("a tool is missing", allow_module_level=True)\n'


def outcome(folder: Path, source: str, value: str) -> str:
    """The last line of a run of these tests."""
    (folder / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-c", os.devnull, "-q", str(folder)],
        cwd=ROOT,
        env={**os.environ, "CIOLAKE_NO_SKIPS": value},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()[-1].partition(" in ")[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", "1 failed, 1 skipped, 1 xfailed"), ("", "2 skipped, 1 xfailed")],
)
def test_a_skip_that_is_not_listed_fails_where_nothing_may_be_skipped(
    tmp_path: Path, value: str, expected: str
) -> None:
    """A listed skip and an expected failure stay what they are."""
    assert outcome(tmp_path, SKIPS, value) == expected


def test_a_module_that_is_skipped_as_a_whole_fails(tmp_path: Path) -> None:
    """Nothing of it was run."""
    assert outcome(tmp_path, MODULE, "1") == "1 error"
