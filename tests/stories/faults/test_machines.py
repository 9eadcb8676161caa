"""Two machines with local inboxes load into the same tables, and their processes are killed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import faults_machines
from benchmarks.harness.kills import Outcome

Run = Callable[[Outcome, Path, random.Random], None]
_SLOW = (pytest.mark.slow, pytest.mark.timeout(900))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("run", "kills"),
    [
        pytest.param(faults_machines.points, 1, id="a-load"),
        pytest.param(faults_machines.points, 26, id="loads", marks=_SLOW),
        pytest.param(faults_machines.singles, 20, id="processes", marks=_SLOW),
        pytest.param(faults_machines.groups, 4, id="machines", marks=_SLOW),
    ],
)
def test_kills_lose_and_double_no_event(run: Run, kills: int, tmp_path: Path) -> None:
    """The other machine goes on; every acknowledged event is in the tables once."""
    outcome = Outcome(math.inf, kills)

    run(outcome, tmp_path, random.Random(7))

    assert (outcome.kills, outcome.lost, outcome.doubled) == (kills, 0, 0)
    assert outcome.sent
