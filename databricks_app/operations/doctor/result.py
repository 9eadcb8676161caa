"""What a check found, in words, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
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


def ok(says: str) -> Finding:
    """All is well."""
    return Finding("", "ok", says)


def warning(says: str, fix: str) -> Finding:
    """It works, and needs a look."""
    return Finding("", "warning", says, fix)


def failure(says: str, fix: str) -> Finding:
    """Events are lost to the tables, or late, until it is mended."""
    return Finding("", "failure", says, fix)


def skipped(says: str, fix: str = "") -> Finding:
    """It could not be looked at; `says` is why."""
    return Finding("", "skipped", says, fix)


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if anything fails, 2 if there are only warnings, else 0."""
    states = {finding.state for finding in findings}
    return 1 if "failure" in states else 2 if "warning" in states else 0
