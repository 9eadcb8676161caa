"""The web process: granian on a socket that the supervisor holds, where the settings choose it.

Not for use by hand: `ciolake serve` starts it with the socket's descriptor. What granian does
otherwise than gunicorn, with numbers, stands in docs/servers.md.

Uses parts of granian 2.8 that are not its public interface (`_init_shared_socket`, the socket's
holder): the release is pinned.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from granian._granian import RSGIHTTPProtocol, SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.rsgi import Scope
from granian.server import MPServer

from databricks_app import child
from databricks_app.app import INBOX, create_app
from databricks_app.inbox.local import LocalInbox
from databricks_app.rsgi import Bridge
from databricks_app.settings import Settings
from databricks_app.status import RUN_DIR
from databricks_app.web import GRACEFUL_SECONDS, READY_PREFIX

# Silent connections, and idle ones between two requests, end after this.
_HEAD_SECONDS = 125
_HEAD_BYTES = 64 << 10
_CONNECTIONS = 2000
_BACKLOG = 2048
_DRAIN_SECONDS = 1.0

log = structlog.get_logger("databricks_app.web_granian")  # runs as __main__


class Web(MPServer):
    """granian, configured in code."""

    def __init__(self, settings: Settings, descriptor: int) -> None:
        """Serve on the socket with this descriptor."""
        self._descriptor = descriptor
        super().__init__(
            "databricks_app",
            interface=Interfaces.RSGI,
            workers=settings.web_workers,
            runtime_mode=RuntimeModes.st,
            loop=Loops.asyncio,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=_CONNECTIONS,
            http1_settings=HTTP1Settings(
                header_read_timeout=_HEAD_SECONDS * 1000, max_buffer_size=_HEAD_BYTES
            ),
            log_level=LogLevels.warning,
            # Nothing but its level is set: its lines go through `logs`.
            log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},
            respawn_failed_workers=True,
            workers_kill_timeout=GRACEFUL_SECONDS,
        )

    def _init_shared_socket(self) -> None:
        """Share the supervisor's socket: of its own accord granian binds one for each worker."""
        self._ssp = self._sso = None
        holder: Any = SocketHolder  # its stub knows no constructor
        self._shd = holder(self._descriptor, False, _BACKLOG)

    def _drop_shared_socket(self) -> None:
        """Leave the socket to the supervisor."""


class Worker:
    """What granian calls in a worker process: RSGI's three functions."""

    def __init__(self, settings: Settings, descriptor: int) -> None:
        """Wait for the event loop; see `__rsgi_init__`.

        Args:
            settings: What the receiver was told.
            descriptor: Of the socket that granian listens on.
        """
        self._settings = settings
        self._descriptor = descriptor
        self._bridge: Bridge
        self._inbox: LocalInbox

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the app and the inbox, and say that this process serves."""
        child.begin()
        app = create_app(self._settings)
        self._inbox = app.extensions[INBOX]
        self._bridge = Bridge(app, self._settings.web_threads)
        loop.add_signal_handler(signal.SIGTERM, self._drain, loop)
        folder = os.environ.get(RUN_DIR)
        if folder:
            (Path(folder) / f"{READY_PREFIX}{os.getppid()}").touch()
        log.info("web_worker_ready", pid=os.getpid())

    async def __rsgi__(self, scope: Scope, protocol: RSGIHTTPProtocol) -> None:
        """Answer a request."""
        await self._bridge.answer(scope, protocol)

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Finish what is in hand and hand over the inbox."""
        self._bridge.close()
        self._inbox.close()

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take no more connections, end those there are with an answer, and stop a little later.

        As it stops granian ends idle connections without a word, and those just accepted as well.
        """
        loop.remove_signal_handler(signal.SIGTERM)
        leave(self._descriptor)
        self._bridge.end()
        loop.call_later(_DRAIN_SECONDS, partial(os.kill, os.getpid(), signal.SIGINT))


def leave(descriptor: int) -> None:
    """Put a socket that nobody connects to in a shared one's place, in this process alone.

    granian has no way to end listening without ending connections.
    """
    with socket.create_server(("127.0.0.1", 0)) as lonely:
        lonely.setblocking(False)
        os.dup2(lonely.fileno(), descriptor)


def main() -> int:
    """Run until told to stop; the descriptor is the only argument."""
    child.begin()
    settings = child.configured("web")
    os.environ[child.PARENT] = str(os.getpid())  # of the workers
    descriptor = int(sys.argv[1])

    def load() -> Any:
        return Worker(settings, descriptor)

    Web(settings, descriptor).serve(target_loader=load, wrap_loader=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
