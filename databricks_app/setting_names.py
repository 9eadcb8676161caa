"""Every `CIO_*` name that this project reads, and a suggestion for a name that it does not read.

A misspelt name has no effect, and its default applies silently. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from databricks_app.setting_table import SETTINGS
from databricks_app.setting_values import RUN_DIR

KEYS = "CIO_WEBHOOK_SIGNING_KEYS"
_PREFIX = "CIO_"
_OTHERS = (
    # The relay's; `relay.settings` defines them. A test compares.
    "CIO_RELAY_APP_URL",
    "CIO_RELAY_SIGNATURE",
    "CIO_RELAY_DEADLINE_SECONDS",
    "CIO_RELAY_MAX_REQUESTS",
    # The doctor's, and that of the examples.
    "CIO_RELAY_URL",
    "CIO_PIPELINES_KEY",
    # What the supervisor tells its children, and tests of crashes.
    RUN_DIR,
    "CIO_SUPERVISOR_PID",
    "CIO_CRASH_POINT",
)
NAMES = frozenset(
    name
    for setting in SETTINGS
    for name in (setting.name, *setting.also)
    if name.startswith(_PREFIX)
) | frozenset(_OTHERS)
WITHOUT_EFFECT = frozenset(setting.name for setting in SETTINGS if not setting.has_effect)
# How similar a name must be to be suggested, and to be reported without the prefix (`CI0_...`).
_SUGGESTED = 0.7
_REPORTED = 0.85


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A variable that looks like a setting.

    Attributes:
        name: Its name, in ASCII.
        meant: The setting that it resembles; None if there is none.
    """

    name: str
    meant: str | None

    def __str__(self) -> str:
        question = f": did you mean {self.meant}?" if self.meant else ""
        return f"{self.name} is not a setting{question}"


def unknown_names(variables: Iterable[str]) -> tuple[UnknownName, ...]:
    """Return the variables that look like a setting and are none, sorted by name."""
    found = []
    for name in sorted(set(variables) - NAMES):
        # Also in lower case, behind a byte order mark, or with one wrong character in the prefix.
        is_ours = name.upper().startswith(_PREFIX)
        cutoff = _SUGGESTED if is_ours else _REPORTED
        near = get_close_matches(name.upper(), NAMES, n=1, cutoff=cutoff)
        if is_ours or near:
            shown = name if name.isascii() and name.isprintable() else ascii(name)
            found.append(UnknownName(shown, near[0] if near else None))
    return tuple(found)


def is_meant(setting: str, variables: Iterable[str]) -> UnknownName | None:
    """Return an unknown name that resembles this setting; None if there is none."""
    return next((one for one in unknown_names(variables) if one.meant == setting), None)
