"""The live tests and their script, run against a workspace in memory over sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.paths import ROOT
from tests.support.vendor_server import VendorServer
from tests.support.workspace_double import WorkspaceDouble

LIVE = ROOT / "tests" / "live"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def double(vendor: VendorServer) -> WorkspaceDouble:
    """A workspace in memory, behind `vendor`."""
    made = WorkspaceDouble()
    vendor.script = made
    return made


@pytest.fixture
def run(vendor: VendorServer) -> Run:
    """Run Python with the settings of the live tests: `run("-m", "pytest", keys=True)`."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}

    def python(*arguments: str, keys: bool = True) -> subprocess.CompletedProcess[str]:
        settings = {
            "CIO_LIVE_PIPELINES_KEY": "pipelines_key",
            "CIO_LIVE_APP_KEY": "app_key",
            "CIO_LIVE_PIPELINES_URL": vendor.url,
            "CIO_LIVE_APP_URL": vendor.url,
        }
        return subprocess.run(
            [sys.executable, *arguments],
            env=outer | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | (settings if keys else {}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return python


def live(run: Run, *arguments: str, keys: bool = True) -> str:
    """Run the live tests; return the last line of the report."""
    done = run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout"),
        # The tests of the App API need more than this double has.
        *(f"--ignore={LIVE / 'test_live_app_api.py'}", f"--confcutdir={LIVE}"),
        *(str(LIVE), *arguments),
        keys=keys,
    )
    assert done.returncode in (0, 5), done.stdout
    return done.stdout.splitlines()[-1]


def test_script_creates_and_checks_the_permanent_set(run: Run, double: WorkspaceDouble) -> None:
    """`check` lists what is missing, `create` creates it, a second `create` changes nothing."""
    script = str(LIVE / "sandbox.py")

    before = run(script, "check")
    made = run(script, "create")
    people, objects = str(double.people), str(double.objects)
    again = run(script, "create")

    assert (before.returncode, before.stdout.count("missing\n")) == (1, 5)
    assert (made.returncode, made.stdout) == (0, "complete\n")
    assert (again.returncode, again.stdout) == (0, "complete\n")
    assert (people, objects) == (str(double.people), str(double.objects))


def test_script_finds_every_kind_of_difference(run: Run, double: WorkspaceDouble) -> None:
    """A changed trait, a missing device, a missing relationship, a renamed object."""
    run(str(LIVE / "sandbox.py"), "create")
    ada = double.people["ciolake-permanent-ada"]
    ada["attributes"]["plan"] = "free"
    ada["devices"].clear()
    ada["objects"].pop()
    double.objects[1, "ciolake-permanent-acme"]["name"] = "Other"

    done = run(str(LIVE / "sandbox.py"), "check")

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "ciolake-permanent-acme: name differs",
        "ciolake-permanent-ada: plan differs",
        "ciolake-permanent-ada: device missing",
        "ciolake-permanent-ada: not related to ciolake-permanent-globex",
    ]


def test_script_without_credentials_names_the_variables(run: Run, vendor: VendorServer) -> None:
    """It sends nothing."""
    done = run(str(LIVE / "sandbox.py"), "create", keys=False)

    assert done.returncode == 2
    assert "CIO_LIVE_PIPELINES_KEY and CIO_LIVE_APP_KEY" in done.stderr
    assert vendor.calls == []


@pytest.mark.slow
def test_live_tests_pass_and_leave_only_the_permanent_set(
    run: Run, double: WorkspaceDouble
) -> None:
    """Each test removes what it created, and leaves the permanent set unchanged."""
    run(str(LIVE / "sandbox.py"), "create")
    before = (str(double.people), str(double.objects))

    report = live(run, "-m", "live")

    assert "passed" in report
    assert "skipped" not in report
    assert before == (str(double.people), str(double.objects))
    assert double.suppressed == set()


def test_read_only_tests_only_read(run: Run, double: WorkspaceDouble, vendor: VendorServer) -> None:
    """They can run against a workspace that is in use."""
    run(str(LIVE / "sandbox.py"), "create")
    vendor.calls.clear()

    report = live(run, "-m", "live and not mutating")

    assert "passed" in report
    assert {call.method for call in vendor.calls} == {"GET"}
    assert double.people.keys() == {
        f"ciolake-permanent-{name}" for name in ("ada", "grace", "alan")
    }


def test_live_tests_are_skipped_without_credentials(run: Run, vendor: VendorServer) -> None:
    """Selected, but without a key: skipped, not failed."""
    report = live(run, "-m", "live", keys=False)

    assert "skipped" in report
    assert "passed" not in report
    assert vendor.calls == []


@pytest.mark.parametrize("marks", [(), ("-m", "not slow")])
def test_live_tests_run_only_if_selected(
    run: Run, vendor: VendorServer, marks: tuple[str, ...]
) -> None:
    """Keys in the environment do not start them."""
    report = live(run, *marks)

    assert "deselected" in report
    assert "passed" not in report
    assert vendor.calls == []
