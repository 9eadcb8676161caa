"""Takes a deployment back: app, source and keys; with the tables only if that is asked for."""

from __future__ import annotations

from functools import partial

from databricks_app.lake import sql_dialect
from databricks_app.operations.deployment.running import PlannedChange, Step
from databricks_app.operations.deployment.site import Site, found


def steps(site: Site, *, with_tables: bool = False) -> list[Step]:
    """What is removed; the schema and the catalog stay, for they may hold more."""
    target = site.target
    manage = f"CAN MANAGE on the app {target.app}"
    removal = [
        Step("app", manage, partial(_app, site)),
        Step("source", f"CAN MANAGE on {site.folder}", partial(_source, site)),
        Step("signing keys", f"MANAGE on the scope {target.scope}", partial(_scope, site)),
    ]
    if with_tables:
        own = f"ownership of, or MANAGE on, what is in {target.schema_name}"
        removal += [
            Step("views and tables", own, partial(_tables, site)),
            Step("volume", own, partial(_volume, site)),
        ]
    return removal


def _app(site: Site) -> list[PlannedChange]:
    if site.app() is None:
        return []
    name = site.target.app
    return [PlannedChange(f"delete app {name}", partial(site.client.apps.delete, name))]


def _source(site: Site) -> list[PlannedChange]:
    api, folder = site.client.workspace, site.folder
    if found(lambda: api.get_status(folder)) is None:
        return []
    return [PlannedChange(f"delete {folder}", partial(api.delete, folder, recursive=True))]


def _scope(site: Site) -> list[PlannedChange]:
    scope, secrets = site.target.scope, site.client.secrets
    if all(one.name != scope for one in secrets.list_scopes()):
        return []
    return [PlannedChange(f"delete secret scope {scope}", partial(secrets.delete_scope, scope))]


def _tables(site: Site) -> list[PlannedChange]:
    there = site.columns()
    views = [view.name for view in sql_dialect.views()]
    tables = [table.name for table in sql_dialect.tables()]
    named = [("VIEW", name) for name in views] + [("TABLE", name) for name in tables]
    return [
        PlannedChange(
            f"drop {kind.lower()} {name}", partial(site.sql, f"DROP {kind} IF EXISTS {name}")
        )
        for kind, name in named
        if name in there
    ]


def _volume(site: Site) -> list[PlannedChange]:
    name = site.target.volume_name
    if found(lambda: site.client.volumes.read(name)) is None:
        return []
    return [PlannedChange(f"delete volume {name}", partial(site.client.volumes.delete, name))]
