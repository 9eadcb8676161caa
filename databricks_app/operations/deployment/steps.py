"""The steps before the app: login, schema, volume, tables, views, signing keys and grants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType

from databricks_app.errors import DeploymentError
from databricks_app.lake import sql_dialect
from databricks_app.operations.deployment import grants, plan
from databricks_app.operations.deployment.runner import Note, PlannedChange, Step
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, found


def login(workspace: TargetWorkspace) -> Step:
    """Return the step that checks the login, the warehouse and the catalog."""
    target = workspace.target
    needs = (
        f"a user of the workspace, USE CATALOG on {target.catalog}, CAN USE on the warehouse "
        f"{target.warehouse_id}"
    )
    return Step("login", needs, partial(_login, workspace))


def storage(workspace: TargetWorkspace, *, replaces_views: bool = False) -> list[Step]:
    """Return the steps for schema, volume, tables and views."""
    target = workspace.target
    make = f"USE CATALOG on {target.catalog}, and USE SCHEMA and CREATE TABLE on"
    own = f"{make} {target.schema_name}, CAN USE on the warehouse {target.warehouse_id}"
    return [
        Step(
            "schema", f"CREATE SCHEMA on the catalog {target.catalog}", partial(_schema, workspace)
        ),
        Step(
            "volume",
            f"CREATE VOLUME on the schema {target.schema_name}",
            partial(_volume, workspace),
        ),
        Step("tables", f"{own}; MANAGE on tables that lack a column", partial(_tables, workspace)),
        Step("views", own, partial(_views, workspace, replaces_views=replaces_views)),
    ]


def keys(workspace: TargetWorkspace, ask: Callable[[], str], *, rotates: bool = False) -> Step:
    """Return the step for the secret scope and the signing keys.

    Args:
        workspace: The target workspace.
        ask: Returns the keys, comma-separated; called only if they must be stored.
        rotates: Whether to replace stored keys.
    """
    needs = f"the right to create secret scopes, or MANAGE on the scope {workspace.target.scope}"
    return Step("signing keys", needs, partial(_keys, workspace, ask, rotates=rotates))


def keys_at_hand(workspace: TargetWorkspace, ask: Callable[[], str], *, rotates: bool) -> Step:
    """Return the step that asks for the signing keys before anything is made, if they are needed.

    Args:
        workspace: The target workspace.
        ask: Returns the keys; it remembers them for the step `keys`.
        rotates: Whether to replace stored keys.
    """

    def look() -> list[Note]:
        if plan.KEYS_RESOURCE in put_times(workspace) and not rotates:
            return []
        ask()
        return [Note("the signing keys can be read; they are stored below")]

    return Step("input", f"READ on the secret scope {workspace.target.scope}", look)


def rights(workspace: TargetWorkspace) -> Step:
    """Return the step that grants the app's service principal what it needs."""
    needs = (
        f"MANAGE on, or ownership of, the catalog {workspace.target.catalog}, the schema "
        f"{workspace.target.schema_name}, its tables and its volume; or ask an admin to make these "
        "grants"
    )
    return Step("grants", needs, partial(_grants, workspace))


def _login(workspace: TargetWorkspace) -> list[PlannedChange]:
    _ = workspace.user
    target = workspace.target
    is_named = bool(target.warehouse_id)  # else it is made later
    if is_named and not _exists(lambda: workspace.client.warehouses.get(target.warehouse_id)):
        raise DeploymentError(
            f"there is no SQL warehouse {target.warehouse_id}: correct --warehouse"
        )
    if not _exists(lambda: workspace.client.catalogs.get(target.catalog)):
        raise DeploymentError(
            f"there is no catalog {target.catalog}, or you lack USE CATALOG on it: correct "
            "--catalog, or ask an admin for the right"
        )
    return []


def _exists(look: Callable[[], object]) -> bool:
    """Whether an object exists."""
    try:
        return found(look) is not None
    except PermissionDenied:
        return True  # it exists; the step `permissions` names the missing right


