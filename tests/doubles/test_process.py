"""The double in its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import requests

from tests.support.paths import ROOT


def test_the_process_prints_its_address_and_ends_on_sigterm(tmp_path: Path) -> None:
    """It prints its URL as JSON, serves files and faults, and exits with status 0."""
    command = [sys.executable, "-m", "tests.doubles", "--dir", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--volume", "main.cio.events"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        url = f"{started['url']}/api/2.0/fs/files/Volumes/main/cio/events/x"
        headers = {"Authorization": f"Bearer {started['token']}"}

        first = requests.put(url, data=b"x", headers=headers, timeout=5)
        fault = {"action": "denied", "operation": "files.put"}
        requests.post(f"{started['url']}/double/faults", json=fault, timeout=5)
        second = requests.put(url, data=b"x", headers=headers, timeout=5)
    finally:
        process.send_signal(signal.SIGTERM)
        exit_status = process.wait(10)
        process.communicate()

    assert (first.status_code, second.status_code, exit_status) == (204, 403, 0)
