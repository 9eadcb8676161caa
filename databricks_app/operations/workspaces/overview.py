"""Compare the workspaces in the settings with those in the tables, and plan renames. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from databricks_app.events.workspaces import DEFAULT
from databricks_app.lake.renaming import KeyInRaw, Rename

KeyState = Literal["active", "retired"]


@dataclass(frozen=True, slots=True)
class WorkspaceKey:
    """A signing key of a workspace, from the settings and the raw table.

    Attributes:
        workspace: The workspace in its rows; without rows, the one in CIO_WORKSPACES.
        fingerprint: Fingerprint of the key; None for rows without one.
        state: `active` if the receiver accepts it, else `retired`; None without a key.
        listed_as: Its workspace in CIO_WORKSPACES; None if it is not listed.
        events: Number of its rows in the raw table.
        newest_received_at: When the newest of them was received, UTC; None without rows.
    """

    workspace: str
    fingerprint: str | None
    state: KeyState | None
    listed_as: str | None
    events: int
    newest_received_at: datetime | None


def overview(
    names: Mapping[str, str], active: Iterable[str], found: Iterable[KeyInRaw]
) -> list[WorkspaceKey]:
    """List every key in the settings or in the raw table, sorted by workspace.

    Args:
        names: Workspace by fingerprint, from CIO_WORKSPACES.
        active: Fingerprints of the signing keys.
        found: The keys in the raw table.
    """
    active = list(active)
    found = list(found)

    def key(
        workspace: str, fingerprint: str | None, events: int, at: datetime | None
    ) -> WorkspaceKey:
        state: KeyState = "active" if fingerprint in active else "retired"
        listed_as = names.get(fingerprint or "")
        return WorkspaceKey(
            workspace, fingerprint, state if fingerprint else None, listed_as, events, at
        )

    keys = [
        key(one.workspace, one.fingerprint, one.events, one.newest_received_at) for one in found
    ]
    loaded = {one.fingerprint for one in found}
    for fingerprint in dict.fromkeys([*active, *names]):
        if fingerprint not in loaded:
            keys.append(key(names.get(fingerprint, DEFAULT), fingerprint, 0, None))
    return sorted(keys, key=lambda one: (one.workspace, one.fingerprint or "~"))


def due(names: Mapping[str, str], found: Iterable[KeyInRaw]) -> dict[tuple[str, str], int]:
    """Count the rows whose workspace differs from the one that CIO_WORKSPACES gives their key.

    Returns:
        Number of rows by (workspace in the rows, workspace of the key). These are the arguments of
        the rename that is needed.
    """
    rows: dict[tuple[str, str], int] = {}
    for one in found:
        name = names.get(one.fingerprint or "")
        if name is not None and name != one.workspace:
            rows[one.workspace, name] = rows.get((one.workspace, name), 0) + one.events
    return rows


def rename_of(
    old: str, new: str, names: Mapping[str, str], found: Iterable[KeyInRaw]
) -> Rename | None:
    """Plan a rename of the rows of `old` whose key is listed for `new`; None if there are none."""
    keys = {one.fingerprint for one in found if one.workspace == old and one.fingerprint}
    chosen = frozenset(one for one in keys if names.get(one) == new)
    return Rename(old, new, chosen) if chosen else None


def remaining(
    old: str, names: Mapping[str, str], found: Iterable[KeyInRaw]
) -> Iterator[tuple[KeyInRaw, str]]:
    """Yield the rows that a rename of this workspace leaves as they are, with the reason."""
    for one in found:
        name = names.get(one.fingerprint or "")
        if one.workspace != old or name not in (None, old):
            continue
        if not one.fingerprint:
            yield one, "have no key fingerprint"
        elif name is None:
            yield one, f"have the key {one.fingerprint}, which CIO_WORKSPACES does not list"
        else:
            yield one, f"have the key {one.fingerprint}, which CIO_WORKSPACES lists for {old}"
