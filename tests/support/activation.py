"""Starts a command as systemd does for a socket: with descriptor 3 and the variables for it."""

from __future__ import annotations

import shutil
import socket
import sys

import pytest

# What systemd does before it runs a service: descriptor 3, and who is meant.
HAND_OVER = (
    "import os, sys\n"
    "os.dup2(int(sys.argv[1]), 3)\n"
    "os.environ |= {'LISTEN_FDS': sys.argv[2], 'LISTEN_PID': str(os.getpid())}\n"
    "os.execvp(sys.argv[3], sys.argv[3:])\n"
)


def activator(listener: socket.socket, *names: str) -> list[str]:
    """Return the prefix that gives systemd's tool a socket that this process keeps.

    The tool waits for a connection, then becomes the command after it.

    Args:
        listener: The socket.
        names: The variables that the command gets, besides PATH and PYTHONPATH.
    """
    found = shutil.which("systemd-socket-activate")
    if found is None:
        pytest.skip("systemd-socket-activate (Debian: systemd) is missing")
    variables = [f"--setenv={name}" for name in (*names, "PATH", "PYTHONPATH")]
    return [sys.executable, "-c", HAND_OVER, str(listener.fileno()), "1", found, *variables]
