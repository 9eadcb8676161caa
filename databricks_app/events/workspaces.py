"""Which workspace of Customer.io an event comes from: the one whose signing key matched. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DEFAULT = "default"
"""The workspace of every key that `CIO_WORKSPACES` does not name, and of rows without one."""


@dataclass(frozen=True, slots=True)
class WorkspaceNames:
    """The workspaces that have names.

    Attributes:
        names: Name by the fingerprint of a signing key, active or retired.
        kept: Name by fingerprint where the rows in the tables have another one. Events keep that,
            so that a delivery never belongs to two workspaces; `ciolake workspaces rename` changes
            all of them at once.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    def of(self, fingerprint: str) -> str:
        """Name of the workspace that a key belongs to."""
        return self.kept.get(fingerprint) or self.names.get(fingerprint, DEFAULT)

    @property
    def renames(self) -> list[tuple[str, str]]:
        """Old and new name of each rename that is due, ordered."""
        return sorted({(old, self.names[key]) for key, old in self.kept.items()})


def with_rows(names: Mapping[str, str], rows: Iterable[tuple[str, str]]) -> WorkspaceNames:
    """The names, and which of them are not in use yet.

    Args:
        names: Of `CIO_WORKSPACES`, by fingerprint.
        rows: Each fingerprint with each workspace that rows of it have.
    """
    by_key: defaultdict[str, set[str]] = defaultdict(set)
    by_name: defaultdict[str, set[str]] = defaultdict(set)
    for key, workspace in rows:
        by_key[key].add(workspace)
        by_name[names.get(key, DEFAULT)].add(workspace)
    kept = {}
    for key, name in names.items():
        others = by_key[key] - {name}
        # A key that came by a rotation: its events are about deliveries of the other keys.
        if not by_key[key] and name not in by_name[name]:
            others = by_name[name]
        if others:
            kept[key] = DEFAULT if DEFAULT in others else min(others)
    return WorkspaceNames(names, kept)
