"""Find the Customer.io workspace of an event by the signing key that matched. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

DEFAULT = "default"
"""The workspace of keys that are not in `CIO_WORKSPACES`, and of rows without a workspace."""


@dataclass(frozen=True, slots=True)
class WorkspaceNames:
    """The names of workspaces.

    Attributes:
        names: Workspace name by the fingerprint of a signing key, active or retired.
        unrenamed: Fingerprints with a name whose rows in the tables are still `default`. New events
            of these keys are `default` too, so that a delivery never belongs to two workspaces.
            `ciolake workspaces rename` renames all of them at once.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    unrenamed: Set[str] = frozenset()

    def of(self, fingerprint: str) -> str:
        """Return the name of the workspace that a key belongs to."""
        return DEFAULT if fingerprint in self.unrenamed else self.names.get(fingerprint, DEFAULT)
