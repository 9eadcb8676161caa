"""How many statements loading through a SQL warehouse needs, and how fast it loads a backlog.

The warehouse is the double of `tests.doubles` on the same cores. Its statements take milliseconds;
those of a real warehouse take seconds. So only the number of statements of a load and the loader's
own part of the time apply to a real warehouse.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.crashes import loader_process
from benchmarks.harness.databricks_double import (
    DatabricksDouble,
    app,
    await_loaded,
    databricks_double,
)
from benchmarks.harness.events import KINDS, event, record
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.receiver import Receiver
from benchmarks.harness.wire import request
from benchmarks.outcome import Plan, Section, Surroundings, spread, table
from benchmarks.processes import peak_megabytes

RATES = (50, 200)
FLUSH_SECONDS = (2, 10)
MERGE_SECONDS = 1.5
FILE_SECONDS = 0.15
# At 1,000 events/s the receiver puts two objects a second.
_OBJECT = 500
_HOUR = 3_600


@dataclass(frozen=True, slots=True)
class _Steady:
    """The work of the warehouse for a steady stream.

    Attributes:
        seconds: Time from the first event until all were loaded.
        events: Number of acknowledged events.
        merges: Number of MERGE statements.
        loads: Number of loads.
    """

    seconds: float
    events: int
    merges: int
    loads: int


@dataclass(frozen=True, slots=True)
class _Backlog:
    """The load of a backlog.

    Attributes:
        seconds: Time until the inbox was empty.
        events: Number of events.
        statements: Number of statements.
        calls: Number of calls of the Files API.
        failed: How many of these calls failed.
        megabytes: Most memory of the loader, in units of a million bytes.
    """

    seconds: float
    events: int
    statements: int
    calls: int
    failed: int
    megabytes: float


def run(plan: Plan) -> Section:
    """Measure steady streams, then a backlog."""
    around = Surroundings()
    steady: dict[tuple[int, int], list[_Steady]] = {}
    backlog: list[_Backlog] = []
    events = plan.pick(20_000, 1_000)
    for turn in range(plan.rounds):
        around.look()
        for rate in RATES:
            for flush in FLUSH_SECONDS:
                folder = plan.folder / f"{turn}-{rate}-{flush}"
                one = _stream(folder, rate, flush, plan.pick(60, 3))
                steady.setdefault((rate, flush), []).append(one)
        backlog.append(catch_up(plan.folder / f"{turn}-backlog", events))
    return Section("warehouse", "Loading through a warehouse", _lines(steady, backlog), around)


def _stream(folder: Path, rate: int, flush: int, seconds: int) -> _Steady:
    """Send events at a steady rate to an app whose MERGEs take `MERGE_SECONDS` more."""
    with (
        databricks_double(folder / "double") as double,
        app(double, folder / "app", CIO_FRESHNESS_SECONDS=str(flush)) as receiver,
    ):
        _post(receiver, 1, 1)
        await_loaded(double)
        double.set("statement_slow", statement="MERGE", seconds=MERGE_SECONDS)
        merges, loads = _merges(double), len(receiver.logged("batch_loaded"))
        started = time.perf_counter()
        events = _post(receiver, rate, seconds)
        await_loaded(double)
        return _Steady(
            seconds=time.perf_counter() - started,
            events=events,
            merges=_merges(double) - merges,
            loads=len(receiver.logged("batch_loaded")) - loads,
        )


def _post(receiver: Receiver, rate: int, seconds: int) -> int:
    """Post at a rate, with a new connection for each event; return how many were answered 200."""
    number = rate * seconds
    started = time.perf_counter()
    acknowledged = 0
    for start in range(0, number, max(1, rate // 10)):
        time.sleep(max(0.0, started + start / rate - time.perf_counter()))
        names = [f"B{started}x{n}" for n in range(start, min(number, start + max(1, rate // 10)))]
        wires = [receiver.connect().send(request(event(name, padding=400))) for name in names]
        for wire in wires:
            with wire:
                acknowledged += wire.answer().status == 200
    return acknowledged


def _merges(double: DatabricksDouble) -> int:
    return double.counts().get("statement.MERGE", 0)


def catch_up(folder: Path, events: int) -> _Backlog:
    """Let one running loader load a backlog; each call of the Files API takes `FILE_SECONDS`."""
    with databricks_double(folder / "double") as double:
        double.put([record(event("first"))])
        with loader_process(folder, **double.variables) as loader:
            await_loaded(double)
            loader.send_signal(signal.SIGSTOP)
            try:
                for start in range(0, events, _OBJECT):
                    names = range(start, start + _OBJECT)
                    double.put(
                        [record(event(f"L{n}", KINDS[n % len(KINDS)], padding=400)) for n in names]
                    )
                double.set("latency", operation="files.*", seconds=FILE_SECONDS)
                before, failed = double.counts(), double.failed()
            finally:
                loader.send_signal(signal.SIGCONT)
            started = time.perf_counter()
            # On the disk of the double: a call would count too.
            wait_until(lambda: not any((folder / "double").rglob("*.frames")), _HOUR)
            seconds = time.perf_counter() - started
            return _Backlog(
                seconds=seconds,
                events=events,
                statements=_sum(double.counts(), "statement.") - _sum(before, "statement."),
                calls=_sum(double.counts(), "files.") - _sum(before, "files."),
                failed=_sum(double.failed(), "files.") - _sum(failed, "files."),
                megabytes=peak_megabytes(loader.pid),
            )


def _sum(counts: dict[str, int], prefix: str) -> int:
    return sum(number for name, number in counts.items() if name.startswith(prefix))


def _lines(steady: dict[tuple[int, int], list[_Steady]], backlog: list[_Backlog]) -> list[str]:
    rows = [
        (
            rate,
            flush,
            spread((one.events / one.seconds for one in runs), 1),
            spread(_HOUR * one.loads / one.seconds for one in runs),
            spread(_HOUR * one.merges / one.seconds for one in runs),
            spread((one.merges / one.loads for one in runs if one.loads), 1),
        )
        for (rate, flush), runs in steady.items()
    ]
    heads = ("events/s sent", "freshness s", "events/s", "loads/h", "MERGEs/h", "MERGEs a load")
    return [
        f"`ciolake serve` with one typed table in use, against the double of a workspace on the "
        f"same cores, whose MERGEs take {MERGE_SECONDS} s more. Median (range).",
        "",
        *table(heads, rows),
        "",
        f"A backlog of {backlog[0].events:,} events of six kinds in objects of {_OBJECT:,}; each "
        f"call of the Files API takes {FILE_SECONDS} s; MERGEs of the double at their own speed; "
        "10 calls at the same time and 100 a second are allowed.",
        "",
        *table(
            ("events/s", "statements", "calls an event", "calls that failed", "most memory, MB"),
            [
                (
                    spread(one.events / one.seconds for one in backlog),
                    spread(one.statements for one in backlog),
                    spread((one.calls / one.events for one in backlog), 4),
                    spread(one.failed for one in backlog),
                    spread(one.megabytes for one in backlog),
                )
            ],
        ),
    ]
