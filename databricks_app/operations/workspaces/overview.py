"""What settings and tables say of each workspace and its keys, and which rows a rename changes."""

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
    """A key of a workspace, as the settings and the raw table know it.

    Attributes:
        workspace: That of its rows; without rows the one that CIO_WORKSPACES gives it.
        fingerprint: Of the key; None for rows without one.
        state: Whether the receiver still verifies with it; None without a key.
        listed_as: Its name in CIO_WORKSPACES; None where it is not listed.
        events: Rows of the raw table.
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
    """Every key that the settings or the raw table know, by workspace.

    Args:
        names: Of CIO_WORKSPACES, by fingerprint.
        active: Fingerprints of the signing keys.
        found: What the raw table holds.
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
    """Rows whose workspace is not the one that CIO_WORKSPACES gives their key.

    By the name in the rows and the name of the key: the arguments of the rename that is due.
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
    """The rename of those rows of a workspace whose key is listed for the other; None: no rows."""
    keys = {one.fingerprint for one in found if one.workspace == old and one.fingerprint}
    chosen = frozenset(one for one in keys if names.get(one) == new)
    return Rename(old, new, chosen) if chosen else None


def remaining(
    old: str, names: Mapping[str, str], found: Iterable[KeyInRaw]
) -> Iterator[tuple[KeyInRaw, str]]:
    """Rows of a workspace that stay there although other rows of it are renamed, and why."""
    for one in found:
        name = names.get(one.fingerprint or "")
        if one.workspace != old or name not in (None, old):
            continue
        if not one.fingerprint:
            yield one, "have no key fingerprint and keep their workspace"
        elif name is None:
            yield one, f"came with key {one.fingerprint}, which CIO_WORKSPACES does not list"
        else:
            yield one, f"came with key {one.fingerprint}, which CIO_WORKSPACES lists for {old}"
