"""Kill or reload the processes of a running receiver."""

from __future__ import annotations

import os
import signal

from tests.support.receiver import (
    Receiver,
    is_zombie,
    wait_until,
)


def ready(receiver: Receiver) -> int:
    """Return how many web processes have been ready so far."""
    return len(receiver.logged("web_worker_ready"))


def kill_worker(receiver: Receiver) -> None:
    """Kill a web process and wait for its successor."""
    before = ready(receiver)
    os.kill(receiver.workers()[0], signal.SIGKILL)
    wait_until(lambda: ready(receiver) > before)


def kill_master(receiver: Receiver) -> None:
    """Kill gunicorn's master; wait for its successor and for the end of the orphans."""
    before, orphans = ready(receiver), receiver.workers()
    os.kill(receiver.web()[0], signal.SIGKILL)
    wait_until(lambda: ready(receiver) > before + 1)
    wait_until(lambda: all(is_zombie(pid) for pid in orphans))


def kill_writer(receiver: Receiver) -> None:
    """Kill the writer and wait for its successor."""
    wait_until(lambda: bool(receiver.writer()))
    before = receiver.writer()
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: bool(set(receiver.writer()) - set(before)))


def reload(receiver: Receiver) -> None:
    """Reload and wait for the end of all processes before."""
    before, old = ready(receiver), [*receiver.workers(), *receiver.web(), *receiver.writer()]
    receiver.process.send_signal(signal.SIGHUP)
    wait_until(lambda: ready(receiver) > before + 1)
    wait_until(lambda: all(is_zombie(pid) for pid in old))
