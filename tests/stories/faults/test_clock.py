"""The system's clock jumps by hours, for all processes of a running receiver at once.

A small preloaded library (tests/support/clock.c) gives them the clock of a file; durations (the
monotonic clock) run on, as they do when a real clock is set.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.harness.events import event
from benchmarks.harness.exactly_once import raw_ids
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver, serving
from benchmarks.harness.wire import request, signed
from tests.support.exactly_once import assert_exactly_once
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

_SOURCE = ROOT / "tests" / "support" / "clock.c"
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
HOUR = 3600


@dataclass
class Clock:
    """The clock that the processes see, as an offset from the real one in seconds."""

    library: Path
    file: Path
    offset: int = 0

    def jump(self, seconds: int) -> None:
        """Set the clock forward, or back."""
        self.offset += seconds
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{self.offset}\n")
        draft.replace(self.file)

    def now(self) -> int:
        """The time that the processes see."""
        return int(time.time()) + self.offset


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock without an offset."""
    library = tmp_path / "clock.so"
    compile_it = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE)]
    subprocess.run(compile_it, check=True, timeout=60)
    clock = Clock(library, tmp_path / "clock")
    clock.jump(0)
    return clock


def under(
    clock: Clock, folder: Path, **variables: str
) -> contextlib.AbstractContextManager[Receiver]:
    """Run a receiver whose processes see that clock."""
    return serving(folder, LD_PRELOAD=str(clock.library), CLOCK_FILE=str(clock.file), **variables)


@pytest.fixture
def receiver(tmp_path: Path, clock: Clock) -> Iterator[Receiver]:
    """A receiver under that clock."""
    with under(clock, tmp_path) as receiver:
        yield receiver


def post(receiver: Receiver, name: str, timestamp: int) -> int:
    """Post an event that was signed at a time; return the status."""
    content = event(name)
    return receiver.post(request(content, signed(content, timestamp=timestamp))).status


def loaded(folder: Path) -> list[str]:
    """The ids of the raw table, ordered."""
    if not (folder / "data" / "tables" / "webhook_raw_events").exists():
        return []
    return raw_ids(folder / "data")


@needs_compiler
@pytest.mark.parametrize("jump", [6 * HOUR, -6 * HOUR])
def test_a_jump_of_the_clock_by_hours_loses_and_doubles_no_event(
    tmp_path: Path, clock: Clock, receiver: Receiver, jump: int
) -> None:
    """The receiver checks timestamps with the new time, and the loader still loads."""
    names = []
    for number in range(4):  # there and back, twice: segments of the past and of the future
        names.append(f"e{number}")
        assert post(receiver, names[-1], clock.now()) == 200
        clock.jump(jump if number % 2 == 0 else -jump)
        assert post(receiver, f"never{number}", clock.now() - jump) == 401

    wait_until(lambda: loaded(tmp_path) == names)
    assert post(receiver, names[0], clock.now()) == 200
    assert post(receiver, "last", clock.now()) == 200
    wait_until(lambda: "last" in loaded(tmp_path))

    assert_exactly_once(tmp_path / "data", [*names, "last"])
    assert not receiver.logged("process_died")


@needs_compiler
def test_events_accepted_before_the_clock_went_back_survive_a_kill(
    tmp_path: Path, clock: Clock
) -> None:
    """Segments with a future time are recovered like any other."""
    clock.jump(2 * HOUR)
    with under(clock, tmp_path, CIO_FLUSH_INTERVAL_SECONDS="3600") as receiver:
        assert [post(receiver, f"e{n}", clock.now()) for n in range(5)] == [200] * 5
        os.killpg(receiver.process.pid, signal.SIGKILL)
    clock.jump(-4 * HOUR)

    with under(clock, tmp_path) as receiver:
        assert post(receiver, "later", clock.now()) == 200
        wait_until(lambda: len(loaded(tmp_path)) == 6)

    assert_exactly_once(tmp_path / "data", [*(f"e{n}" for n in range(5)), "later"])
