"""System calls in the order in which they began and ended, from the log of strace.

Not a test module.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_WHOLE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>\S+).*")
_BEGUN = re.compile(r"(?P<name>\w+)\((?P<arguments>.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += (?P<result>\S+).*")
_PATH = re.compile(r"[\"<](/[^\">]*)[\">]")

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@dataclass(frozen=True, slots=True)
class SystemCall:
    """A call that ended.

    Attributes:
        name: Of the system call.
        arguments: As strace shows them, descriptors with their paths.
        result: What it returned.
        began: Line of its beginning.
        ended: Line of its end.
    """

    name: str
    arguments: str
    result: str
    began: int
    ended: int

    @property
    def paths(self) -> list[str]:
        """Absolute paths among the arguments, of descriptors too."""
        return _PATH.findall(self.arguments)

    @property
    def is_good(self) -> bool:
        """Whether it succeeded."""
        return not self.result.startswith(("-", "?"))


def strace(log: Path, calls: str, *inject: str) -> list[str]:
    """Return a command that runs another one, as itself, under strace.

    Args:
        log: Where the calls are written.
        calls: Names of those that are.
        inject: Faults, as `fdatasync:error=EIO:when=1`.
    """
    faults = [part for one in inject for part in ("-e", f"inject={one}")]
    options = ["-D", "-f", "-y", "--seccomp-bpf", "-s", "32", "-e", f"trace={calls}"]
    return ["strace", *options, *faults, "-e", "signal=none", "-o", str(log)]


def calls(log: Path) -> list[SystemCall]:
    """Read the calls of a log, by their ends."""
    found: list[SystemCall] = []
    begun: dict[str, tuple[int, str]] = {}
    for number, text in enumerate(log.read_text(errors="replace").splitlines()):
        line = _LINE.fullmatch(text)
        if line is None:
            continue
        pid, rest = line["pid"], line["rest"]
        if start := _BEGUN.fullmatch(rest):
            begun[pid] = number, start["arguments"]
        elif end := _RESUMED.fullmatch(rest):
            began, arguments = begun.pop(pid, (number, ""))
            whole = arguments + end["arguments"]
            found.append(SystemCall(end["name"], whole, end["result"], began, number))
        elif one := _WHOLE.fullmatch(rest):
            found.append(SystemCall(one["name"], one["arguments"], one["result"], number, number))
    return found


def last_ended(found: Sequence[SystemCall], name: str, path: str, before: int) -> SystemCall | None:
    """Return the newest good call on a path that ended before a line."""
    fitting = [
        one
        for one in found
        if one.name in name.split("|") and path in one.paths and one.ended < before and one.is_good
    ]
    return fitting[-1] if fitting else None
