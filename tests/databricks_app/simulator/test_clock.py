"""The simulator's clock: its speed, standing still, and jumps."""

from __future__ import annotations

from databricks_app.simulator.clock import SimulatedClock


class FakeMonotonic:
    """A monotonic clock that a test moves by setting `at`."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at


def test_clock_runs_at_its_speed() -> None:
    """At speed 60, two seconds of the machine are 120 seconds of the clock."""
    machine = FakeMonotonic()
    clock = SimulatedClock(1000.0, speed=60.0, monotonic=machine)

    machine.at += 2

    assert clock.now() == 1120.0
    assert clock.machine_seconds_until(1240.0) == 2.0
    assert clock.machine_seconds_until(1000.0) == 0.0


def test_clock_keeps_its_time_when_the_speed_changes() -> None:
    """A change of speed does not change the time."""
    machine = FakeMonotonic()
    clock = SimulatedClock(1000.0, monotonic=machine)
    machine.at += 5

    clock.set_speed(0.0)
    machine.at += 5

    assert clock.now() == 1005.0
    assert clock.speed == 0.0
    assert clock.machine_seconds_until(1006.0) is None


def test_clock_jumps_forward_only() -> None:
    """A jump to an earlier time has no effect."""
    clock = SimulatedClock(1000.0, speed=0.0, monotonic=FakeMonotonic())

    clock.jump_to(5000.0)
    clock.jump_to(10.0)

    assert clock.now() == 5000.0


def test_elapsed_counts_machine_time_and_jumps() -> None:
    """So rate limits end by waiting, at any speed, and by jumping."""
    machine = FakeMonotonic()
    clock = SimulatedClock(1000.0, speed=0.0, monotonic=machine)

    machine.at += 3
    clock.jump_to(1010.0)

    assert clock.elapsed() == 13.0
