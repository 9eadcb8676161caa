"""Whatever the workspace or the warehouse does: nothing lost, nothing twice, said in words."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from benchmarks.harness.crashes import loader_process
from benchmarks.harness.databricks_double import (
    DatabricksDouble,
    app,
    await_loaded,
    await_words,
    databricks_double,
    readiness,
)
from benchmarks.harness.events import KINDS, event, record
from benchmarks.harness.posting import posting
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver
from benchmarks.harness.wire import request
from tests.support.platform_faults import LOADER, PUT, RECEIVER, FaultCase

POINTS = (
    "loader.before_load",
    "lake.after_stage",
    "lake.before_raw_merge",
    "lake.after_raw_merge",
    "lake.before_typed_merge",
    "lake.after_typed_merge:2",
    "loader.before_delete",
    "loader.after_delete",
)
# Of clients whose worker is killed; see docs/servers.md.
HEALED_SECONDS = 90.0
TAKEOVER_SECONDS = 120.0
QUEUE = 64


@pytest.fixture
def double(tmp_path: Path) -> Iterator[DatabricksDouble]:
    """A Databricks with a volume and no tables."""
    with databricks_double(tmp_path / "double") as double:
        yield double


@pytest.fixture
def receiver(double: DatabricksDouble, tmp_path: Path) -> Iterator[Receiver]:
    """An app whose tables are made."""
    with app(double, tmp_path / "app") as receiver:
        wait_until(lambda: receiver.post(request(event("first"))).status == 200)
        await_loaded(double)
        yield receiver


def cases(names: Iterable[str], *quick: str) -> pytest.MarkDecorator:
    """Every name; all are slow but these."""
    slow = (pytest.mark.slow, pytest.mark.timeout(600))
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=() if name in quick else slow) for name in names]
    )


def settle(double: DatabricksDouble, acknowledged: list[str]) -> None:
    """Check that each acknowledged event is in the tables, and each that is there once."""
    double.clear()
    await_loaded(double)
    found = double.found()
    assert found.lost(acknowledged) == set()
    assert found.doubled == 0, found.differences


def post_through(
    receiver: Receiver, double: DatabricksDouble, *faults: FaultCase, again: str = ""
) -> None:
    """Post before, during and after faults, and look whether all is as if they had not been.

    Args:
        receiver: Where to.
        double: What fails.
        faults: How, and what is said of it.
        again: A pattern of what is said once it has lasted.
    """
    with posting(receiver, keep_alive=True, clients=4, pause_seconds=0.1) as clients:
        clients.wait_for(10)
        for action, how, _ in faults:
            double.set(action, **how)
        wait_until(double.has_acted)
        for words in (*(words for _, _, words in faults if words), *([again] if again else [])):
            await_words(receiver, words)
        clients.wait_for(10)
        double.clear()
        wait_until(lambda: receiver.post(request(event("after"))).status == 200, HEALED_SECONDS)
        clients.wait_for(20)
        tally = clients.stop()
    settle(double, [*tally.acknowledged, "first", "after"])
    wait_until(lambda: readiness(receiver)["status"] == "ok", HEALED_SECONDS)
    assert tally.kinds <= {"200", "503"}


def first_of(processes: Callable[[], list[int]]) -> int:
    """Wait until one of them runs and return its id."""
    wait_until(lambda: bool(processes()))
    return processes()[0]


@cases(RECEIVER, "full")
def test_door_answers_200_or_503_while_the_volume_fails(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """What is acknowledged stands once, whether or not a put that failed had come through."""
    post_through(receiver, double, RECEIVER[name], again=r"\(for [1-9]\d* s\)")


@cases(LOADER, "answer lost once")
def test_loading_goes_on_after_whatever_the_warehouse_did(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """The door stays open, `/readyz` names the cause, and what had been committed counts once."""
    post_through(receiver, double, LOADER[name])


@cases(["staging denied"])
def test_how_often_and_for_how_long_loading_fails_is_said(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """So that an admin tells what lasts from what has just begun."""
    post_through(
        receiver,
        double,
        LOADER[name],
        again=r"loading fails \([2-9] times in \d+ s\) and is repeated, nothing is lost: no perm",
    )


@cases(["no token", "refused"])
def test_token_refused_for_good_is_said_by_door_and_loader(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """Nothing is taken meanwhile, and all goes on when the credentials are good again."""
    no_token = r"gives no token: check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"
    if name == "no token":
        faults: list[FaultCase] = [("expired", {}, rf"{no_token}.*\(for \d+ s\)")]
    else:
        faults = [("expired", {"operation": one}, "") for one in ("files.*", "directories.*")]
        faults.append(("expired", {"operation": "sql.*"}, RECEIVER["token refused"][2]))

    post_through(receiver, double, *faults, again=r"loading fails.*(gives no|refuses our) token")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_warehouse_that_sleeps_is_waited_for(double: DatabricksDouble, receiver: Receiver) -> None:
    """Events are taken while it starts, its state is told, and they are loaded then."""
    double.warehouse(stop=True, start_seconds=35)
    with posting(receiver, keep_alive=True, clients=2, pause_seconds=0.1) as clients:
        await_words(receiver, r"its state is STARTING; wait, this may take minutes")
        clients.wait_for(20)
        tally = clients.stop()

    settle(double, tally.acknowledged)
    wait_until(lambda: readiness(receiver)["status"] == "ok", HEALED_SECONDS)
    assert tally.kinds == {"200"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_revoked_token_is_replaced_without_a_word(
    double: DatabricksDouble, receiver: Receiver
) -> None:
    """Door and loader get another one by themselves."""
    with posting(receiver, keep_alive=True, clients=2, pause_seconds=0.05) as clients:
        for _ in range(5):
            clients.wait_for(20)
            double.revoke_tokens()
        tally = clients.stop()

    settle(double, tally.acknowledged)
    assert tally.kinds <= {"200", "503"}


@pytest.mark.parametrize(
    "place",
    [pytest.param(p, marks=() if "after_raw" in p else pytest.mark.slow) for p in POINTS],
)
def test_writer_killed_within_a_load_loses_and_doubles_nothing(
    double: DatabricksDouble, tmp_path: Path, place: str
) -> None:
    """Its successor loads the same objects again, and only what is missing goes in."""
    names = [f"P{number}" for number in range(12)]
    double.put([record(event(one, KINDS[n % len(KINDS)])) for n, one in enumerate(names)])

    with loader_process(tmp_path, **double.variables, CIO_CRASH_POINT=place) as writer:
        code = writer.wait(60)
    with loader_process(tmp_path, **double.variables):
        await_loaded(double)

    found = double.found()
    assert code == -signal.SIGKILL
    assert found.ids == sorted(names)
    assert found.doubled == 0, found.differences


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_single_processes_die_and_nothing_is_lost(
    double: DatabricksDouble, receiver: Receiver
) -> None:
    """A web worker, the loader, the web server: each is started again."""
    with posting(receiver, keep_alive=True, clients=4, pause_seconds=0.05) as clients:
        for processes in (receiver.workers, receiver.loader, receiver.web, receiver.loader):
            clients.wait_for(20)
            os.kill(first_of(processes), signal.SIGKILL)
            clients.wait_for(20)
        tally = clients.stop()

    settle(double, tally.acknowledged)
    assert tally.kinds <= {"200", "503"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_another_instance_takes_over_from_one_that_lost_its_disk(
    double: DatabricksDouble, tmp_path: Path
) -> None:
    """Both acknowledge, one loads; kill -9 of the owner with all it had, and the other loads."""
    with app(double, tmp_path / "one") as one:
        wait_until(lambda: one.post(request(event("one"))).status == 200)
        await_loaded(double)
        with app(double, tmp_path / "two") as two:
            with (
                posting(one, keep_alive=True, clients=2, pause_seconds=0.05) as first,
                posting(two, keep_alive=True, clients=2, pause_seconds=0.05) as second,
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
@pytest.mark.timeout(600)
def test_owner_that_was_paused_past_its_lease_stands_by(
    double: DatabricksDouble, tmp_path: Path
) -> None:
    """Resumed after the other took over, it loads nothing more and its process lives on."""
    with (
        app(double, tmp_path / "one") as one,
        app(double, tmp_path / "two") as two,
    ):
        wait_until(lambda: one.post(request(event("one"))).status == 200)
        await_loaded(double)
        owner, other = (one, two) if one.logged("lease_taken") else (two, one)
        double.set("statement_slow", statement="MERGE", seconds=2, times=1)
        with posting(other, keep_alive=True, clients=2, pause_seconds=0.05) as clients:
            clients.wait_for(20)
            paused = owner.loader()[0]
            os.kill(paused, signal.SIGSTOP)
            wait_until(lambda: bool(other.logged("batch_loaded")), TAKEOVER_SECONDS)
            os.kill(paused, signal.SIGCONT)
            loaded = len(owner.logged("batch_loaded"))
            clients.wait_for(40)
            tally = clients.stop()
        settle(double, tally.acknowledged)

        assert owner.loader() == [paused]
        assert len(owner.logged("batch_loaded")) == loaded


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stop_with_a_full_queue_answers_all_within_ten_seconds(
    double: DatabricksDouble, receiver: Receiver
) -> None:
    """The volume hangs, requests wait, SIGTERM comes: each of them gets its 503."""
    double.set("hang", **PUT)
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
