"""The supervisor: keeps its children running, replaces them without a gap, stops them all."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from benchmarks.harness.process_table import wait_until
from databricks_app.errors import SettingsError
from databricks_app.runtime.process import PARENT
from databricks_app.runtime.status import RUN_DIR
from databricks_app.serving.supervisor import Child, Supervisor, bind, child_environment

# As real children do, these take back the signals that the supervisor blocks.
_BEGIN = "import signal, time; signal.pthread_sigmask(signal.SIG_SETMASK, []); "
SLEEPER = [sys.executable, "-S", "-E", "-c", _BEGIN + "time.sleep(60)"]
_STAY = _BEGIN + "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
STUBBORN = [sys.executable, "-S", "-E", "-c", _STAY]
FAILING = ["false"]

Signals = Callable[[signal.Signals], None]


@pytest.fixture
def send() -> Iterator[Signals]:
    """Block signals as the supervisor does; yield a function that sends one to this thread."""
    numbers = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    thread = threading.get_ident()
    yield lambda number: signal.pthread_kill(thread, number)
    while signal.sigtimedwait(numbers, 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def a_supervisor(
    children: list[Child],
    *,
    is_ready: Callable[[Child], bool] = lambda _: True,
    write_problems: Callable[[tuple[str, ...]], None] = lambda _: None,
    stop_seconds: float = 5.0,
    reload_seconds: float = 5.0,
) -> Supervisor:
    """Make a supervisor with short limits."""
    return Supervisor(
        children,
        dict(os.environ),
        is_ready,
        write_problems,
        stop_seconds=stop_seconds,
        reload_seconds=reload_seconds,
    )


def started(child: Child) -> subprocess.Popen[bytes]:
    """Start a child and return its process."""
    child.start(os.environ, 0.0)
    assert child.process is not None
    return child.process


def end(*processes: subprocess.Popen[bytes]) -> None:
    """End the processes of a test."""
    for process in processes:
        process.kill()
        process.wait()


def test_bind_uses_a_free_port() -> None:
    """With port 0."""
    with bind("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


def test_bind_accepts_an_ipv6_address() -> None:
    """An address with colons."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with bind("::1", 0) as listener:
        assert listener.family == socket.AF_INET6


def test_bind_says_what_to_do_when_the_port_is_taken() -> None:
    """The text has the port, the reason and the setting."""
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(SettingsError, match=rf"port {port} \(Address already in use\).*PORT"):
            bind("127.0.0.1", port)


def test_bind_says_that_a_name_is_unknown() -> None:
    """An unknown host is a SettingsError."""
    with pytest.raises(SettingsError, match="cannot listen on no such host port 0"):
        bind("no such host", 0)


