"""The web process: gunicorn on the socket of the supervisor.

Do not start it by hand: `ciolake serve` starts it with the socket's descriptor.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from databricks_app.app import INBOX, create_app
from databricks_app.ingest.refusals import REASONS
from databricks_app.runtime import process
from databricks_app.runtime.status import RUN_DIR
from databricks_app.runtime.unknown_settings import log_unknown_settings, log_unused_settings
from databricks_app.serving import ready_files
from databricks_app.settings import Settings, environment

# Shorter than `STOP_SECONDS` of the supervisor.
GRACEFUL_SECONDS = 6
# Longer than the idle timeouts of common clients and proxies, so that they close a connection
# first. If we close one just when a request is sent, the sender gets an error.
_KEEP_ALIVE_SECONDS = 125
_CONNECTIONS = 10_000
_SILENT_WORKER_SECONDS = 5

# The name is given: this module runs as `__main__`.
log = structlog.get_logger("databricks_app.serving.server")


class Web(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured in code."""

    def __init__(self, settings: Settings, descriptor: int) -> None:
        """Keep the settings and the descriptor of the socket."""
        self._settings = settings
        self._descriptor = descriptor
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        chosen = {
            "bind": f"fd://{self._descriptor}",
            "workers": self._settings.web_workers,
            "threads": self._settings.web_threads,
            "worker_class": "databricks_app.serving.worker.ReceiverWorker",
            "worker_connections": _CONNECTIONS,
            "keepalive": _KEEP_ALIVE_SECONDS,
            "timeout": _SILENT_WORKER_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "logger_class": _Log,
            "control_socket_disable": True,
            # Trust no proxy: a client could send such headers too.
            "forwarded_allow_ips": "",
            "post_worker_init": _worker_ready,
            "worker_exit": _worker_exit,
            "when_ready": lambda _arbiter: _ignore_interrupt(),
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the app; called in each worker after it has forked."""
        return create_app(self._settings)


class _Log(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Sends gunicorn's log lines to our log; see `logs`."""

    def setup(self, _cfg: Any) -> None:
        """Use the handlers of `logs.configure`."""
        self.error_log.propagate = True

    def access(self, *_arguments: Any) -> None:
        """Write no access log: the metrics count requests."""


def main() -> int:
    """Run until stopped; the descriptor is the only argument."""
    process.begin()
    settings = process.configured("web")
    log_active_keys(settings)
    log_unknown_settings(environment())
    log_unused_settings(settings, environment())
    sys.argv = sys.argv[:1] + sys.argv[1:2]
    Web(settings, int(sys.argv[1])).run()
    return 0


def log_active_keys(settings: Settings) -> None:
    """Log the fingerprints of the active keys, at each start and reload."""
    fingerprints = [key.fingerprint for key in settings.signing_keys or ()]
    if fingerprints:
        log.info("keys_active", fingerprints=fingerprints)
    else:
        log.error("keys_missing", advice=REASONS["no_key"].advice)


def _ignore_interrupt() -> None:
    # Ctrl-C sends SIGINT to the whole process group. The supervisor then stops us with SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _worker_ready(worker: Any) -> None:
    _ignore_interrupt()
    folder = os.environ.get(RUN_DIR)
    if folder:
        try:
            ready_files.mark(Path(folder), worker.ppid)
        except OSError as error:  # this worker serves, but a reload fails without the mark
            log.error("ready_not_marked", error=type(error).__name__)
    log.info("web_worker_ready", pid=os.getpid())


def _worker_exit(_arbiter: Any, worker: Any) -> None:
    wsgi = getattr(worker, "wsgi", None)
    if wsgi is not None:
        wsgi.extensions[INBOX].close()


if __name__ == "__main__":
    sys.exit(main())
