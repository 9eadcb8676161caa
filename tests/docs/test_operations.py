"""The checks of the doctor and the alerts are documented."""

from __future__ import annotations

import ast
from typing import get_args

from databricks_app.operations.alerting import rules
from databricks_app.operations.doctor import first_contact
from databricks_app.setting_table import SETTINGS
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


def test_every_check_of_the_doctor_is_documented() -> None:
    """Each has a row in a table of docs/doctor.md or docs/first-contact.md."""
    rows = [line for page in PAGES for line in page.splitlines() if line.startswith("|")]

    missing = [
        check for check in CHECKS if not any(f"`{check}`" in row.split("|")[1] for row in rows)
    ]
    assert missing == []


def test_the_checks_are_found() -> None:
    """If `Check` is called in another way, the test above would find no checks."""
    assert len(CHECKS) > 20


def test_every_alert_is_documented() -> None:
    """Each is in the meaning of the setting CIO_ALERT_URL."""
    [setting] = [one for one in SETTINGS if one.name == "CIO_ALERT_URL"]

    missing = [
        alert for alert in get_args(rules.Name) if alert.replace("_", " ") not in setting.meaning
    ]
    assert missing == []


def test_the_checks_that_find_faults_exist() -> None:
    """The table of faults in docs/doctor.md names checks; there are twenty faults."""
    _, _, table = PAGES[0].partition("## Faults and what finds them")
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][2:]

    named = {name.strip(" `") for row in rows for name in row[2].split(",")}
    assert len(rows) == 20
    assert named - set(CHECKS) == set()
