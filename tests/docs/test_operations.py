"""The checks of the doctor and the alerts are documented."""

from __future__ import annotations

import ast
from typing import get_args

import pytest

from databricks_app.operations.alerting import rules
from databricks_app.operations.doctor import first_contact
from databricks_app.settings import SETTINGS
from tests.support.paths import DOCS, ROOT

RUN = ROOT / "databricks_app" / "operations" / "doctor" / "run.py"
CHECKS = sorted(
    {
        str(call.args[0].value)
        for call in ast.walk(ast.parse(RUN.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "Check"
        and isinstance(call.args[0], ast.Constant)
    }
    | first_contact.UNANSWERED.keys()
)
PAGES = [(DOCS / name).read_text("utf-8") for name in ("doctor.md", "first-contact.md")]


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_of_the_doctor_is_documented(check: str) -> None:
    """In a row of a table of its page."""
    rows = [line for page in PAGES for line in page.splitlines() if line.startswith("|")]

    assert any(f"`{check}`" in row.split("|")[1] for row in rows)


def test_the_checks_are_found() -> None:
    """A check that is made in another way would be documented by nobody."""
    assert len(CHECKS) > 20


@pytest.mark.parametrize("alert", get_args(rules.Name))
def test_each_alert_is_documented(alert: str) -> None:
    """In the meaning of the setting that turns alerts on."""
    [setting] = [one for one in SETTINGS if one.name == "CIO_ALERT_URL"]

    assert alert.replace("_", " ") in setting.meaning
