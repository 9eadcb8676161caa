"""`ciolake serve`: keeps the socket open, and keeps the web server and the loader running.

The socket stays open as long as this process lives (see `acceptor`), so that the sender never gets
a refused connection when a child restarts, reloads or crashes. A child that dies is started again,
with a growing pause. If this process dies, all children end.
"""

from __future__ import annotations

import errno
import math
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from databricks_app.errors import SettingsError
from databricks_app.ingest.inbox import Pending
from databricks_app.runtime import status
from databricks_app.runtime.metric_files import fold_ended
from databricks_app.runtime.process import PARENT
from databricks_app.runtime.process_identity import is_running
from databricks_app.runtime.status import RUN_DIR
from databricks_app.serving import ready_files
from databricks_app.serving.acceptor import Acceptor
from databricks_app.serving.traffic import TrafficSummary

# `docker stop` sends SIGKILL 10 s after SIGTERM, Databricks Apps 15 s after it.
STOP_SECONDS = 9.0
# Clients that the kernel lets wait while no worker has room.
_BACKLOG = 2048
# Seconds before a restart, by the number of deaths in a row.
_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
# A child that has run so long is healthy: its next death is the first one of a new row.
_STEADY_SECONDS = 30.0
RELOAD_SECONDS = 15.0
_CHECK_SECONDS = 1.0
_TIDY_SECONDS = 60.0
_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
# Exit codes of a child that ends because of our SIGTERM, with or without a handler for it.
_ORDERED = frozenset({0, -signal.SIGTERM})
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

log = structlog.get_logger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 means any free port.

    Raises:
        SettingsError: It is not possible to listen on the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # Else a restart fails while connections of the old process are in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, UnicodeError) as error:
        listener.close()
        raise SettingsError(f"cannot listen on {host} port {port} {_advice(error)}") from error
    return listener


def _advice(error: OSError | UnicodeError) -> str:
    """Return the reason in brackets, and what to do."""
    if isinstance(error, UnicodeError | socket.gaierror):
        return "(the name is unknown); set CIO_HOST to an address of this machine"
    number = error.errno or 0
    advice = {
        errno.EADDRINUSE: "end the process that listens there, or set PORT to another port",
        errno.EADDRNOTAVAIL: "set CIO_HOST to an address of this machine",
        errno.EACCES: "set PORT to a port from 1024 up",
    }.get(number, "set CIO_HOST and PORT to another address")
    return f"({os.strerror(number)}); {advice}"


