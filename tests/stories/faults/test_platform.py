"""Errors of workspace and warehouse: no event is lost or doubled, and `/readyz` has the cause."""

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
    "loader.after_stage",
    "loader.before_commit",
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
    """A receiver whose tables exist."""
    with app(double, tmp_path / "app") as receiver:
        wait_until(lambda: receiver.post(request(event("first"))).status == 200)
        await_loaded(double)
        yield receiver


def cases(names: Iterable[str], *quick: str) -> pytest.MarkDecorator:
    """Parametrise by name; all cases are slow except the quick ones."""
    slow = (pytest.mark.slow, pytest.mark.timeout(600))
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=() if name in quick else slow) for name in names]
    )


def settle(double: DatabricksDouble, acknowledged: list[str]) -> None:
    """Check that each acknowledged event is in the tables, and that no event is there twice."""
    double.clear()
    await_loaded(double)
    found = double.found()
    assert found.lost(acknowledged) == set()
    assert found.doubled == 0, found.differences


def post_through(
    receiver: Receiver, double: DatabricksDouble, *faults: FaultCase, again: str = ""
) -> None:
    """Post before, during and after faults, and check that no event is lost or doubled.

    Args:
        receiver: The receiver of the events.
        double: The Databricks that fails.
        faults: The faults, each with a pattern of its problem in `/readyz`.
        again: A pattern of the problem when the fault has lasted for some time.
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


@cases(RECEIVER)
def test_the_receiver_answers_200_or_503_while_the_volume_fails(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """An acknowledged event is one row, whether or not a failed put was stored."""
    post_through(receiver, double, RECEIVER[name], again=r"\(for [1-9]\d* s\)")


@cases(LOADER)
def test_loading_continues_after_an_error_of_the_warehouse(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """The receiver accepts events, `/readyz` has the cause, and a committed row is there once."""
    post_through(receiver, double, LOADER[name])


@cases(["staging denied"])
def test_readyz_says_how_often_and_for_how_long_loading_fails(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """So an admin can distinguish a lasting problem from a new one."""
    post_through(
        receiver,
        double,
        LOADER[name],
        again=r"loading fails \([2-9] times in \d+ s\).*no perm",
    )


@cases(["no token", "refused"])
def test_receiver_and_loader_report_a_token_that_is_always_refused(
    double: DatabricksDouble, receiver: Receiver, name: str
) -> None:
    """Events are refused meanwhile; with valid credentials everything works again."""
    no_token = r"gives no token: check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"
    if name == "no token":
        faults: list[FaultCase] = [("expired", {}, rf"{no_token}.*\(for \d+ s\)")]
    else:
        faults = [("expired", {"operation": one}, "") for one in ("files.*", "directories.*")]
        faults.append(("expired", {"operation": "sql.*"}, RECEIVER["token refused"][2]))

    post_through(receiver, double, *faults, again=r"loading fails.*(gives no|refuses our) token")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_loader_waits_for_a_stopped_warehouse(
    double: DatabricksDouble, receiver: Receiver
) -> None:
    """Events are accepted while it starts, `/readyz` has its state, and then they are loaded."""
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
def test_a_revoked_token_is_replaced(double: DatabricksDouble, receiver: Receiver) -> None:
    """Receiver and loader get another one without help."""
    with posting(receiver, keep_alive=True, clients=2, pause_seconds=0.05) as clients:
        for _ in range(5):
            clients.wait_for(20)
            double.revoke_tokens()
        tally = clients.stop()

    settle(double, tally.acknowledged)
    assert tally.kinds <= {"200", "503"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    POINTS,
)
def test_a_loader_killed_in_a_load_loses_and_doubles_no_event(
    double: DatabricksDouble, tmp_path: Path, place: str
) -> None:
    """The next loader loads the same objects again, and inserts only missing rows."""
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
def test_the_death_of_a_single_process_loses_no_event(
    double: DatabricksDouble, receiver: Receiver
) -> None:
    """Web worker, loader and web server are started again."""
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
    """Both acknowledge, one loads; after kill -9 of all its processes the other one loads."""
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
def test_an_owner_that_was_paused_beyond_its_lease_is_standby(
    double: DatabricksDouble, tmp_path: Path
) -> None:
    """It is resumed after the other one took over: it loads no more, and its process lives."""
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
    """The volume hangs and requests wait; after SIGTERM each of them is answered 503."""
    double.set("hang", **PUT)
    wires = [receiver.connect().send(request(event(f"Q{number}"))) for number in range(QUEUE)]
    readiness(receiver)  # its answer comes after all these requests were received

    began = time.monotonic()
    code = receiver.stop()
    seconds = time.monotonic() - began
    statuses = []
    for wire in wires:
        with wire:
            statuses.append(wire.answer().status)

    assert statuses == [503] * QUEUE
    assert (code, seconds < 10) == (0, True)
