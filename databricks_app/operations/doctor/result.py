"""The result of a check: its state, what it found and how to fix it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failure", "skipped"]
_WORST_FIRST: tuple[State, ...] = ("failure", "warning", "ok", "skipped")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: The name of the check; `run_checks` fills it in.
        state: `ok`, `warning`, `failure`, or `skipped` if the check could not be made.
        says: What the check found; no secret and no personal data.
        fix: What to do, or SQL statements to run, one a line; empty if there is nothing to do.
    """

    name: str
    state: State
    says: str
    fix: str = ""


def ok(says: str) -> CheckResult:
    """Return the result of a check that found no problem."""
    return CheckResult("", "ok", says)


def warning(says: str, fix: str) -> CheckResult:
    """Return the result for something that works now but needs attention."""
    return CheckResult("", "warning", says, fix)


def failure(says: str, fix: str) -> CheckResult:
    """Return the result for a fault: until it is fixed, events are late or not in the tables."""
    return CheckResult("", "failure", says, fix)


def skipped(says: str, fix: str = "") -> CheckResult:
    """Return the result of a check that could not be made; `says` is the reason."""
    return CheckResult("", "skipped", says, fix)


def together(results: Mapping[str, CheckResult]) -> CheckResult:
    """Merge several results into one: the worst state, and each text after its name."""
    worst = min((one.state for one in results.values()), key=_WORST_FIRST.index)
    return CheckResult(
        "",
        worst,
        "; ".join(f"{name}: {one.says}" for name, one in results.items()),
        "\n".join(f"{name}: {one.fix}" for name, one in results.items() if one.fix),
    )


def exit_code(results: Iterable[CheckResult]) -> int:
    """Return 1 if there is a failure, 2 if there are only warnings, else 0."""
    states = {result.state for result in results}
    return 1 if "failure" in states else 2 if "warning" in states else 0
