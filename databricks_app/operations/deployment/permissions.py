"""The step that looks for missing rights before anything is changed, and names all of them at once.

Only a right that is seen to be missing stops the run. What the platform does not show is told as a
note; should it be missing after all, the step that needs it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.apps import App
from databricks.sdk.service.catalog import TableInfo

from databricks_app.errors import DeploymentError
from databricks_app.lake import sql_dialect
from databricks_app.operations.deployment import grants, needs, plan, release
from databricks_app.operations.deployment.needs import FoundState, Kind, Need, RequestedWork
from databricks_app.operations.deployment.runner import Note, Step
from databricks_app.operations.deployment.steps import put_times
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, columns, found

T = TypeVar("T")
_ADMINS = "admins"
# Of warehouses and apps, from least to most; a right contains those before it.
_LEVELS = ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER")


@dataclass(frozen=True, slots=True)
class _FoundRights:
    """What is there, and the owners of it by full name; the metastore's name is empty."""

    there: FoundState
    owners: Mapping[str, str]


def step(
    workspace: TargetWorkspace,
    *,
    replaces_views: bool = False,
    rotates: bool = False,
    proves: bool = True,
) -> Step:
    """Look for every right that the rest of the run needs.

    Args:
        workspace: Where.
        replaces_views: As for the views.
        rotates: As for the keys.
        proves: Whether the proof follows.
    """
    wanted = RequestedWork(
        sql_dialect.tables(),
        [view.name for view in sql_dialect.views()],
        replaces_views=replaces_views,
        rotates=rotates,
        proves=proves,
    )
    return Step("permissions", "a user of the workspace", partial(_look, workspace, wanted))


def _look(workspace: TargetWorkspace, wanted: RequestedWork) -> list[Note]:
    who = str(workspace.user.user_name)
    mine = [who, needs.EVERYONE, "users"]
    mine += [str(one.display) for one in workspace.user.groups or () if one.display]
    gathered = _gather(workspace, wanted)
    missing, unseen = [], []
    for need in needs.needs(workspace.target, wanted, gathered.there):
        has = _has(workspace, gathered, need, mine)
        if has is None:
            unseen.append(need)
        elif not has:
            missing.append(need)
    notes = [f"could not be seen: {needs.said(need)}, {need.reason}" for need in unseen]
    if missing:
        lines = [f"  {needs.fix(need, who)}" for need in missing] + notes
        raise DeploymentError(
            f"permissions: {who} lacks {len(missing)} of the rights that this needs; nothing was "
            "changed. What gives them:\n" + "\n".join(lines) + "\nRights may come in ways that no "
            "API shows, as through a group in a group: --skip-permission-check goes on anyway."
        )
    return [Note(one) for one in notes]


def _has(
    workspace: TargetWorkspace, gathered: _FoundRights, need: Need, mine: list[str]
) -> bool | None:
    """Whether the deployer has a right; None if that cannot be seen."""
    if need.kind == "scope":
        return _has_in_scope(workspace, need)
    if need.kind in {"warehouse", "app"} and _ADMINS in mine:
        return True
    if need.kind not in {"warehouse", "app"} and _owns(gathered.owners, need.name, mine):
        return True
    if (need.kind, need.name) in gathered.there.refused:
        return False  # to look at a thing takes less than the right
    if need.kind in {"warehouse", "app"}:
        return _has_level(workspace, need, mine)
    kind = "TABLE" if need.kind == "VIEW" else need.kind
    seen = grants.effective(workspace, kind, need.name, mine)
    if any(seen.allows(mine, right) for right in (need.right, *need.will_do)):
        return True
    return None if seen.hidden else False


def _owns(owners: Mapping[str, str], name: str, mine: list[str]) -> bool:
    """Whether a thing, or one that it is in, belongs to one of these."""
    parts = name.split(".")
    within = [".".join(parts[:depth]) for depth in range(len(parts) + 1)]
    return any(owners.get(one) in mine for one in within)


def _has_in_scope(workspace: TargetWorkspace, need: Need) -> bool | None:
    """Ask for what only who has the right is told: lists of a scope's rights and of its keys."""
    api = workspace.client.secrets
    if not _is_refused(lambda: list(api.list_acls(need.name))):
        return True
    if need.right == "MANAGE" or _is_refused(lambda: list(api.list_secrets(need.name))):
        return False
    return True if need.right == "READ" else None


