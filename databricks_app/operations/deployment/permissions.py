"""The step `permissions`: finds all missing rights before the deployment changes anything.

Only a right that is certainly missing stops the deployment. If the platform does not show whether
the deployer has a right, the step reports a note. If it is missing, a later step fails and says so.
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
# Permission levels of warehouses and apps, from lowest to highest; each includes the ones before.
_LEVELS = ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER")


@dataclass(frozen=True, slots=True)
class _FoundRights:
    """What exists, and the owner of each object by full name; the metastore has the name ""."""

    there: FoundState
    owners: Mapping[str, str]


def step(
    workspace: TargetWorkspace,
    *,
    replaces_views: bool = False,
    rotates: bool = False,
    proves: bool = True,
) -> Step:
    """Return the step that checks every right that the deployment needs.

    Args:
        workspace: The target workspace.
        replaces_views: Whether existing views will be replaced.
        rotates: Whether stored keys will be replaced.
        proves: Whether a test event will be sent.
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
    notes = [f"unknown whether you have {needs.words(need)}, {need.reason}" for need in unseen]
    if missing:
        lines = [f"  {needs.fix(need, who)}" for need in missing] + notes
        raise DeploymentError(
            f"permissions: {who} lacks {len(missing)} rights that this deployment needs. Nothing "
            "was changed. An admin can grant them with:\n" + "\n".join(lines) + "\nSome rights are "
            "shown by no API, such as those of a group in a group. If you have them that way, use "
            "--skip-permission-check."
        )
    return [Note(one) for one in notes]


def _has(
    workspace: TargetWorkspace, gathered: _FoundRights, need: Need, mine: list[str]
) -> bool | None:
    """Whether the deployer has a right; None if the platform does not show it."""
    if need.kind == "scope":
        return _has_in_scope(workspace, need)
    if need.kind in {"warehouse", "app"} and _ADMINS in mine:
        return True
    if need.kind not in {"warehouse", "app"} and _owns(gathered.owners, need.name, mine):
        return True
    if (need.kind, need.name) in gathered.there.refused:
        return False  # reading an object needs less than any of these rights
    if need.kind in {"warehouse", "app"}:
        return _has_level(workspace, need, mine)
    kind = "TABLE" if need.kind == "VIEW" else need.kind
    seen = grants.effective(workspace, kind, need.name, mine)
    if any(seen.allows(mine, right) for right in (need.right, *need.alternatives)):
        return True
    return None if seen.hidden else False


def _owns(owners: Mapping[str, str], name: str, mine: list[str]) -> bool:
    """Whether one of these principals owns the object, or its schema, catalog or metastore."""
    parts = name.split(".")
    within = [".".join(parts[:depth]) for depth in range(len(parts) + 1)]
    return any(owners.get(one) in mine for one in within)


def _has_in_scope(workspace: TargetWorkspace, need: Need) -> bool | None:
    """Try calls that need the right: listing the permissions of a scope, and listing its keys."""
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
        """Read an object; None if it does not exist or, which is recorded, may not be read."""
        try:
            return found(lambda: ask(name))
        except PermissionDenied:
            refused.add((kind, name))
            return None

    def has_keys() -> bool:
        try:
            return plan.KEYS_RESOURCE in put_times(workspace)
        except PermissionDenied:
            return True  # then the missing right on the scope is reported

    if target.warehouse_id:
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
        has_keys=has_scope and has_keys(),
        has_app=bool(app) or ("app", target.app) in refused,
        principal=(app.service_principal_client_id if app else None) or "",
        lacking=frozenset(
            one.name for one in release.lacking(target, app) if ("app", target.app) not in refused
        ),
        grants=tuple(_grants(workspace, wanted, app, owners)),
    )
    return _FoundRights(there, owners)


def _tables(workspace: TargetWorkspace) -> list[TableInfo] | None:
    """List the tables and views of the schema; None if the platform refuses."""
    try:
        return list(workspace.client.tables.list(workspace.target.catalog, workspace.target.schema))
    except PermissionDenied:
        return None


def _metastore_owner(workspace: TargetWorkspace) -> dict[str, str]:
    try:
        return {"": str(workspace.client.metastores.summary().owner)}
    except (NotFound, PermissionDenied):
        return {}


def _grants(
    workspace: TargetWorkspace, wanted: RequestedWork, app: App | None, owners: Mapping[str, str]
) -> Iterable[plan.Grant]:
    """Return the grants that the app lacks, or may lack if it has never run, on what exists."""
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