def _schema(workspace: TargetWorkspace) -> list[PlannedChange]:
    target = workspace.target
    if found(lambda: workspace.client.schemas.get(target.schema_name)):
        return []
    comment = "Customer.io reporting webhooks"
    make = partial(workspace.client.schemas.create, target.schema, target.catalog, comment=comment)
    return [PlannedChange(f"create schema {target.schema_name}", make, is_creation=True)]


def _volume(workspace: TargetWorkspace) -> list[PlannedChange]:
    target = workspace.target
    if found(lambda: workspace.client.volumes.read(target.volume_name)):
        return []
    make = partial(
        workspace.client.volumes.create,
        target.catalog,
        target.schema,
        target.volume,
        VolumeType.MANAGED,
        comment="Accepted events that are not in the tables yet",
    )
    return [PlannedChange(f"create volume {target.volume_name}", make, is_creation=True)]


def _tables(workspace: TargetWorkspace) -> list[PlannedChange]:
    changes = plan.table_changes(sql_dialect.tables(), workspace.columns())
    return [PlannedChange(words, partial(workspace.sql, sql)) for words, sql in changes]


def _views(workspace: TargetWorkspace, *, replaces_views: bool) -> list[PlannedChange]:
    there = workspace.columns()
    texts = sql_dialect.statements("views")
    changes = []
    for view, text in zip(sql_dialect.views(), texts, strict=True):
        if view.name not in there or replaces_views:
            word = "replace" if view.name in there else "create"
            changes.append(
                PlannedChange(f"{word} view {view.name}", partial(workspace.sql, text.sql))
            )
    return changes


def _keys(
    workspace: TargetWorkspace, ask: Callable[[], str], *, rotates: bool
) -> list[PlannedChange]:
    scope, secrets = workspace.target.scope, workspace.client.secrets
    changes = []
    has_scope = any(one.name == scope for one in secrets.list_scopes())
    if not has_scope:
        make = partial(secrets.create_scope, scope)
        changes.append(PlannedChange(f"create secret scope {scope}", make, is_creation=True))
    has_keys = has_scope and plan.KEYS_RESOURCE in put_times(workspace)
    if not has_keys or rotates:
        words = "replace the signing keys" if has_keys else "store the signing keys"
        changes.append(
            PlannedChange(
                words,
                lambda: secrets.put_secret(scope, plan.KEYS_RESOURCE, string_value=ask()),
            )
        )
    return changes


def put_times(workspace: TargetWorkspace) -> dict[str, int]:
    """Return when each secret of the scope was last written, Unix milliseconds."""
    listed = (
        found(lambda: list(workspace.client.secrets.list_secrets(workspace.target.scope))) or []
    )
    return {str(one.key): one.last_updated_timestamp or 0 for one in listed}


def _grants(workspace: TargetWorkspace) -> list[PlannedChange | Note]:
    app = workspace.app()
    principal = (app.service_principal_client_id if app else None) or ""
    runs = bool(app and app.active_deployment)
    wanted = plan.grants(
        workspace.target,
        [table.name for table in sql_dialect.tables()],
        [view.name for view in sql_dialect.views()],
    )
    seen: list[PlannedChange | Note] = []
    for grant in wanted:
        missing = grants.lacking(workspace, grant, principal)
        if missing is None and runs:
            # Only a user who manages the object sees this. The proof shows if a grant is missing.
            seen.append(Note(f"unknown which privileges the app has on {grant.name}"))
        elif missing is None or missing:
            named = grant.privileges if missing is None else missing
            words = f"grant {', '.join(named)} on {grant.name}"
            seen.append(PlannedChange(words, partial(_grant, workspace, grant, named, principal)))
    return seen


def _grant(
    workspace: TargetWorkspace, grant: plan.Grant, missing: tuple[str, ...], principal: str
) -> None:
    change = PermissionsChange(add=[Privilege(one) for one in missing], principal=principal)
    workspace.client.grants.update(grant.kind, grant.name, changes=[change])
