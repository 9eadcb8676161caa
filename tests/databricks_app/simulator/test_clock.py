"""The simulator's clock: speed, standing still, jumps."""

from __future__ import annotations

from databricks_app.simulator.clock import SimulatedClock


class Machine:
    """Seconds of a machine that pass when a test says so."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        """Return what passed."""
        return self.at


def test_clock_runs_at_its_speed() -> None:
    """A second of the machine is as many of the clock's as the speed says."""
    machine = Machine()
    clock = SimulatedClock(1000.0, speed=60.0, monotonic=machine)

    machine.at += 2

    assert clock.now() == 1120.0
    assert clock.machine_seconds_until(1240.0) == 2.0
    assert clock.machine_seconds_until(1000.0) == 0.0


def test_clock_goes_on_from_where_it_was_at_a_new_speed() -> None:
    """A change of speed is no jump."""
    machine = Machine()
    clock = SimulatedClock(1000.0, monotonic=machine)
    machine.at += 5

    clock.set_speed(0.0)
    machine.at += 5

    assert clock.now() == 1005.0
    assert clock.speed == 0.0
    assert clock.machine_seconds_until(1006.0) is None


def test_clock_jumps_forward_only() -> None:
    """An earlier time changes nothing."""
    clock = SimulatedClock(1000.0, speed=0.0, monotonic=Machine())

    clock.jump_to(5000.0)
    clock.jump_to(10.0)

    assert clock.now() == 5000.0


def test_passed_counts_the_machine_and_the_jumps() -> None:
    """Rate limits end by waiting, whatever the speed, and by jumping."""
    machine = Machine()
    clock = SimulatedClock(1000.0, speed=0.0, monotonic=machine)

    machine.at += 3
    clock.jump_to(1010.0)

    assert clock.passed() == 13.0
