"""The counts of ended processes are added up in one file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector

from databricks_app.runtime import metrics
from databricks_app.runtime.metric_files import fold_ended, reading
from databricks_app.runtime.process_identity import is_running
from tests.support.paths import ROOT

COUNT = dedent("""
    from databricks_app.runtime.metrics import Metrics
    metrics = Metrics()
    metrics.accepted.labels("0badf00d").inc(3)
    metrics.append.observe(0.02)
""")


def count_in_a_process(folder: Path) -> None:
    """Count three events in another process, which then ends."""
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", COUNT], env=environ, check=True)


def sums(folder: Path) -> dict[str, float | None]:
    """The sums that a scrape shows."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return {
        "accepted": registry.get_sample_value("ciolake_accepted_events_total", {"key": "0badf00d"}),
        "appends": registry.get_sample_value("ciolake_append_seconds_count"),
        "fast": registry.get_sample_value("ciolake_append_seconds_bucket", {"le": "0.025"}),
    }


def test_sums_stay_the_same_when_processes_have_ended(tmp_path: Path) -> None:
    """Twice: the file of sums is added to."""
    for processes in (1, 2, 3):
        count_in_a_process(tmp_path)

        folded = fold_ended(tmp_path, is_running)

        assert folded == 2
        assert sums(tmp_path) == {
            "accepted": 3 * processes,
            "appends": processes,
            "fast": processes,
        }
        assert len(list(tmp_path.iterdir())) == 2


def test_files_of_running_processes_are_left_alone(tmp_path: Path) -> None:
    """They are still written to."""
    count_in_a_process(tmp_path)

    assert fold_ended(tmp_path, lambda _identity: True) == 0
    assert sums(tmp_path)["accepted"] == 3


def test_files_of_a_zombie_are_added_up(tmp_path: Path) -> None:
    """It still has its process id, but counts no more."""
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", COUNT], env=environ) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert fold_ended(tmp_path, is_running) == 2
    assert sums(tmp_path)["accepted"] == 3


def test_files_of_an_earlier_process_with_the_same_id_are_added_up(tmp_path: Path) -> None:
    """The running process with this id started at another time."""
    count_in_a_process(tmp_path)
    for path in tmp_path.glob("*.db"):
        path.rename(tmp_path / f"{path.name.partition('_')[0]}_{os.getpid()}-1.db")

    assert fold_ended(tmp_path, is_running) == 2
    assert sums(tmp_path)["accepted"] == 3


def test_files_are_left_alone_while_they_are_read(tmp_path: Path) -> None:
    """A reader that hangs does not stop the supervisor."""
    count_in_a_process(tmp_path)

    with reading(tmp_path):
        assert fold_ended(tmp_path, is_running) == 0
    assert fold_ended(tmp_path, is_running) == 2


NUMBERS = st.integers(0, 2)
# Thirds: their sums depend on the order of the terms.
STEPS = st.one_of(
    st.tuples(st.just("count"), NUMBERS, st.integers(1, 10**6).map(lambda one: one / 3e5)),
    st.tuples(st.sampled_from(["die", "fold", "scrape"]), NUMBERS, st.just(0.0)),
)


class Processes:
    """Processes that share a folder; the id of a dead process is reused."""

    def __init__(self, folder: Path) -> None:
        """Begin with three."""
        self.folder = folder
        self.starts = [0, 0, 0]
        self.metrics = [self.start(number) for number in range(3)]

    def identity(self, number: int) -> str:
        """Return the identity of the running process with this number."""
        return f"{number + 1}-{self.starts[number]}"

    def start(self, number: int) -> metrics.Metrics:
        """Start a process: its instruments write to files of its identity."""
        name = self.identity(number)
        values.ValueClass = values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]
        made = metrics.Metrics()
        made.accepted.labels("0badf00d")  # made at first use, by the class of the newest process
        return made

    def take(self, step: tuple[str, int, float]) -> None:
        """Let a process count or die, or add up the files of dead processes."""
        what, number, amount = step
        if what == "count":
            self.metrics[number].accepted.labels("0badf00d").inc()
            self.metrics[number].append.observe(amount)
            self.metrics[number].stale_age.observe(amount - 2)
        elif what == "die":
            self.starts[number] += 1
            self.metrics[number] = self.start(number)
        elif what == "fold":
            running = {self.identity(number) for number in range(3)}
            fold_ended(self.folder, running.__contains__)

    def scrape(self) -> dict[str, float]:
        """Return every sample by its text."""
        families = metrics.sums(self.folder).collect()
        return {
            f"{sample.name}{sample.labels}": sample.value
            for family in families
            for sample in family.samples
            if not sample.name.endswith("_created")
        }


CHANCE = random.Random(1)
MANY = [
    step
    for _ in range(40)
    for step in (
        *(("count", CHANCE.randrange(3), CHANCE.random()) for _ in range(3)),
        ("scrape", 0, 0.0),
        ("die", CHANCE.randrange(3), 0.0),
        ("fold", 0, 0.0),
        ("scrape", 0, 0.0),
    )
]


@example(steps=MANY)
@given(steps=st.lists(STEPS, max_size=60))
@settings(max_examples=30)
def test_no_count_ever_decreases(steps: list[tuple[str, int, float]]) -> None:
    """With deaths, folding and scrapes in any order, exact to the last bit."""
    before = values.ValueClass
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", folder)
        patch.setattr(metrics, "_values_by_identity", lambda: values.ValueClass)
        try:
            processes = Processes(Path(folder))
            seen: dict[str, float] = {}
            for step in [*steps, ("scrape", 0, 0.0), ("fold", 0, 0.0), ("scrape", 0, 0.0)]:
                processes.take(step)
                if step[0] == "scrape":
                    now = processes.scrape()

                    assert {name: now[name] for name in seen if now[name] < seen[name]} == {}
                    seen = now
            counted = float(sum(step[0] == "count" for step in steps))
            assert seen.get("ciolake_append_seconds_count{}", 0.0) == counted
        finally:
            values.ValueClass = before


SCRAPE = dedent("""
    import sys
    from pathlib import Path
    from databricks_app.runtime.metrics import sums
    seen = 0.0
    sys.stdout.write("begun\\n")
    sys.stdout.flush()
    while not Path("stop").exists():
        found = sums(Path(sys.argv[1]))
        now = found.get_sample_value("ciolake_accepted_events_total", {"key": "0badf00d"}) or 0.0
        assert now >= seen, (seen, now)
        seen = now
""")


@pytest.mark.slow
def test_no_count_decreases_while_files_are_added_up(tmp_path: Path) -> None:
    """A process that scrapes all the time sees the sums before or after, never in between."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    count_in_a_process(folder)
    one = {path.name.partition("_")[0]: path.read_bytes() for path in folder.glob("*.db")}
    with subprocess.Popen(
        [sys.executable, "-c", SCRAPE, str(folder)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as scraping:
        assert scraping.stdout is not None
        scraping.stdout.readline()
        folded = 0
        for number in range(150):
            for kind, content in one.items():
                (folder / f".{kind}").write_bytes(content)
                (folder / f".{kind}").rename(folder / f"{kind}_{number + 1}-1.db")
            folded += fold_ended(folder, lambda _identity: False)
        (tmp_path / "stop").touch()

    assert scraping.returncode == 0
    assert folded > 20
    assert sums(folder)["accepted"] == 3 * 151
