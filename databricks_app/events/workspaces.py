"""Find the Customer.io workspace of an event by the signing key that matched. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DEFAULT = "default"
"""The workspace of keys that are not in `CIO_WORKSPACES`, and of rows without a workspace."""


@dataclass(frozen=True, slots=True)
class WorkspaceNames:
    """The names of workspaces.

    Attributes:
        names: Workspace name by the fingerprint of a signing key, active or retired.
        kept: Name by fingerprint where the rows in the tables have another name. New events keep
            that name, so that a delivery never belongs to two workspaces. `ciolake workspaces
            rename` renames all of them at once.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    def of(self, fingerprint: str) -> str:
        """Return the name of the workspace that a key belongs to."""
        return self.kept.get(fingerprint) or self.names.get(fingerprint, DEFAULT)

    @property
    def renames(self) -> list[tuple[str, str]]:
        """Return old and new name of each rename that is due, in order."""
        return sorted({(old, self.names[key]) for key, old in self.kept.items()})


def with_rows(names: Mapping[str, str], rows: Iterable[tuple[str, str]]) -> WorkspaceNames:
    """Return the names, and which of them are not in use yet.

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
        # The key is new since a rotation: its events concern deliveries of the older keys.
        if not by_key[key] and name not in by_name[name]:
            others = by_name[name]
        if others:
            kept[key] = DEFAULT if DEFAULT in others else min(others)
    return WorkspaceNames(names, kept)