def child_environment(run_dir: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of the children."""
    metrics = run_dir / "metrics"
    metrics.mkdir(exist_ok=True)
    return {
        **environ,
        RUN_DIR: str(run_dir),
        PARENT: str(os.getpid()),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
    }


@dataclass(slots=True)
class Child:
    """A process to keep running.

    Attributes:
        name: Role of the process.
        command: Command of the process.
        descriptors: Open files that it inherits. It serves on them, so that a reload may run two
            processes of this role for a while.
        is_once: Whether it ends by itself and is not started again.
        process: The running process, if there is one.
        failures: Deaths in a row.
        started: Monotonic seconds of the last start.
        due: Monotonic seconds of the next start.
        is_ending: Whether a reload has told the running process to end.
    """

    name: str
    command: list[str]
    descriptors: tuple[int, ...] = ()
    is_once: bool = False
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    due: float = 0.0
    is_ending: bool = False

    def start(self, environ: Mapping[str, str], now: float) -> None:
        """Start a process of this role; a failed start counts as a death."""
        self.process = None
        self.started = now
        try:
            self.process = subprocess.Popen(  # noqa: S603  # our own modules and interpreter
                self.command, env=dict(environ), pass_fds=self.descriptors, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            self._plan_start(now)
            log.error("child_not_started", child=self.name, error=type(error).__name__)
            return
        log.info("child_started", child=self.name, pid=self.process.pid)

    def reap(self, now: float) -> bool:
        """Check whether the process has died, and plan the next start; return whether it has."""
        if self.process is None or self.process.poll() is None:
            return False
        code = self.process.returncode
        self.process = None
        # It may also die of something else while it ends.
        if self.is_ending and code in _ORDERED:
            self.failures, self.due = 0, now
        else:
            self._plan_start(now)
        write = log.error if self.failures and code else log.info
        self.is_ending = False
        write("child_ended", child=self.name, code=code, failures=self.failures)
        return True

    def _plan_start(self, now: float) -> None:
        self.failures = 1 if now - self.started > _STEADY_SECONDS else self.failures + 1
        pause = _PAUSES[min(self.failures, len(_PAUSES)) - 1]
        self.due = math.inf if self.is_once else now + pause

    def is_troubled(self, now: float) -> bool:
        """Return whether it has died and has not run steadily since."""
        is_steady = self.process is not None and now - self.started > _STEADY_SECONDS
        return self.failures > 0 and not self.is_once and not is_steady


@dataclass(slots=True)
class Supervisor:
    """Keeps children running until it is stopped.

    Attributes:
        children: The processes to run.
        environ: Environment of the children.
        is_ready: Returns whether a child that inherits the socket serves already.
        write_problems: Called with the problems, as text for an admin, when they change.
        stopping: Called before the children are stopped.
        tidy: Called every minute, and when a child has ended.
        stop_seconds: How long the children may take to stop.
        reload_seconds: How long a new process may take until it serves.
    """

    children: list[Child]
    environ: Mapping[str, str]
    is_ready: Callable[[Child], bool]
    write_problems: Callable[[tuple[str, ...]], None]
    stopping: Callable[[], None] = lambda: None
    tidy: Callable[[], None] = lambda: None
    stop_seconds: float = STOP_SECONDS
    reload_seconds: float = RELOAD_SECONDS
    _old: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _problems: tuple[str, ...] = ()
    _tidied: float = 0.0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; SIGHUP reloads. Returns the exit code."""
        # Blocked signals stay pending until `sigtimedwait` takes them: no handler interrupts us.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while True:
            now = time.monotonic()
            for child in self.children:
                if child.process is None and child.due <= now:
                    child.start(self.environ, now)
            self._report_problems(now)
            waits = [child.due - now for child in self.children if child.process is None]
            seconds = max(0.0, min([_CHECK_SECONDS, *waits]))
            received = signal.sigtimedwait(_SIGNALS, seconds)
            number = received.si_signo if received else None
            if number in _STOPPING:
                return self._stop()
            if number == signal.SIGHUP:
                self._reload()
            self._reap()
            if time.monotonic() - self._tidied >= _TIDY_SECONDS:
                self._tidied = time.monotonic()
                self.tidy()

    def _report_problems(self, now: float) -> None:
        problems = tuple(
            f"the {child.name} ended {child.failures} times in a row and is started again: "
            "see the log"
            for child in self.children
            if child.is_troubled(now)
        )
        if problems != self._problems:
            self._problems = problems
            self.write_problems(problems)

    def _reap(self) -> None:
        now = time.monotonic()
        ended = [child.name for child in self.children if child.reap(now)]
        before = len(self._old)
        self._old = [process for process in self._old if process.poll() is None]
        self._reap_orphans()
        if ended or len(self._old) < before:
            self._tidied = -math.inf  # remove their files in the run folder at once

    def _reap_orphans(self) -> None:
        """Reap processes that a killed child has left behind."""
        # The kernel gives them to us if we are process 1 of a container, or a subreaper.
        running = [child.process for child in self.children if child.process] + self._old
        ours = {process.pid for process in running}
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in ours:
                return  # a child of ours ended just now: SIGCHLD is pending, `reap` handles it
            os.waitpid(found.si_pid, 0)
            log.info("orphan_reaped", pid=found.si_pid)

    def _reload(self) -> None:
        """Replace each child."""
        for child in self.children:
            if child.process is None or child.is_once:
                continue
            log.info("child_reload", child=child.name)
            if child.descriptors:
                # Two web servers can share the socket: the old one ends when the new one serves.
                if not self._replace(child, child.process):
                    return  # with these settings the other children would fail too
            else:
                child.process.terminate()
                child.is_ending = True

    def _replace(self, child: Child, old: subprocess.Popen[bytes]) -> bool:
        """Start a new process and end the old one; if the new one does not serve, keep the old."""
        started, failures = child.started, child.failures
        child.start(self.environ, time.monotonic())
        new = child.process
        is_replaced = new is not None and self._wait_until_ready(child, new)
        if is_replaced:
            child.failures = 0
        else:
            log.error("reload_failed", child=child.name)
            child.process, child.started, child.failures = old, started, failures
        ended = old if is_replaced else new
        if ended is not None:
            ended.terminate()
            self._old.append(ended)
        return is_replaced

    def _wait_until_ready(self, child: Child, process: subprocess.Popen[bytes]) -> bool:
        end = time.monotonic() + self.reload_seconds
        while time.monotonic() < end and process.poll() is None:
            if self.is_ready(child):
                return True
            if signal.sigpending() & _STOPPING:
                return False
            time.sleep(0.05)
        return False

    def _stop(self) -> int:
        self.stopping()
        running = [child.process for child in self.children if child.process] + self._old
        for process in running:
            process.terminate()
        end = time.monotonic() + self.stop_seconds
        late = 0
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("child_killed", pid=process.pid)
                process.kill()
                process.wait()
                late = 1
        self.tidy()
        return late


def serve(
    listener: socket.socket,
    run_dir: Path,
    *,
    with_alerting: bool = False,
    with_demo: bool = False,
    pending: Callable[[], Pending | None] = lambda: None,
) -> int:
    """Run web server and loader on this socket until stopped; then remove the run folder.

    Args:
        listener: The bound socket.
        run_dir: See `databricks_app.runtime.run_dir`.
        with_alerting: Whether to run the process that posts alerts.
        with_demo: Whether to send signed example events of every kind once.
        pending: Counts the events that are stored and not loaded. The default returns None, for
            stores where only the loader can count.
    """
    descriptor = listener.fileno()
    python = [sys.executable, "-m"]
    server = [*python, "databricks_app.serving.server", str(descriptor)]
    web = Child("web", server, (descriptor,))
    children = [web, Child("loader", [*python, "databricks_app.loading.loader"])]
    if with_alerting:
        children.append(Child("alerting", [*python, "databricks_app.operations.alerting.process"]))
    if with_demo:
        url = "http://{}:{}".format(*listener.getsockname()[:2])
        children.append(
            Child("demo", [*python, "databricks_app.cli.demo_traffic", url], is_once=True)
        )

    def is_ready(child: Child) -> bool:
        return child.process is not None and ready_files.is_marked(run_dir, child.process.pid)

    def write_problems(problems: tuple[str, ...]) -> None:
        status.write_problems(run_dir, problems)

    summary = TrafficSummary(run_dir / "metrics", pending)

    def tidy() -> None:
        try:
            ready_files.remove_ended(run_dir)
            fold_ended(run_dir / "metrics", is_running)
        except OSError as error:
            log.warning("run_folder_not_tidied", error=type(error).__name__)
        # `tidy` runs after the death of a child too, but the summary is written once a minute.
        summary.write_if_due()

    # The acceptor and the workers (which inherit the limit) have a descriptor for each connection.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    # Before any thread starts: the kernel may deliver a signal to a thread that does not block it,
    # and the default action ends the whole process.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    acceptor = Acceptor(run_dir, listener)
    acceptor.start()
    try:
        environ = child_environment(run_dir)
        code = Supervisor(children, environ, is_ready, write_problems, acceptor.refuse, tidy).run()
        summary.write()
        return code
    finally:
        acceptor.stop()
        shutil.rmtree(run_dir, ignore_errors=True)
