"""The unit files of examples/systemd, checked by systemd itself."""

from __future__ import annotations

import shutil
import socket
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from benchmarks.harness.databricks_double import databricks_double
from benchmarks.harness.events import event
from benchmarks.harness.receiver import serving
from benchmarks.harness.wire import connect, request
from databricks_app.serving.supervisor import STOP_SECONDS
from tests.support.activation import activator
from tests.support.paths import ROOT
from tests.support.recipes import is_stored, write_settings

UNITS = ROOT / "examples/systemd"
# Of 100, as `systemd-analyze security` counts; the unit file explains the rest.
MOST_EXPOSED = 20


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A copy of the units whose program exists."""
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


def test_units_are_valid(service: Path) -> None:
    """No unknown line and no missing unit."""
    done = analyze("verify", "--man=no", str(service.with_suffix(".socket")), str(service))

    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_has_few_rights(service: Path) -> None:
    """Fewer than most services of a distribution."""
    done = analyze(
        "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(service)
    )

    assert done.returncode == 0, done.stdout


def test_the_service_allows_the_time_of_a_stop() -> None:
    """It is restarted after every end; the socket stays open."""
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read([UNITS / "ciolake.service"])

    assert float(unit["Service"]["TimeoutStopSec"]) > STOP_SECONDS + 1
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    socket = (UNITS / "ciolake.socket").read_text()
    assert "\nTriggerLimitIntervalSec=0\n" in socket
    assert socket.count("\nListenStream=") == 1


def test_the_unit_serves_with_the_settings_of_the_example(tmp_path: Path) -> None:
    """Its command and variables, in its folder, with a socket as systemd passes it."""
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read([UNITS / "ciolake.service"])
    state = unit["Service"]["WorkingDirectory"]
    program, *words = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "ciolake"
    name, _, value = unit["Service"]["Environment"].replace(state, str(tmp_path)).partition("=")
    with (
        databricks_double(tmp_path / "workspace") as double,
        socket.create_server(("127.0.0.1", 0)) as listener,
        connect(listener.getsockname()) as first,
    ):
        write_settings(tmp_path / ".env", double.variables)
        with serving(
            tmp_path,
            prefix=activator(listener, name),
            descriptors=(listener.fileno(),),
            **{name: value},
        ) as receiver:
            assert words == ["serve"]
            assert first.send(request(event("first"))).answer().status == 200
            assert is_stored(event("first"), tmp_path / "data" / "inbox")
            assert receiver.stop() == 0
