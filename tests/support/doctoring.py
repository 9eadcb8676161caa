"""Runs checks of `ciolake doctor`, for the tests that make a fault."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.harness.wire import ADMIN_TOKEN, KEY
from databricks_app.operations.doctor.context import DoctorContext, WaitLimits, open_context
from databricks_app.operations.doctor.result import CheckResult
from databricks_app.operations.doctor.run import checks, run_check, run_checks


def context_of(data: Path, url: str | None = None, **variables: str) -> DoctorContext:
    """The context of a data folder; nothing is waited for long."""
    given = {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_DATA_DIR": str(data), "PORT": "0"}
    given["CIO_ADMIN_TOKEN"] = ADMIN_TOKEN
    limits = WaitLimits(canary=0.3, lease=0.3, answer=0.5)
    return open_context(given | variables, url, limits=limits)


def found(context: DoctorContext, name: str) -> CheckResult:
    """What one check finds, within its time limit."""
    (check,) = [one for one in checks(context) if one.name == name]
    with closing(context):
        return replace(run_check(check, context), name=name)


def wrong(context: DoctorContext) -> dict[str, CheckResult]:
    """Run all checks; return what is neither ok nor skipped, by the name of the check."""
    with closing(context):
        return {one.name: one for one in run_checks(context) if one.state in {"failure", "warning"}}
