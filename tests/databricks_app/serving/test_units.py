"""The unit files of examples/systemd, judged by systemd itself."""

from __future__ import annotations

import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from databricks_app.serving.supervisor import STOP_SECONDS
from tests.support.paths import ROOT

UNITS = ROOT / "examples/systemd"
# Of 100, as `systemd-analyze security` counts; what is left is said in the unit file.
MOST_EXPOSED = 20


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A copy of the units whose program is there."""
    for name in ("ciolake.socket", "ciolake.service"):
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/ciolake/.venv/bin/ciolake", "/bin/true"))
    return tmp_path / "ciolake.service"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze (Debian: systemd) is missing")
    return subprocess.run(
        ["systemd-analyze", *arguments],  # noqa: S607  # wherever it is
        capture_output=True,
        text=True,
        check=False,
    )


def test_units_are_right(service: Path) -> None:
    """No unknown line, no unit that is missing."""
    done = analyze("verify", "--man=no", str(service.with_suffix(".socket")), str(service))

    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_has_few_rights(service: Path) -> None:
    """Less than most services of a distribution."""
    done = analyze(
        "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(service)
    )

    assert done.returncode == 0, done.stdout


def test_the_service_has_the_time_that_a_stop_takes() -> None:
    """And is started again however often it ends; the socket is never given up."""
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read([UNITS / "ciolake.service"])

    assert float(unit["Service"]["TimeoutStopSec"]) > STOP_SECONDS + 1
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    socket = (UNITS / "ciolake.socket").read_text()
    assert "\nTriggerLimitIntervalSec=0\n" in socket
    assert socket.count("\nListenStream=") == 1
