"""The relay as its users have it: a real process in front of a platform's double."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver
from tests.support.paths import ROOT
from tests.support.relay_platform import Platform

CONFIG = ROOT / "examples" / "relay" / "gunicorn.conf.py"


@contextlib.contextmanager
def relaying(folder: Path, platform: Platform, **variables: str) -> Iterator[Receiver]:
    """Run the relay in front of a platform, on a free port."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CIO_")}
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        app = "databricks_app.relay.app:create_relay()"
        bind = f"--bind=fd://{listener.fileno()}"
        with (folder / "stderr").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", f"--config={CONFIG}", "--workers=1", bind, app],
                cwd=folder,
                env=environ | platform.variables(**variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
            )
        address = listener.getsockname()[:2]
    relay = Receiver(process, folder, address)
    try:
        wait_until(lambda: bool(relay.logged("token_refreshed")) or process.poll() is not None)
        yield relay
    finally:
        process.terminate()
        process.wait(20)
