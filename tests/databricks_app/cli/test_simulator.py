"""`ciolake simulator` runs until it is stopped, and prints how to use it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from databricks_app.cli.simulator import _warn
from tests.support.simulating import call


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulator_announces_itself_and_stops_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    """What it prints works: the URL answers to the key; a signal ends it with status 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "databricks_app", "simulator", "--port", "0", "--people", "3"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = dict(line.split("  ", 1) for line in (process.stdout.readline() for _ in range(2)))
        url = said["Customer.io at"].split()[0]
        headers = {"Authorization": f"Bearer {said['App API key'].strip()}"}
        answer = call("GET", f"{url}/v1/segments/1/customer_count", headers=headers)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert answer.json() == {"count": 3}
    assert rest.endswith("Stopped.\n")
    assert process.returncode == 0


def test_simulator_says_that_a_port_is_taken(tmp_path: Path) -> None:
    """Status 1 and one line, no trace."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "databricks_app", "simulator", "--port", port],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot listen")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "is_warned"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("me", True)],  # noqa: S104
)
def test_simulator_warns_where_others_can_reach_it(
    capsys: pytest.CaptureFixture[str], host: str, is_warned: bool
) -> None:
    """As its own interface needs no key."""
    _warn(host)

    assert bool(capsys.readouterr().err) == is_warned
