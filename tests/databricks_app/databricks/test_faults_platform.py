"""Whatever the workspace or the warehouse does: nothing lost, nothing twice, said in words."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from double_app import Platform, app, await_loaded, await_words, platform, readiness
from faulty import KINDS, body, record, writer_process
from serving import Receiver, event, flooding, request, wait_until

Went = tuple[str, dict[str, Any], str]
"""An action of the double, how, and what `/readyz` says of it."""

KEPT = r"/(inbox|probe)/"
DOOR: dict[str, Went] = {
    "full": ("full", {}, "takes no more"),
    "denied": ("denied", {}, "WRITE VOLUME"),
    "throttled": ("throttled", {"retry_after": 1}, "HTTP 429"),
    "unavailable": ("unavailable", {"retry_after": 1}, "HTTP 503"),
    "failing": ("error", {}, "HTTP 500"),
    "token refused": ("expired", {}, "token"),
    "reset before": ("reset_before", {}, ""),
    "answer lost": ("reset_after", {}, ""),
    "silent": ("hang_after", {"seconds": 5}, ""),
}
CONFLICT = "[DELTA_CONCURRENT_APPEND] Files were added by a concurrent update. SQLSTATE: 2D521"
DENIED = (
    "[INSUFFICIENT_PERMISSIONS] User does not have MODIFY on Table 'main.cio.webhook_raw_events'."
)
EXECUTE = {"operation": "sql.ExecuteStatement", "statement": "MERGE"}
LOADER: dict[str, Went] = {
    "denied": ("statement_fails", {"statement": "MERGE", "text": DENIED}, "GRANT MODIFY"),
    "failing": (
        "statement_fails",
        {"statement": "MERGE", "text": "[INTERNAL_ERROR] x SQLSTATE: XX000"},
        "refuses a statement",
    ),
    "conflicts": ("statement_fails", {"statement": "MERGE", "text": CONFLICT}, "was faster"),
    "slow": ("statement_slow", {"statement": "MERGE", "seconds": 12}, "has taken"),
    "unavailable": ("unavailable", {**EXECUTE, "times": 3}, ""),
    "throttled": ("throttled", {**EXECUTE, "times": 3}, ""),
    "answer lost": ("reset_after", {**EXECUTE, "times": 3}, ""),
    "committed, then failed": ("statement_fails_after", {"statement": "MERGE", "times": 3}, ""),
}
POINTS = (
    "writer.before_load",
    "lake.after_stage",
    "lake.before_raw_merge",
    "lake.after_raw_merge",
    "lake.before_typed_merge",
    "lake.after_typed_merge:2",
    "writer.before_forget",
    "writer.after_forget",
)
TAKEOVER_SECONDS = 120.0
QUEUE = 64


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Platform]:
    """A Databricks with a volume and no tables."""
    with platform(tmp_path / "double") as double:
        yield double


@pytest.fixture
def receiver(double: Platform, tmp_path: Path) -> Iterator[Receiver]:
    """An app whose tables are made."""
    with app(double, tmp_path / "app") as receiver:
        wait_until(lambda: receiver.post(request(event("first"))).status == 200)
        await_loaded(double)
        yield receiver


def settle(double: Platform, acknowledged: list[str]) -> None:
    """Check that each acknowledged event is in the tables, and each that is there once."""
    double.clear()
    await_loaded(double)
    found = double.found()
    assert found.lost(acknowledged) == set()
    assert found.doubled == 0, found.differences


def flood_through(receiver: Receiver, double: Platform, fault: Went) -> list[str]:
    """Post before, during and after a fault; return what was acknowledged."""
    action, how, words = fault
    with flooding(receiver, keep_alive=True, clients=4, pause_seconds=0.1) as flood:
        flood.wait_for(10)
        double.set(action, **how)
        wait_until(double.has_acted)
        await_words(receiver, words)
        flood.wait_for(10)
        double.clear()
        wait_until(lambda: receiver.post(request(event("after"))).status == 200)
        flood.wait_for(20)
        tally = flood.stop()
    assert tally.kinds <= {"200", "503"}
    return [*tally.acknowledged, "first", "after"]


def first_of(processes: Callable[[], list[int]]) -> int:
    """Wait until one of them runs and return its id."""
    wait_until(lambda: bool(processes()))
    return processes()[0]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "full" else pytest.mark.slow) for n in DOOR]
)
def test_door_answers_200_or_503_while_the_volume_fails(
    double: Platform, receiver: Receiver, name: str
) -> None:
    """What is acknowledged stands once, whether or not a put that failed had come through."""
    action, how, words = DOOR[name]
    fault = (action, {"operation": "files.put", "path": KEPT, **how}, words)

    acknowledged = flood_through(receiver, double, fault)

    settle(double, acknowledged)
    wait_until(lambda: readiness(receiver)["status"] == "ok")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "answer lost" else pytest.mark.slow) for n in LOADER]
)
def test_loading_goes_on_after_whatever_the_warehouse_did(
    double: Platform, receiver: Receiver, name: str
) -> None:
    """The door stays open, `/readyz` names the cause, and what had been committed counts once."""
    acknowledged = flood_through(receiver, double, LOADER[name])

    settle(double, acknowledged)
    wait_until(lambda: readiness(receiver)["status"] == "ok")


@pytest.mark.slow
def test_warehouse_that_sleeps_is_waited_for(double: Platform, receiver: Receiver) -> None:
    """Events are taken while it starts, and loaded then."""
    double.warehouse(stop=True, start_seconds=15)
    with flooding(receiver, keep_alive=True, clients=2, pause_seconds=0.1) as flood:
        await_words(receiver, "warehouse")
        flood.wait_for(20)
        tally = flood.stop()

    settle(double, tally.acknowledged)
    assert tally.kinds == {"200"}


@pytest.mark.slow
def test_revoked_token_is_replaced_without_a_word(double: Platform, receiver: Receiver) -> None:
    """Door and loader get another one by themselves."""
    with flooding(receiver, keep_alive=True, clients=2, pause_seconds=0.05) as flood:
        for _ in range(5):
            flood.wait_for(20)
            double.revoke_tokens()
        tally = flood.stop()

    settle(double, tally.acknowledged)
    assert tally.kinds <= {"200", "503"}


@pytest.mark.parametrize(
    "place",
    [pytest.param(p, marks=() if "after_raw" in p else pytest.mark.slow) for p in POINTS],
)
def test_writer_killed_within_a_load_loses_and_doubles_nothing(
    double: Platform, tmp_path: Path, place: str
) -> None:
    """Its successor loads the same objects again, and only what is missing goes in."""
    names = [f"P{number}" for number in range(12)]
    double.put([record(body(one, KINDS[n % len(KINDS)])) for n, one in enumerate(names)])

    with writer_process(tmp_path, **double.variables, CIO_FAULT_POINT=place) as writer:
        code = writer.wait(60)
    with writer_process(tmp_path, **double.variables):
        await_loaded(double)

    found = double.found()
    assert code == -signal.SIGKILL
    assert found.ids == sorted(names)
    assert found.doubled == 0, found.differences


@pytest.mark.slow
def test_single_processes_die_and_nothing_is_lost(double: Platform, receiver: Receiver) -> None:
    """A web worker, the writer, the web server: each is started again."""
    with flooding(receiver, keep_alive=True, clients=4, pause_seconds=0.05) as flood:
        for processes in (receiver.workers, receiver.writer, receiver.web, receiver.writer):
            flood.wait_for(20)
            os.kill(first_of(processes), signal.SIGKILL)
            flood.wait_for(20)
        tally = flood.stop()

    settle(double, tally.acknowledged)
    assert tally.kinds <= {"200", "503"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_another_instance_takes_over_from_one_that_lost_its_disk(
    double: Platform, tmp_path: Path
) -> None:
    """Both acknowledge, one loads; kill -9 of the holder with all it had, and the other loads."""
    with app(double, tmp_path / "one") as one:
        wait_until(lambda: one.post(request(event("one"))).status == 200)
        await_loaded(double)
        with app(double, tmp_path / "two") as two:
            with (
                flooding(one, keep_alive=True, clients=2, pause_seconds=0.05) as first,
                flooding(two, keep_alive=True, clients=2, pause_seconds=0.05) as second,
            ):
                first.wait_for(50)
                second.wait_for(50)
                loads_of_two = two.logged("batch_loaded")
                os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait()
                second.wait_for(50)
                tallies = first.stop(), second.stop()
            await_loaded(double, TAKEOVER_SECONDS)
            settle(double, [*tallies[0].acknowledged, *tallies[1].acknowledged])

    assert loads_of_two == []
    assert tallies[1].kinds == {"200"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_holder_that_was_paused_past_its_lease_stands_by(double: Platform, tmp_path: Path) -> None:
    """Resumed after the other took over, it loads nothing more and its process lives on."""
    with app(double, tmp_path / "one") as one, app(double, tmp_path / "two") as two:
        wait_until(lambda: one.post(request(event("one"))).status == 200)
        await_loaded(double)
        holder, other = (one, two) if one.logged("lease_taken") else (two, one)
        double.set("statement_slow", statement="MERGE", seconds=2, times=1)
        with flooding(other, keep_alive=True, clients=2, pause_seconds=0.05) as flood:
            flood.wait_for(20)
            paused = holder.writer()[0]
            os.kill(paused, signal.SIGSTOP)
            wait_until(lambda: bool(other.logged("batch_loaded")), TAKEOVER_SECONDS)
            os.kill(paused, signal.SIGCONT)
            loaded = len(holder.logged("batch_loaded"))
            flood.wait_for(40)
            tally = flood.stop()
        settle(double, tally.acknowledged)

        assert holder.writer() == [paused]
        assert len(holder.logged("batch_loaded")) == loaded


@pytest.mark.slow
def test_stop_with_a_full_queue_answers_all_within_ten_seconds(
    double: Platform, receiver: Receiver
) -> None:
    """The volume hangs, requests wait, SIGTERM comes: each of them gets its 503."""
    double.set("hang", operation="files.put", path=KEPT)
    wires = [receiver.connect().send(request(event(f"Q{number}"))) for number in range(QUEUE)]
    readiness(receiver)  # who connects later is answered later: all of them are in the app

    began = time.monotonic()
    code = receiver.stop()
    seconds = time.monotonic() - began
    statuses = []
    for wire in wires:
        with wire:
            statuses.append(wire.answer().status)

    assert statuses == [503] * QUEUE
    assert (code, seconds < 10) == (0, True)
