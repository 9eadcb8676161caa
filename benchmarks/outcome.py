"""What was measured, where, and how it is written down."""

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
        folder: An empty folder on the disk to measure on.
        rounds: How often each contestant runs, taking turns.
        is_smallest: Whether to run for seconds only, to see that everything works; the figures
            then say nothing.
    """

    folder: Path
    rounds: int
    is_smallest: bool = False

    def pick(self, full: int, smallest: int) -> int:
        """Return the one or the other size."""
        return smallest if self.is_smallest else full


@dataclass(slots=True)
class Surroundings:
    """What else the machine did. Look while nothing of the benchmark runs.

    Attributes:
        loads: Load averages over a minute; the benchmark itself is in them.
        others: Cores in use by others just before a round.
    """

    loads: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Look for half a second."""
        self.loads.append(os.getloadavg()[0])
        busy, began = _busy_seconds(), time.perf_counter()
        time.sleep(_LOOK_SECONDS)
        self.others.append((_busy_seconds() - busy) / (time.perf_counter() - began))

    def words(self) -> str:
        """Say what was seen."""
        return (
            f"Load average before a round {spread(self.loads, 1)}; cores in use by others just "
            f"before it {spread(self.others, 1)}."
        )


@dataclass(frozen=True, slots=True)
class Section:
    """One heading of the results.

    Attributes:
        name: Name of the benchmark.
        title: The heading.
        lines: Markdown; what was done, tables, what bounds it.
        surroundings: What else the machine did.
    """

    name: str
    title: str
    lines: Sequence[str]
    surroundings: Surroundings

    def text(self, folder: Path) -> str:
        """Write it as Markdown.

        Args:
            folder: Where it was measured.
        """
        where = f"{machine(folder)} {self.surroundings.words()}"
        command = f"Command: `python -m benchmarks {self.name}`"
        return "\n".join([f"## {self.title}", "", command, "", *self.lines, "", where])


Benchmark = Callable[[Plan], Section]


def spread(values: Iterable[float], digits: int = 0) -> str:
    """Write the median and the range."""
    known = list(values)
    if not known:
        return "-"
    low, middle, high = min(known), statistics.median(known), max(known)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the others does not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Write a table as Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def machine(folder: Path) -> str:
    """Describe the machine and the versions.

    Args:
        folder: On the disk that was measured.
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
    """Put a section under its heading; other headings stay."""
    heading = section.partition("\n")[0]
    old = path.read_text() if path.exists() else "# Measurements\n"
    pattern = re.compile(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if pattern.search(old):
        new = pattern.sub(lambda _: section + "\n\n", old)
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    path.write_text(new.rstrip() + "\n")


def _busy_seconds() -> float:
    """Seconds that all cores together were busy since the machine started."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _idle, _wait, *others = map(int, fields[:8])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
