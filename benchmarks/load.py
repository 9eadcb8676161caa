"""How fast the loader empties an inbox, compared with how fast the receiver fills it.

    python -m benchmarks.load FOLDER PROFILE

empties the inbox of one data folder in this process, with a profile if PROFILE is 1, and prints
the results as JSON.
"""

from __future__ import annotations

import cProfile
import io
import json
import os
import pstats
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import (
    ROOT,
    environment,
    peak_megabytes,
    resident_megabytes,
    saturate,
    serving,
    write_requests,
)
from benchmarks.shapes import Shape, events, fill, shapes
from databricks_app.loading import memory
from databricks_app.loading.loader import open_loader
from databricks_app.runtime import logs
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import from_environment

_PROFILED = ("cumulative", 22)


@dataclass(frozen=True, slots=True)
class Drained:
    """The results of emptying an inbox.

    Attributes:
        events: Number of events.
        seconds: Duration, without the start of the process and of the tables.
        cpu_seconds: CPU time in that duration, of all cores.
        peak_megabytes: Highest resident memory of the process.
        megabytes: Resident memory after each batch.
        profile: The profile, if requested.
    """

    events: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    megabytes: list[float]
    profile: str = ""

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


def drain(data_dir: Path, *, is_profiled: bool = False) -> Drained:
    """Empty the inbox of a data folder, in a new process."""
    command = [sys.executable, "-m", "benchmarks.load", str(data_dir), str(int(is_profiled))]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return Drained(**json.loads(done.stdout))


def run(plan: Plan) -> Section:
    """Measure receiving and loading alternately, then a million events once."""
    around = Surroundings()
    among = shapes(5000)
    requests = plan.folder / "requests"
    write_requests(requests, among, plan.pick(20_000, 500), seed=1)
    received, drained = [], []
    for turn in range(plan.rounds):
        around.look()
        with serving(plan.folder / f"receiver-{turn}", "benchmarks.rival", "ours") as server:
            saturate(server, requests, seconds=1)
            received.append(saturate(server, requests, seconds=plan.pick(4, 1)).rate)
        drained.append(_filled_and_drained(plan.folder / f"lake-{turn}", among, _count(plan)))
    million = _filled_and_drained(
        plan.folder / "million", among, plan.pick(1_000_000, 5000), seed=99
    )
    profiled = _filled_and_drained(plan.folder / "profiled", among, _count(plan), is_profiled=True)
    return Section("load", "Loading", _lines(plan, received, drained, million, profiled), around)


def _count(plan: Plan) -> int:
    return plan.pick(100_000, 3000)


def _filled_and_drained(
    data_dir: Path, among: list[Shape], count: int, *, seed: int = 0, is_profiled: bool = False
) -> Drained:
    now = time.time()
    made = events(among, start=now - 86_400, seconds=86_400, count=count, seed=seed)
    fill(data_dir / "inbox", made, at=now)
    return drain(data_dir, is_profiled=is_profiled)


def _lines(
    plan: Plan, received: list[float], drained: list[Drained], million: Drained, profiled: Drained
) -> list[str]:
    ratios = [one.rate / rate for one, rate in zip(drained, received, strict=True)]
    cpu = [one.cpu_seconds / one.events * 1e6 for one in drained]
    step = max(1, len(million.megabytes) // 10)
    rows = [
        ("receiving, two workers, no loader, events/s", spread(received)),
        (f"loading {_count(plan):,} events, events/s", spread(one.rate for one in drained)),
        ("loading / receiving (goal 5)", spread(ratios, 1)),
        ("CPU of the loader, µs an event", spread(cpu)),
        ("memory of the loader at most, MB", spread(one.peak_megabytes for one in drained)),
        (f"seconds for {million.events:,} events, once (goal 180)", f"{million.seconds:,.0f}"),
        ("memory of the loader at most in that, MB (goal 700)", f"{million.peak_megabytes:,.0f}"),
        (
            "the same after each tenth of the batches, MB",
            ", ".join(f"{value:.0f}" for value in million.megabytes[step - 1 :: step]),
        ),
    ]
    return [
        "Segments of 2,500 signed simulated events of one day, emptied by the loader's own loop "
        "with the receiver idle, every row durable in the raw and a typed table; receiving is wrk "
        f"against the receiver alone, in turns with it. {plan.rounds} rounds. Median (range).",
        "",
        *table(("", ""), rows),
        "",
        "Where the loader's main thread is (cProfile, which itself slows it; cumulative):",
        "",
        "```",
        *profiled.profile.splitlines(),
        "```",
    ]


def main() -> None:
    """Empty one inbox."""
    logs.configure("warning", "writer")
    memory.prepare()
    data_dir, is_profiled = Path(sys.argv[1]), sys.argv[2] == "1"
    settings = from_environment({"CIO_DATA_DIR": str(data_dir), "CIO_WEBHOOK_SIGNING_KEYS": "k"})
    loader = open_loader(settings, Metrics(), None)
    megabytes: list[float] = []
    loader.write_status = lambda _: megabytes.append(resident_megabytes(os.getpid()))
    loader.lake.start()
    count = loader.reader.pending().events
    profile = cProfile.Profile()
    started, used = time.perf_counter(), time.process_time()
    if is_profiled:
        profile.runcall(loader.drain)
    else:
        loader.drain()
    report = {
        "events": count,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "peak_megabytes": peak_megabytes(os.getpid()),
        "megabytes": megabytes,
        "profile": _profile_text(profile) if is_profiled else "",
    }
    if left := loader.reader.pending().events:
        raise SystemExit(f"{left} events are still in the inbox")
    loader.lake.close()
    print(json.dumps(report))


def _profile_text(profile: cProfile.Profile) -> str:
    text = io.StringIO()
    order, lines = _PROFILED
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats(order).print_stats(lines)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())


if __name__ == "__main__":
    main()
