"""SIGTERM with items in the queue: they arrive before the process ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from core.errors import ConfigurationError
from core.pipelines import PipelinesClient, PipelinesQueue
from tests.support.paths import DOCS, ROOT
from tests.support.queues import people
from tests.support.vendor_server import Reply, VendorServer

QUEUE = """
import os, signal, sys, time
from core.pipelines import PipelinesClient, PipelinesQueue
client = PipelinesClient("k", base_url=sys.argv[1])
def make(**options):
    return PipelinesQueue(client, interval_seconds=60, **options)
"""
FILL = """
for at in range(100):
    queue.track(str(at), event="E")
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(30)
print("not ended")
"""


def ended(vendor: VendorServer, code: str) -> tuple[int, str]:
    """Run a script with the vendor's address; return its exit status and what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", QUEUE + code, vendor.url],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def arrived(vendor: VendorServer) -> list[str]:
    """Return whose items arrived."""
    return people(vendor.items())


EVERYBODY = [str(at) for at in range(100)]


def test_sigterm_loses_the_items_without_the_option(vendor: VendorServer) -> None:
    """What the option is for: the process ends at once."""
    assert ended(vendor, "queue = make()" + FILL) == (-signal.SIGTERM, "")
    assert arrived(vendor) == []


def test_sigterm_flushes_and_ends_the_process_as_before(vendor: VendorServer) -> None:
    """All items arrive, and the status is that of SIGTERM, as a supervisor expects."""
    assert ended(vendor, "queue = make(flush_on_sigterm=True)" + FILL) == (-signal.SIGTERM, "")
    assert arrived(vendor) == EVERYBODY


def test_sigterm_calls_the_earlier_handler_after_the_flush(vendor: VendorServer) -> None:
    """A program with a handler of its own keeps it."""
    code = "signal.signal(signal.SIGTERM, lambda *_: (print('mine'), sys.exit(7)))\n"

    assert ended(vendor, code + "queue = make(flush_on_sigterm=True)" + FILL) == (7, "mine\n")
    assert arrived(vendor) == EVERYBODY


def test_sigterm_that_was_ignored_stays_ignored(vendor: VendorServer) -> None:
    """The queue is closed, the process goes on."""
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nqueue = make(flush_on_sigterm=True)"

    assert ended(vendor, code + FILL.replace("30", "1")) == (0, "not ended\n")
    assert arrived(vendor) == EVERYBODY


def test_two_queues_are_both_flushed(vendor: VendorServer) -> None:
    """The handler of the second one calls that of the first one."""
    code = (
        "first = make(flush_on_sigterm=True)\nfirst.track('first', event='E')\n"
        "queue = make(flush_on_sigterm=True)"
    )

    assert ended(vendor, code + FILL) == (-signal.SIGTERM, "")
    assert sorted(arrived(vendor)) == sorted([*EVERYBODY, "first"])


def test_sigterm_during_a_call_of_the_queue_does_not_block(vendor: VendorServer) -> None:
    """The interrupted call holds the lock of the queue. Later items are refused with an error."""
    code = """
import threading
queue = make(flush_on_sigterm=True, max_items=10)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    while True:
        queue.track("u", event="E")
        print(end=".")
except Exception as error:
    print(type(error).__name__)
time.sleep(30)
"""
    status, said = ended(vendor, code)

    assert status == -signal.SIGTERM
    assert said == "." * len(arrived(vendor)) + "QueueClosedError\n"


def test_vendor_that_does_not_answer_delays_the_end_by_exit_seconds(vendor: VendorServer) -> None:
    """Then the items go to `on_error`."""
    vendor.script = lambda _: Reply(hang_up=True)
    code = (
        "queue = make(flush_on_sigterm=True, exit_seconds=0.3,"
        " on_error=lambda e, items: print(len(items), flush=True))"
    )

    status, said = ended(vendor, code + FILL)

    assert status == -signal.SIGTERM
    assert said.startswith("100\n")


def test_option_outside_the_main_thread_is_refused(vendor: VendorServer) -> None:
    """Python allows handlers of signals in the main thread only."""
    errors: list[Exception] = []

    def make() -> None:
        with pytest.raises(ConfigurationError, match="main thread") as caught:
            PipelinesQueue(PipelinesClient("k", base_url=vendor.url), flush_on_sigterm=True)
        errors.append(caught.value)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()

    assert len(errors) == 1


def test_documented_handler_flushes_too(vendor: VendorServer) -> None:
    """The two lines of docs/pipelines.md, for programs that set their own handler."""
    page = (DOCS / "pipelines.md").read_text(encoding="utf-8")
    found = re.search(r"^import signal.*?(?=\n```)", page, re.DOTALL | re.MULTILINE)
    assert found is not None

    assert ended(vendor, f"{found[0]}\nqueue = make()" + FILL) == (0, "")
    assert arrived(vendor) == EVERYBODY
