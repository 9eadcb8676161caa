"""What a check found, in words, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failure", "skipped"]
_WORST_FIRST: tuple[State, ...] = ("failure", "warning", "ok", "skipped")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check.

    Attributes:
        name: The check; filled in by who runs it.
        state: How it is; `skipped` where it could not be looked at.
        says: What was seen; holds no secret and no personal data.
        fix: What to do, or SQL to run, a statement a line; empty if nothing.
    """

    name: str
    state: State
    says: str
    fix: str = ""


def ok(says: str) -> CheckResult:
    """All is well."""
    return CheckResult("", "ok", says)


def warning(says: str, fix: str) -> CheckResult:
    """It works, and needs a look."""
    return CheckResult("", "warning", says, fix)


def failure(says: str, fix: str) -> CheckResult:
    """Events are lost to the tables, or late, until it is mended."""
    return CheckResult("", "failure", says, fix)


def skipped(says: str, fix: str = "") -> CheckResult:
    """It could not be looked at; `says` is why."""
    return CheckResult("", "skipped", says, fix)


def together(results: Mapping[str, CheckResult]) -> CheckResult:
    """One outcome of several things: the worst state, and the words of each behind its name."""
    worst = min((one.state for one in results.values()), key=_WORST_FIRST.index)
    return CheckResult(
        "",
        worst,
        "; ".join(f"{name}: {one.says}" for name, one in results.items()),
        "\n".join(f"{name}: {one.fix}" for name, one in results.items() if one.fix),
    )


def exit_code(results: Iterable[CheckResult]) -> int:
    """1 if anything fails, 2 if there are only warnings, else 0."""
    states = {result.state for result in results}
    return 1 if "failure" in states else 2 if "warning" in states else 0
