"""A skip that is not on the list is a failure where CIOLAKE_NO_SKIPS is 1.

A proof that is skipped for want of a tool looks like a proof that passed. `.ci/run` sets the
variable, so that there everything runs but for what `allowed_skips.txt` names. Not a test module:
a pytest plugin, named in `tests/conftest.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

VARIABLE = "CIOLAKE_NO_SKIPS"
ALLOWED = Path(__file__).with_name("allowed_skips.txt")


def is_allowed(reason: str) -> bool:
    """Whether the list names the reason of a skip."""
    lines = ALLOWED.read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return any(re.match(pattern, reason) for pattern in patterns)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at each phase of each test; an expected failure is no skip."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at each module: it may be skipped as a whole."""
    report = yield
    _judge(report)
    return report


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get(VARIABLE) != "1" or report.outcome != "skipped":
        return
    _file, _line, text = report.longrepr  # pytest gives a skip this form
    reason = text.removeprefix("Skipped: ")
    if not is_allowed(reason):
        report.outcome = "failed"
        report.longrepr = (
            f"Skipped where nothing may be: {reason}. Install what it needs, see "
            f".ci/prerequisites.sh, or name the reason in {ALLOWED.name}."
        )
