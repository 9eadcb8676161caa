"""The steps that remove a deployment: app, source and keys, and tables only on request."""

from __future__ import annotations

from functools import partial

from databricks_app.lake import sql_dialect
from databricks_app.operations.deployment import warehouse
from databricks_app.operations.deployment.runner import PlannedChange, Step
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, found


def steps(
    workspace: TargetWorkspace, *, with_tables: bool = False, with_warehouse: bool = False
) -> list[Step]:
    """Return the steps; schema and catalog stay, because they may contain other tables.

    Args:
        workspace: The target workspace.
        with_tables: Whether to remove tables, views and volume.
        with_warehouse: Whether to remove the warehouse that a deployment made for the loader.
    """
    target = workspace.target
    manage = f"CAN MANAGE on the app {target.app}"
    removal = [
        Step("app", manage, partial(_app, workspace)),
        Step("source", f"CAN MANAGE on {workspace.folder}", partial(_source, workspace)),
        Step("signing keys", f"MANAGE on the scope {target.scope}", partial(_scope, workspace)),
    ]
    if with_tables:
        own = f"ownership of, or MANAGE on, what is in {target.schema_name}"
        removal += [
            Step("views and tables", own, partial(_tables, workspace)),
            Step("volume", own, partial(_volume, workspace)),
        ]
    if with_warehouse:
        removal.append(Step("warehouse", "CAN MANAGE on it", partial(_warehouse, workspace)))
    return removal


def _app(workspace: TargetWorkspace) -> list[PlannedChange]:
    if workspace.app() is None:
        return []
    name = workspace.target.app
    return [PlannedChange(f"delete app {name}", partial(workspace.client.apps.delete, name))]


def _source(workspace: TargetWorkspace) -> list[PlannedChange]:
    api, folder = workspace.client.workspace, workspace.folder
    if found(lambda: api.get_status(folder)) is None:
        return []
    return [PlannedChange(f"delete {folder}", partial(api.delete, folder, recursive=True))]


def _scope(workspace: TargetWorkspace) -> list[PlannedChange]:
    scope, secrets = workspace.target.scope, workspace.client.secrets
    if all(one.name != scope for one in secrets.list_scopes()):
        return []
    return [PlannedChange(f"delete secret scope {scope}", partial(secrets.delete_scope, scope))]


def _tables(workspace: TargetWorkspace) -> list[PlannedChange]:
    if not workspace.target.warehouse_id:
        warehouse.find(workspace)
    there = workspace.columns()
    views = [view.name for view in sql_dialect.views()]
    tables = [table.name for table in sql_dialect.tables()]
    named = [("VIEW", name) for name in views] + [("TABLE", name) for name in tables]
    return [
        PlannedChange(
            f"drop {kind.lower()} {name}", partial(workspace.sql, f"DROP {kind} IF EXISTS {name}")
        )
        for kind, name in named
        if name in there
    ]


def _volume(workspace: TargetWorkspace) -> list[PlannedChange]:
    name = workspace.target.volume_name
    if found(lambda: workspace.client.volumes.read(name)) is None:
        return []
    return [PlannedChange(f"delete volume {name}", partial(workspace.client.volumes.delete, name))]


def _warehouse(workspace: TargetWorkspace) -> list[PlannedChange]:
    warehouse.find(workspace)
    if not (id := workspace.target.warehouse_id):
        return []
    delete = partial(workspace.client.warehouses.delete, id)
    return [PlannedChange(f"delete warehouse {warehouse.name(workspace.target.app)}", delete)]
