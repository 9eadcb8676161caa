"""The results of benchmarks: the plan, the machine, and their text in RESULTS.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from databricks_app.ingest.inbox.filesystem import filesystem_of

RESULTS = Path(__file__).with_name("RESULTS.md")
_PACKAGES = ("gunicorn", "flask", "deltalake", "duckdb", "pyarrow")
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to run.

    Attributes:
        folder: An empty folder on the disk to measure.
        rounds: How often each contestant runs; they alternate.
        is_smallest: Whether to run only for seconds, to check that everything works; the figures
            then mean nothing.
    """

    folder: Path
    rounds: int
    is_smallest: bool = False

    def pick(self, full: int, smallest: int) -> int:
        """Return the size for a full run or for the smallest one."""
        return smallest if self.is_smallest else full


@dataclass(slots=True)
class Surroundings:
    """Other load on the machine. Call `look` while the benchmark itself is idle.

    Attributes:
        loads: Load averages over a minute; they include the benchmark itself.
        others: Cores in use by other processes just before a round.
    """

    loads: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Measure for half a second."""
        self.loads.append(os.getloadavg()[0])
        busy, started = _busy_seconds(), time.perf_counter()
        time.sleep(_LOOK_SECONDS)
        self.others.append((_busy_seconds() - busy) / (time.perf_counter() - started))

    def words(self) -> str:
        """Return the measurements as a sentence."""
        return (
            f"Load average before a round {spread(self.loads, 1)}; cores in use by others just "
            f"before it {spread(self.others, 1)}."
        )


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the results.

    Attributes:
        name: Name of the benchmark.
        title: The heading.
        lines: Markdown: what was done, tables, what limits the result.
        surroundings: Other load on the machine.
    """

    name: str
    title: str
    lines: Sequence[str]
    surroundings: Surroundings

    def text(self, folder: Path) -> str:
        """Return the section as Markdown.

        Args:
            folder: The folder on the measured disk.
        """
        where = f"{machine(folder)} {self.surroundings.words()}"
        command = f"Command: `python -m benchmarks {self.name}`"
        return "\n".join([f"## {self.title}", "", command, "", *self.lines, "", where])


Benchmark = Callable[[Plan], Section]


def spread(values: Iterable[float], digits: int = 0) -> str:
    """Return the median and the range as text."""
    known = list(values)
    if not known:
        return "-"
    low, middle, high = min(known), statistics.median(known), max(known)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile; `share` 0.5 is the median; 0 if there are no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table as lines of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def machine(folder: Path) -> str:
    """Describe the machine and the versions.

    Args:
        folder: A folder on the measured disk.
    """
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return (
        f"{os.cpu_count()} cores ({names[0] if names else platform.machine()}), "
        f"{gigabytes:.0f} GiB, {filesystem_of(folder)}, Linux {platform.release()}; "
        f"Python {platform.python_version()}, {versions}."
    )


def write(section: str, path: Path = RESULTS) -> None:
    """Write a section under its heading in RESULTS.md; other sections stay."""
    heading = section.partition("\n")[0]
    old = path.read_text() if path.exists() else "# Measurements\n"
    pattern = re.compile(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if pattern.search(old):
        new = pattern.sub(lambda _: section + "\n\n", old)
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    path.write_text(new.rstrip() + "\n")


def _busy_seconds() -> float:
    """Return the busy seconds of all cores since the machine started."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _idle, _wait, *others = map(int, fields[:8])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
