"""The start of every child process: end with the supervisor, read the settings, set up logs."""

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
# From linux/prctl.h; Python has no function for it.
_PR_SET_PDEATHSIG = 1


def begin() -> None:
    """Ask the kernel for SIGTERM when the parent dies, and unblock all signals."""
    # The supervisor blocks signals, and its children inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    parent = os.environ.get(PARENT)
    if parent is not None and os.getppid() != int(parent):
        sys.exit(0)  # the parent died before `prctl` was called


def configured(process: str) -> Settings:
    """Read the settings and set up logs; end the process if a setting cannot be used.

    Args:
        process: Role of the process in its log lines.
    """
    logs.configure("info", process)
    try:
        settings = from_environment(environment())
    except SettingsError as error:
        # No traceback: the cause of this error quotes the value, which may be a secret.
        structlog.get_logger("databricks_app").error("settings_unusable", reason=str(error))
        sys.exit(1)
    logs.configure(settings.log_level, process)
    return settings
