"""Which workspace of Customer.io an event comes from: the one whose signing key matched. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

DEFAULT = "default"
"""The workspace of every key that `CIO_WORKSPACES` does not name, and of rows without one."""


@dataclass(frozen=True, slots=True)
class WorkspaceNames:
    """The workspaces that have names.

    Attributes:
        names: Name by the fingerprint of a signing key, active or retired.
        unrenamed: Fingerprints with a name whose rows in the tables are still `default`. Their
            events stay `default` too, so that a delivery never belongs to two workspaces;
            `ciolake workspaces rename` changes all of them at once.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    unrenamed: Set[str] = frozenset()

    def of(self, fingerprint: str) -> str:
        """Name of the workspace that a key belongs to."""
        return DEFAULT if fingerprint in self.unrenamed else self.names.get(fingerprint, DEFAULT)
