"""A reload is no failure: neither `/readyz` nor the log reports the ordered end of a child."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from benchmarks.harness.databricks_double import readiness
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import serving
from databricks_app.runtime import status
from databricks_app.serving.supervisor import Child, Supervisor

_ENDS = "import signal, sys; signal.sigwait([signal.SIGTERM]); sys.exit(int(sys.argv[1]))"


def supervisor_of(*children: Child, is_ready: bool = True) -> Supervisor:
    """Make a supervisor that has started these children."""
    for child in children:
        child.start(os.environ, time.monotonic())
    return Supervisor(list(children), dict(os.environ), lambda _: is_ready, lambda _: None)


def child_that_ends_with(code: int) -> Child:
    """Make a child that ends with this exit code when it gets SIGTERM."""
    return Child("loader", [sys.executable, "-S", "-E", "-c", _ENDS, str(code)])


@pytest.fixture(autouse=True)
def _blocked() -> object:
    """Block SIGTERM, as the supervisor does; its children inherit that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize(("code", "failures", "level"), [(0, 0, "info"), (3, 1, "error")])
def test_the_end_of_a_child_at_a_reload_is_a_failure_only_if_it_crashes(
    code: int, failures: int, level: str
) -> None:
    """After an ordered end it starts at once, whatever happened to it before."""
    child = child_that_ends_with(code)
    supervisor = supervisor_of(child)
    process = child.process
    assert process is not None

    with capture_logs() as lines:
        supervisor._reload()
        process.wait()
        now = time.monotonic()
        assert child.reap(now)

    assert (child.failures, child.is_troubled(now)) == (failures, failures > 0)
    assert child.due == now
    assert [one["log_level"] for one in lines if one["event"] == "child_ended"] == [level]


def test_a_death_after_a_reload_is_a_failure() -> None:
    """Only the end that the reload asked for is expected."""
    child = child_that_ends_with(0)
    supervisor = supervisor_of(child)
    for is_asked in (True, False):
        process = child.process
        assert process is not None
        if is_asked:
            supervisor._reload()
        else:
            process.kill()
        process.wait()
        child.reap(time.monotonic())
        child.start(os.environ, time.monotonic())

    assert child.failures == 1
    child.process.kill()
    child.process.wait()


@pytest.mark.parametrize(("is_ready", "failures"), [(True, 0), (False, 1)])
def test_a_replaced_web_server_begins_without_the_deaths_of_the_old_one(
    is_ready: bool, failures: int
) -> None:
    """A death of last week must not be reported because of a reload; nor twice if it fails."""
    web = Child("web", child_that_ends_with(0).command, (1,))
    supervisor = supervisor_of(web, is_ready=is_ready)
    supervisor.reload_seconds = 0.1
    web.failures = 1

    supervisor._reload()

    assert web.failures == failures
    assert supervisor._stop() == 0


@pytest.mark.slow
def test_readyz_stays_ok_through_a_reload(tmp_path: Path) -> None:
    """The loader and the alerting process end and start again; the web server is replaced."""
    with serving(tmp_path, CIO_WEB_WORKERS="1", CIO_ALERT_URL="http://127.0.0.1:9/") as receiver:
        wait_until(lambda: readiness(receiver)["status"] == "ok")
        before = receiver.loader()
        receiver.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(receiver.loader()) == 1 and receiver.loader() != before)
        wait_until(lambda: len(receiver.logged("child_ended")) == 2)
        wait_until(lambda: len(receiver.logged("child_started")) == 6)

        # What every later `/readyz` reads, and the page itself.
        assert receiver.run_folder is not None
        assert status.read_problems(receiver.run_folder) == ()
        assert readiness(receiver)["status"] == "ok"
        assert {line["level"] for line in receiver.logged("child_ended")} == {"info"}
