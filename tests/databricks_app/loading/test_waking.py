"""What wakes the warehouse, through the real loop, statements and volume, over simulated hours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from databricks_app.databricks import warehouse_use
from databricks_app.databricks.warehouse_use import WarehouseUse
from databricks_app.errors import LakeError
from tests.doubles import Databricks, Fault
from tests.doubles.workspace.limits import relaxed
from tests.support.warehouse_hours import NOON, VOLUME, SimulatedHours

PATH = "/Volumes/main/cio/events"
EVERY_THREE_MINUTES = range(0, 3600, 180)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume and no tables."""
    limits = relaxed("hours of listings pass in a second")
    with Databricks(tmp_path / "double", volume=VOLUME, limits=limits) as double:
        yield double


@pytest.fixture
def variables(
    double: Databricks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of an app with the default freshness."""
    variables = double.environment() | {
        "CIO_STORE": "databricks",
        "CIO_CATALOG": "main",
        "CIO_SCHEMA": "cio",
        "CIO_VOLUME": "events",
        "CIO_DATA_DIR": str(tmp_path / "data"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_an_hour_of_a_trickle_wakes_the_warehouse_four_times(
    double: Databricks, variables: dict[str, str]
) -> None:
    """No event becomes older than the freshness, and no statement runs in between."""
    hours = SimulatedHours(double, variables, EVERY_THREE_MINUTES).run()

    assert 3 <= hours.wake_ups <= 4
    assert len(hours.statements) == hours.wake_ups
    assert 800 < max(hours.ages) <= 900


def test_hours_without_others_cost_no_wake_up_more(
    double: Databricks, variables: dict[str, str]
) -> None:
    """The loader does not ride on the idle time of its own loads."""
    variables["CIO_WAREHOUSE_HOURS"] = "mon-fri 08:00-18:00 UTC"

    hours = SimulatedHours(double, variables, range(0, 2100, 30), hours=0.6).run()

    assert hours.wake_ups == 2
    assert len(hours.statements) == 2


def test_in_the_hours_events_are_loaded_at_once_while_others_use_the_warehouse(
    double: Databricks, variables: dict[str, str]
) -> None:
    """As soon as it is proven again that it runs because of others; the state is asked seldom."""
    variables["CIO_WAREHOUSE_HOURS"] = "mon-fri 08:00-18:00 UTC"

    hours = SimulatedHours(
        double, variables, EVERY_THREE_MINUTES, others=lambda now: now < NOON + 1200
    )
    hours.run()

    assert max(hours.ages[:6]) <= 100
    assert max(hours.ages[7:]) > 700
    assert hours.wake_ups <= 3
    assert double.faults.counts["warehouses.get"] < 300


@pytest.mark.slow
def test_one_proof_of_others_is_enough_for_many_loads(
    double: Databricks, variables: dict[str, str]
) -> None:
    """Events that come faster than the auto-stop are loaded at once, too."""
    variables["CIO_WAREHOUSE_HOURS"] = "mon-fri 08:00-18:00 UTC"
    arrivals = [600 + 20.0 * n for n in range(30)]

    hours = SimulatedHours(double, variables, arrivals, hours=0.4, others=lambda _now: True)
    hours.run()

    assert len(hours.ages) == 30
    assert max(hours.ages) < 30


def test_a_restart_wakes_nothing_and_a_shutdown_forces_nothing(
    double: Databricks, variables: dict[str, str]
) -> None:
    """An event waits; the next loader knows how long the warehouse ran today."""
    first = SimulatedHours(double, variables, [0.0], hours=0.3).run()
    ran = double.workspace.warehouses.get("double").starts

    second = SimulatedHours(double, variables, [0.0], begin=NOON + 1200, hours=0.2).run()

    assert (first.wake_ups, ran, second.wake_ups) == (1, 1, 1)
    assert second.statements == []
    (waiting,) = {status.pending_events for status in second.statuses[2:]}
    assert waiting == 1
    assert second.statuses[0].warehouse is not None
    assert second.statuses[0].warehouse.seconds_today == pytest.approx(60, abs=1)


@pytest.mark.parametrize("is_tagged", [True, False])
def test_the_loader_stops_only_a_warehouse_that_was_made_for_it(
    double: Databricks, variables: dict[str, str], is_tagged: bool
) -> None:
    """Only if the setting is on."""
    variables["CIO_WAREHOUSE_STOP"] = "on"
    hours = SimulatedHours(double, variables, [0.0], hours=0.26)
    if is_tagged:
        hours.tag()

    with capture_logs() as lines:
        hours.run()

    assert double.faults.counts["warehouses.stop"] == is_tagged
    named = "warehouse_stopped" if is_tagged else "warehouse_not_stopped"
    assert named in [line["event"] for line in lines]
    assert hours.statuses[-1].warehouse is not None
    assert (hours.statuses[-1].warehouse.seconds_today < 1) is is_tagged


def test_a_warehouse_with_a_query_is_not_stopped(
    double: Databricks, variables: dict[str, str]
) -> None:
    """Somebody uses it although it was made for the loader; so does an unanswered question."""
    variables["CIO_WAREHOUSE_STOP"] = "on"
    hours = SimulatedHours(double, variables, [0.0], hours=0.26)
    hours.tag()
    double.faults.set(Fault("denied", "queries.history", times=None))

    with capture_logs() as lines:
        hours.run()

    assert double.faults.counts["warehouses.stop"] == 0
    (told,) = [line for line in lines if line["event"] == "warehouse_not_stopped"]
    assert "CAN MANAGE" in told["problem"]


@pytest.mark.slow
def test_above_the_ceiling_the_loader_loads_hourly_and_says_so(
    double: Databricks, variables: dict[str, str]
) -> None:
    """Nothing is lost: the events are rows within the hour."""
    variables["CIO_WAREHOUSE_DAILY_SECONDS"] = "60"

    hours = SimulatedHours(double, variables, range(0, 7200, 180), hours=2.6).run()

    assert hours.wake_ups == 3
    assert 3500 < max(hours.ages) <= 3600
    assert len(hours.ages) == 40
    last = hours.statuses[-1]
    assert "CIO_WAREHOUSE_DAILY_SECONDS is 60" in last.problems[0]
    assert last.warehouse is not None
    assert last.warehouse.wait_seconds == 3600


def test_a_load_that_fails_for_hours_does_not_keep_the_warehouse_awake(
    double: Databricks, variables: dict[str, str]
) -> None:
    """The pauses between tries become as long as the default freshness."""
    double.faults.set(Fault("statement_fails", statement="MERGE", times=None, text="[BROKEN]"))

    hours = SimulatedHours(double, variables, [0.0], hours=1.5).run()

    assert 3 < hours.wake_ups < 10
    assert "nothing is lost" in hours.statuses[-1].problems[0]


def test_an_object_that_cannot_be_read_does_not_make_each_event_due(
    double: Databricks, variables: dict[str, str]
) -> None:
    """It stays in the inbox and is the oldest for ever."""
    double.faults.set(Fault("error", "files.get", path="-00000000-", times=None))

    hours = SimulatedHours(double, variables, EVERY_THREE_MINUTES).run()

    assert hours.wake_ups <= 4


def test_a_loader_that_dies_in_a_load_has_used_the_warehouse(
    double: Databricks, variables: dict[str, str]
) -> None:
    """The volume knows it before the first statement runs."""
    hours = SimulatedHours(double, variables, [0.0], hours=0.26)
    kept: list[WarehouseUse] = []

    def die(*_: object, **__: object) -> None:
        kept.append(warehouse_use.read(hours.waking.files, PATH))
        hours.set()
        raise LakeError("dead")

    hours.loader.lake._statements.connect = die  # type: ignore[attr-defined]

    hours.run()

    assert kept[0].last_statement_at == pytest.approx(NOON + 887, abs=1)


def test_the_loads_of_another_machine_are_no_use_of_somebody_else(
    double: Databricks, variables: dict[str, str]
) -> None:
    """Two machines would keep the warehouse awake for each other. They share the use."""
    variables["CIO_WAREHOUSE_HOURS"] = "mon-fri 08:00-18:00 UTC"
    hours = SimulatedHours(double, variables, [60.0], hours=0.2, others=lambda _now: True)
    files = hours.waking.files

    def load_elsewhere() -> None:
        use = WarehouseUse().after_statement(hours.now - 1, hours.now, 60.0)
        warehouse_use.write(files, PATH, use)

    hours.each_wait = load_elsewhere

    hours.run()

    assert double.faults.counts["warehouses.get"] > 1
    assert hours.statements == []


def test_on_standby_nothing_is_said_about_the_warehouse(
    double: Databricks, variables: dict[str, str]
) -> None:
    """The loader that loads knows it."""
    first = SimulatedHours(double, variables, [], hours=0.01)
    first.waking.take()

    second = SimulatedHours(double, variables, [], hours=0.1).run()
    first.loader.lake.close()

    assert {status.warehouse for status in second.statuses} == {None}
    assert second.wake_ups == 0