def test_child_environment_names_the_run_folder_and_the_supervisor(tmp_path: Path) -> None:
    """The rest of the environment is kept."""
    environ = child_environment(tmp_path, {"PORT": "1"})

    assert environ == {
        "PORT": "1",
        RUN_DIR: str(tmp_path),
        PARENT: str(os.getpid()),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    assert (tmp_path / "metrics").is_dir()


def test_child_is_started_again_after_a_growing_pause() -> None:
    """At once after the first death, then later after each further one, up to 5 s."""
    child = Child("web", FAILING)
    pauses = []
    for _ in range(7):
        started(child).wait()
        assert child.reap(0.0)
        pauses.append(child.due)

    assert pauses == [0.0, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


def test_child_that_ran_long_is_started_again_at_once() -> None:
    """Its death counts as the first one."""
    child = Child("web", FAILING, failures=5)
    started(child).wait()

    child.reap(31.0)

    assert (child.failures, child.due) == (1, 31.0)


def test_child_that_runs_is_not_reaped() -> None:
    """Nothing changes while it runs."""
    child = Child("web", SLEEPER)
    process = started(child)
    try:
        assert not child.reap(0.0)
        assert not child.is_troubled(0.0)
    finally:
        end(process)


def test_child_that_cannot_be_started_is_tried_again() -> None:
    """The machine may be short of memory or processes for a while."""
    child = Child("web", ["/no/such/program"])

    with capture_logs() as lines:
        child.start({}, 10.0)
        child.start({}, 10.5)

    assert (child.process, child.failures, child.due) == (None, 2, 11.0)
    assert [line["event"] for line in lines] == ["child_not_started"] * 2


def test_child_that_runs_once_is_not_started_again(send: Signals) -> None:
    """Its end is not a problem, and a reload leaves it out."""
    once, web = Child("demo", ["true"], is_once=True), Child("web", SLEEPER, (1,))
    reported: list[tuple[str, ...]] = []

    def is_ready(_: Child) -> bool:
        send(signal.SIGTERM)
        return True

    started(once).wait()
    once.reap(0.0)
    send(signal.SIGHUP)
    code = a_supervisor([once, web], is_ready=is_ready, write_problems=reported.append).run()

    assert (code, once.process, reported) == (0, None, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_supervisor_ends_its_children_when_told_to_stop(
    send: Signals, number: signal.Signals
) -> None:
    """All have ended when it returns; the exit code is 0 if they were in time."""
    children = [Child("web", SLEEPER), Child("loader", SLEEPER)]
    send(number)

    code = a_supervisor(children).run()

    assert code == 0
    assert [child.process and child.process.returncode for child in children] == [-15, -15]


def test_supervisor_kills_a_child_that_does_not_stop(send: Signals) -> None:
    """After `stop_seconds`; the exit code is 1."""
    child = Child("web", STUBBORN)
    process = started(child)
    wait_until(lambda: is_stubborn(process.pid))
    send(signal.SIGTERM)

    code = a_supervisor([child], stop_seconds=0.2).run()

    assert (code, process.returncode) == (1, -9)


def test_supervisor_restarts_and_reports_a_child_that_dies(send: Signals) -> None:
    """A child that keeps dying is a problem; one that runs is not."""
    reported: list[tuple[str, ...]] = []

    def write_problems(problems: tuple[str, ...]) -> None:
        reported.append(problems)
        if "2 times" in problems[0]:
            send(signal.SIGTERM)

    a_supervisor(
        [Child("loader", FAILING), Child("web", SLEEPER)], write_problems=write_problems
    ).run()

    assert reported == [
        (f"the loader ended {n} times in a row and is started again: see the log",) for n in (1, 2)
    ]


def test_reload_replaces_the_web_server_and_restarts_the_others(send: Signals) -> None:
    """The old web process ends only when the new one serves."""
    web, loader = Child("web", SLEEPER, (1,)), Child("loader", SLEEPER)
    old_web, old_writer = started(web), started(loader)
    seen: list[bool] = []

    def is_ready(child: Child) -> bool:
        assert child.process is not None
        seen.append(old_web.poll() is None and child.process.pid != old_web.pid)
        if len(seen) == 3:
            send(signal.SIGTERM)
        return len(seen) == 3

    send(signal.SIGHUP)
    a_supervisor([web, loader], is_ready=is_ready).run()

    assert seen == [True] * 3
    assert (old_web.returncode, old_writer.returncode) == (-15, -15)
    assert web.process is not None
    assert web.process.pid != old_web.pid


@pytest.mark.parametrize("successor", [FAILING, ["/no/such/program"], SLEEPER])
def test_reload_keeps_the_old_processes_when_the_new_one_does_not_serve(
    send: Signals, successor: list[str]
) -> None:
    """The new web process is ended, and no other child is touched."""
    web, loader = Child("web", SLEEPER, (1,)), Child("loader", SLEEPER)
    processes = started(web), started(loader)
    web.command = successor
    supervisor = a_supervisor([web, loader], is_ready=lambda _: False, reload_seconds=0.3)

    with capture_logs() as lines:
        supervisor._reload()

    assert (web.process, loader.process) == processes
    assert [process.poll() for process in processes] == [None, None]
    assert "reload_failed" in [line["event"] for line in lines]
    send(signal.SIGTERM)
    assert supervisor.run() == 0


def test_child_of_a_supervisor_that_has_died_ends_at_once() -> None:
    """The supervisor died before the child called `prctl`."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from databricks_app.runtime.process import begin; begin(); print('runs')",
        ],
        env=os.environ | {PARENT: "1"},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, b"")


def test_stop_does_not_wait_for_a_reload(send: Signals) -> None:
    """SIGTERM while a new process starts."""
    web = Child("web", SLEEPER, (1,))
    old = started(web)

    def is_ready(_: Child) -> bool:
        send(signal.SIGTERM)
        return False

    send(signal.SIGHUP)
    code = a_supervisor([web], is_ready=is_ready, reload_seconds=60).run()

    assert (code, old.returncode) == (0, -15)


def is_stubborn(pid: int) -> bool:
    """Return whether a process ignores SIGTERM already."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    ignored = next(line for line in lines if line.startswith("SigIgn"))
    return bool(int(ignored.split()[1], 16) & 1 << (signal.SIGTERM - 1))