def _has_level(workspace: TargetWorkspace, need: Need, mine: list[str]) -> bool | None:
    api = workspace.client
    get = api.warehouses.get_permissions if need.kind == "warehouse" else api.apps.get_permissions
    try:
        listed = get(need.name).access_control_list or []
    except PermissionDenied:
        return None
    enough = _LEVELS[_LEVELS.index(need.right) :]
    return any(
        each.permission_level is not None and each.permission_level.value in enough
        for entry in listed
        if {entry.user_name, entry.service_principal_name, entry.group_name} & set(mine)
        for each in entry.all_permissions or ()
    )


def _gather(workspace: TargetWorkspace, wanted: RequestedWork) -> _FoundRights:
    target, client = workspace.target, workspace.client
    refused: set[tuple[Kind, str]] = set()

    def look(kind: Kind, name: str, ask: Callable[[str], T]) -> T | None:
        """What is there; None where it is not, or may not be looked at, which is noted."""
        try:
            return found(lambda: ask(name))
        except PermissionDenied:
            refused.add((kind, name))
            return None

    look("warehouse", target.warehouse_id, client.warehouses.get)
    app = look("app", target.app, client.apps.get)
    catalog = look("CATALOG", target.catalog, client.catalogs.get)
    schema = look("SCHEMA", target.schema_name, client.schemas.get)
    volume = look("VOLUME", target.volume_name, client.volumes.read) if schema else None
    tables = _tables(workspace) if schema else []
    above = {target.catalog: catalog, target.schema_name: schema, target.volume_name: volume}
    owners = _metastore_owner(workspace)
    owners |= {name: str(one.owner) for name, one in above.items() if one}
    owners |= {f"{target.schema_name}.{one.name}": str(one.owner) for one in tables or ()}
    has_scope = any(one.name == target.scope for one in client.secrets.list_scopes())
    there = FoundState(
        refused=frozenset(refused),
        has_schema=bool(schema) or ("SCHEMA", target.schema_name) in refused,
        has_volume=bool(volume) or ("VOLUME", target.volume_name) in refused,
        columns=None if tables is None else columns(tables),
        has_scope=has_scope,
        has_keys=has_scope and _has_keys(workspace),
        has_app=bool(app) or ("app", target.app) in refused,
        principal=(app.service_principal_client_id if app else None) or "",
        lacking=_lacking(workspace, app, is_refused=("app", target.app) in refused),
        grants=tuple(_grants(workspace, wanted, app, owners)),
    )
    return _FoundRights(there, owners)


def _tables(workspace: TargetWorkspace) -> list[TableInfo] | None:
    """Tables and views of the schema; None if the platform shows none."""
    try:
        return list(workspace.client.tables.list(workspace.target.catalog, workspace.target.schema))
    except PermissionDenied:
        return None


def _metastore_owner(workspace: TargetWorkspace) -> dict[str, str]:
    try:
        return {"": str(workspace.client.metastores.summary().owner)}
    except (NotFound, PermissionDenied):
        return {}


def _has_keys(workspace: TargetWorkspace) -> bool:
    try:
        return plan.KEYS_RESOURCE in put_times(workspace)
    except PermissionDenied:
        return True  # the right to see them is what is named first


def _lacking(workspace: TargetWorkspace, app: App | None, *, is_refused: bool) -> frozenset[str]:
    if is_refused:
        return frozenset()
    return frozenset(one.name for one in release.lacking(workspace.target, app))


def _grants(
    workspace: TargetWorkspace, wanted: RequestedWork, app: App | None, owners: Mapping[str, str]
) -> Iterable[plan.Grant]:
    """What the app lacks on things that are there, or may lack while it has never run."""
    principal = (app.service_principal_client_id if app else None) or ""
    runs = bool(app and app.active_deployment)
    tables = [table.name for table in wanted.tables]
    for grant in plan.grants(workspace.target, tables, wanted.views):
        if grant.name not in owners:
            continue
        missing = grants.lacking(workspace, grant, principal)
        if missing is None and not runs:
            yield grant
        elif missing:
            yield plan.Grant(grant.kind, grant.name, missing)


def _is_refused(ask: Callable[[], object]) -> bool:
    try:
        found(ask)
    except PermissionDenied:
        return True
    return False
