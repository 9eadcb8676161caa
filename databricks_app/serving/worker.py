"""The gunicorn worker: an event loop that serves connections.

The class derives from `gunicorn.workers.base.Worker`, the documented extension point, and uses no
other part of gunicorn. Under `ciolake serve` the acceptor passes connections over its channel.
Without it (`gunicorn -k databricks_app.serving.worker.ReceiverWorker APP`) the worker accepts
connections from the listening sockets.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop
from gunicorn import SERVER
from gunicorn.errors import ConfigError
from gunicorn.workers.base import Worker

from databricks_app.ingest.wsgi import webhook_of
from databricks_app.runtime.status import run_dir
from databricks_app.serving.acceptor import AcceptorChannel
from databricks_app.serving.http.body import Room
from databricks_app.serving.http.connection import Connection
from databricks_app.serving.http.pool import ConnectionPool, Limits
from databricks_app.serving.kernel import share_of_files

SWEEP_SECONDS = 0.25
# Connections taken in one turn of the loop: then requests get their turn.
_BURST = 64
# Between the last answers and the end of the loop, so that the kernel can send them.
_FLUSH_SECONDS = 0.5
# How long a starting app is reported to gunicorn as alive.
_BOOT_SECONDS = 60

log = structlog.get_logger(__name__)

_REFUSED_SETTINGS = {
    "max_requests": "a worker that ends after some requests closes its connections too",
    "preload_app": "the inbox has threads and a locked file, which a fork does not copy",
    "reload": "send SIGHUP to `ciolake serve`, which keeps the socket open",
    "is_ssl": "terminate TLS in a proxy in front",
    "proxy_protocol": "the PROXY protocol is not supported",
}


class ReceiverWorker(Worker):  # type: ignore[misc]  # gunicorn ships no types
    """A worker that answers the webhook route in its event loop.

    Attributes:
        limits: Class of the limits.
    """

    limits: type[Limits] = Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make no loop yet: this runs before the fork."""
        super().__init__(*args, **kwargs)
        self._channel: AcceptorChannel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting: list[socket.socket] = []
        self._is_serving = self._is_stopping = False

    @classmethod
    def check_config(cls, cfg: Any, _log: Any) -> None:
        """Refuse gunicorn settings that this worker does not support.

        Raises:
            ConfigError: The text names the setting and the reason.
        """
        for name, reason in _REFUSED_SETTINGS.items():
            if getattr(cfg, name) not in (False, 0, None, "off"):
                raise ConfigError(f"{name} cannot be used with {cls.__name__}: {reason}")

    def init_process(self) -> None:
        """Make the loop, connect to the acceptor, load the app and run."""
        self._loop = uvloop.new_event_loop()
        self._ended = asyncio.Event()
        self._channel = AcceptorChannel.connect(run_dir())
        super().init_process()

    def init_signals(self) -> None:
        """Let the loop handle the signals."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._loop.add_signal_handler(number, self.handle_exit, number, None)
        self._loop.add_signal_handler(signal.SIGUSR1, self.handle_usr1, signal.SIGUSR1, None)
        # A resized terminal sends it; gunicorn's own workers ignore it too.
        signal.signal(signal.SIGWINCH, signal.SIG_IGN)
        # gunicorn sends SIGABRT to a worker that does not report. The default action would write a
        # core file with our memory, keys included. gunicorn kills a worker that is stuck outside
        # of Python (this handler does not run then) a second later.
        signal.signal(signal.SIGABRT, lambda _number, _frame: os._exit(1))

    def load_wsgi(self) -> None:
        """Make the app."""
        loaded = threading.Event()

        def notify_until_loaded() -> None:
            for _ in range(_BOOT_SECONDS):
                self.notify()
                if loaded.wait(1.0):
                    return

        # Loading may take longer than gunicorn's timeout for a worker that does not report.
        notifying = threading.Thread(target=notify_until_loaded, daemon=True)
        notifying.start()
        try:
            super().load_wsgi()
        finally:
            loaded.set()
            notifying.join()

    def run(self) -> None:
        """Serve until the worker is told to stop."""
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def handle_exit(self, _sig: int | None, _frame: object) -> None:
        """Stop gracefully: serve the connections that were passed already, then end."""
        if self._is_stopping:
            return
        if not self._is_serving:
            # The signal came during the start. Stop in the same order, when the loop serves.
            self._loop.call_soon(self.handle_exit, None, None)
            return
        self._is_stopping = True
        self.alive = False
        self._take_rest()
        self._pool.stop()
        # gunicorn kills the worker after `graceful_timeout`: answer everything before that.
        seconds = max(_FLUSH_SECONDS, self.cfg.graceful_timeout - 2 * _FLUSH_SECONDS)
        self._loop.call_later(seconds, self._pool.end)
        self._loop.call_later(seconds + _FLUSH_SECONDS, self._ended.set)
        self._end_if_idle()

    async def _serve(self) -> None:
        threads = ThreadPoolExecutor(self.cfg.threads, thread_name_prefix="request")
        self._pool = self._make_pool(threads)
        self._is_serving = True
        self._start_accepting()
        self._sweep()
        await self._ended.wait()
        self._pool.end()
        for connection in list(self._pool.connections):
            connection.abort()
        await asyncio.sleep(0)  # `connection_lost` runs in the next turn and releases each
        if self._channel is not None:
            self._channel.flush()
        threads.shutdown(wait=False, cancel_futures=True)

    def _make_pool(self, threads: ThreadPoolExecutor) -> ConnectionPool:
        limits = self.limits()
        limits.idle_seconds = self.cfg.keepalive
        limits.connections = min(self.cfg.worker_connections, share_of_files(self.cfg.workers))
        webhook = webhook_of(self.wsgi)
        folder = Path(tempfile.gettempdir()) if webhook is None else webhook.receiver.body_folder
        room = Room(limits.buffered_bytes, limits.file_bytes, folder)
        return ConnectionPool(self.wsgi, limits, room, threads, self._loop, SERVER, self._release)

    def _start_accepting(self) -> None:
        if self._channel is not None:
            self._loop.add_reader(self._channel.fileno(), self._take)
            self._channel.ask(self._pool.most_open)
            return
        for listener in self.sockets:
            self._accepting.append(listener.sock)
            listener.sock.setblocking(False)
            self._loop.add_reader(listener.sock.fileno(), self._accept, listener.sock)

    def _take(self) -> None:
        """Take connections that the acceptor has passed."""
        assert self._channel is not None  # noqa: S101  # the channel's reader calls this
        try:
            for _ in range(_BURST):
                passed = self._channel.take()
                if passed is None:
                    return
                self._serve_connection(socket.socket(fileno=passed.descriptor), passed.number)
        except EOFError:  # the supervisor has ended
            self.handle_exit(None, None)

    def _accept(self, listener: socket.socket) -> None:
        """Accept connections without an acceptor."""
        for _ in range(_BURST):
            try:
                client, _ = listener.accept()
            except OSError:  # no connection waits, or this process has too many open files
                return
            self._serve_connection(client, 0)

    def _serve_connection(self, client: socket.socket, number: int) -> None:
        client.setblocking(False)
        task = self._loop.create_task(self._connect(client, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: socket.socket, number: int) -> None:
        try:
            await self._loop.connect_accepted_socket(
                partial(Connection, self._pool, number), client
            )
        except OSError:  # the client has closed it already
            client.close()
            self._release(number)

    def _release(self, number: int) -> None:
        if self._channel is not None and number:
            self._channel.release(number)

    def _take_rest(self) -> None:
        """Take the connections that were passed already, and no more."""
        if self._channel is None:
            for listener in self._accepting:
                self._loop.remove_reader(listener.fileno())
            return
        self._loop.remove_reader(self._channel.fileno())
        for passed in self._channel.rest():
            self._serve_connection(socket.socket(fileno=passed.descriptor), passed.number)

    def _sweep(self) -> None:
        """Do the periodic work: report to gunicorn, check deadlines, send what is left to send."""
        self.notify()
        self._pool.sweep()
        if self._channel is not None:
            self._channel.flush()
        if os.getppid() != self.ppid:  # gunicorn's master has died
            self.handle_exit(None, None)
        if not self._ended.is_set():
            self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _end_if_idle(self) -> None:
        if not self._pool.connections and not self._tasks:
            self._ended.set()
        elif not self._ended.is_set():
            self._loop.call_later(0.02, self._end_if_idle)
