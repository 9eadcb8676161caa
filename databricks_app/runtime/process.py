"""What every process under the supervisor does first: end when the supervisor does, and log."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

import structlog

from databricks_app.errors import SettingsError
from databricks_app.runtime import logs
from databricks_app.settings import Settings, environment, from_environment

PARENT = "CIO_SUPERVISOR_PID"
_PR_SET_PDEATHSIG = 1


def begin() -> None:
    """Ask the kernel for SIGTERM at the parent's death, and undo the parent's signal mask."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    parent = os.environ.get(PARENT)
    if parent is not None and os.getppid() != int(parent):
        sys.exit(0)  # it died before the kernel knew of us


def configured(process: str) -> Settings:
    """Read the settings and begin to log; a setting that cannot be used ends the process.

    Args:
        process: Name of the process's role in its log lines.
    """
    logs.configure("info", process)
    try:
        settings = from_environment(environment())
    except SettingsError as error:
        # No trace: the error that caused this one quotes the value.
        structlog.get_logger("databricks_app").error("settings_unusable", reason=str(error))
        sys.exit(1)
    logs.configure(settings.log_level, process)
    return settings
