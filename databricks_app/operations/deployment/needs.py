"""The rights that a deployment needs, and the statement that grants each. Pure.

Which rights are needed depends on what exists already: a user who creates a schema, table, scope or
app owns it and needs no more rights on it. The rights to create apps, warehouses and secret scopes
are left out, because no API shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from databricks_app.operations.deployment import plan

if TYPE_CHECKING:
    from databricks_app.lake.sql_dialect import Table

Kind = Literal["CATALOG", "SCHEMA", "VOLUME", "TABLE", "VIEW", "warehouse", "scope", "app"]
EVERYONE = "account users"
_RAW = "webhook_raw_events"


@dataclass(frozen=True, slots=True)
class Need:
    """One right on one object.

    Attributes:
        kind: In capitals an object of Unity Catalog, else one of the workspace.
        name: Its full name, or the id of the warehouse.
        right: As the API spells it, with underscores.
        reason: Why it is needed: "to ...".
        alternatives: Other rights that are sufficient.
        instead: A statement that makes the right unnecessary; empty without one.
    """

    kind: Kind
    name: str
    right: str
    reason: str
    alternatives: tuple[str, ...] = ()
    instead: str = ""


@dataclass(frozen=True, slots=True)
class FoundState:
    """What exists in the workspace.

    Attributes:
        refused: Kind and name of objects that exist, but that the deployer may not read.
        has_schema: Whether the schema exists.
        has_volume: Whether the volume exists.
        columns: Columns, lower case, of each table and view that exists; None if the platform
            shows none of them.
        has_scope: Whether the secret scope exists.
        has_keys: Whether the scope has the signing keys.
        has_app: Whether the app exists.
        principal: Application id of the app's service principal; empty without an app.
        lacking: Names of the resources that the app does not have yet; all without an app.
        grants: What the app's service principal lacks on objects that exist.
    """

    refused: frozenset[tuple[Kind, str]] = frozenset()
    has_schema: bool = False
    has_volume: bool = False
    columns: Mapping[str, frozenset[str]] | None = field(default_factory=dict)
    has_scope: bool = False
    has_keys: bool = False
    has_app: bool = False
    principal: str = ""
    lacking: frozenset[str] = frozenset()
    grants: tuple[plan.Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestedWork:
    """What a deployment should do.

    Attributes:
        tables: Definitions of the tables.
        views: Names of the views.
        replaces_views: Whether to replace existing views.
        rotates: Whether to replace stored signing keys.
        proves: Whether to send a test event at the end.
    """

    tables: Sequence[Table]
    views: Sequence[str]
    replaces_views: bool = False
    rotates: bool = False
    proves: bool = True


def needs(target: plan.Target, wanted: RequestedWork, there: FoundState) -> list[Need]:
    """Return every right that the deployment needs, each once."""
    listed = [
        Need("CATALOG", target.catalog, "USE_CATALOG", f"to reach {target.schema_name}"),
        *_storage(target, wanted, there),
        *_grants_to_app(target, wanted, there),
        *_workspace(target, wanted, there),
    ]
    merged: dict[tuple[str, str, str], Need] = {}
    for need in listed:
        key = need.kind, need.name, need.right
        if held := merged.get(key):
            need = replace(
                held,
                reason=f"{held.reason} and {need.reason}",
                alternatives=tuple(set(held.alternatives) & set(need.alternatives)),
                instead="",
            )
        merged[key] = need
    return list(merged.values())


def _storage(target: plan.Target, wanted: RequestedWork, there: FoundState) -> Iterable[Need]:
    """Schema, volume, tables and views."""
    inside, catalog = target.schema_name, target.catalog
    if ("CATALOG", catalog) in there.refused:
        return
    if not there.has_schema:
        yield Need("CATALOG", catalog, "CREATE_SCHEMA", f"to create the schema {inside}")
        return
    yield Need("SCHEMA", inside, "USE_SCHEMA", "to reach its tables and its volume")
    if ("SCHEMA", inside) in there.refused:
        return
    if not there.has_volume:
        yield Need("SCHEMA", inside, "CREATE_VOLUME", f"to create the volume {target.volume}")
    elif ("VOLUME", target.volume_name) in there.refused:
        yield Need("VOLUME", target.volume_name, "READ_VOLUME", "to see that it exists")
    elif wanted.proves:
        reason = "to find the test event in the inbox"
        yield Need("VOLUME", target.volume_name, "READ_VOLUME", reason)
    if there.columns is not None:
        yield from _tables(target, wanted, there.columns)


def _tables(
    target: plan.Target, wanted: RequestedWork, columns: Mapping[str, frozenset[str]]
) -> Iterable[Need]:
    inside = target.schema_name
    names = [*(table.name for table in wanted.tables), *wanted.views]
    if missing := [name for name in names if name not in columns]:
        reason = f"to create {', '.join(missing)} (tables that you may not SELECT seem missing too)"
        yield Need("SCHEMA", inside, "CREATE_TABLE", reason)
    for table in wanted.tables:
        if table.name in columns and not columns[table.name].issuperset(table.column_names):
            name = f"{inside}.{table.name}"
            yield Need("TABLE", name, "MANAGE", "to add its new columns", alternatives=("MODIFY",))
    for view in wanted.views:
        if view in columns and wanted.replaces_views:
            yield Need("VIEW", f"{inside}.{view}", "MANAGE", "to replace it")
    if wanted.proves and _RAW in columns:
        yield Need("TABLE", f"{inside}.{_RAW}", "SELECT", "to find the test event")


def _grants_to_app(target: plan.Target, wanted: RequestedWork, there: FoundState) -> Iterable[Need]:
    """MANAGE on every object on which the app needs a grant."""
    views = {f"{target.schema_name}.{view}" for view in wanted.views}
    for grant in there.grants:
        kind: Kind = "VIEW" if grant.name in views else grant.kind
        shown = ", ".join(map(_spaced, grant.privileges))
        # Without an app, the grant can go to everybody for a catalog or schema, where it is only
        # USE. A grant on tables must go to the app alone.
        whom = there.principal or (EVERYONE if kind in {"CATALOG", "SCHEMA"} else "")
        instead = _grant(kind, grant.name, grant.privileges, whom) if whom else ""
        yield Need(kind, grant.name, "MANAGE", f"to grant the app {shown}", instead=instead)
    if there.has_volume and plan.VOLUME_RESOURCE in there.lacking:
        yield Need("VOLUME", target.volume_name, "MANAGE", "to give it to the app as a resource")


def _workspace(target: plan.Target, wanted: RequestedWork, there: FoundState) -> Iterable[Need]:
    """Warehouse, secret scope and app."""
    if not target.warehouse_id:
        pass  # who makes it owns it
    elif plan.WAREHOUSE_RESOURCE in there.lacking:
        reason = "to give it to the app as a resource"
        yield Need("warehouse", target.warehouse_id, "CAN_MANAGE", reason)
    else:
        yield Need("warehouse", target.warehouse_id, "CAN_USE", "to run statements")
    if there.has_scope:
        if plan.KEYS_RESOURCE in there.lacking:
            reason = "to give its keys to the app as a resource"
            yield Need("scope", target.scope, "MANAGE", reason)
        elif wanted.rotates or not there.has_keys:
            yield Need("scope", target.scope, "WRITE", "to store the signing keys")
        else:
            yield Need(
                "scope", target.scope, "READ", "to see whether the signing keys have changed"
            )
    if there.has_app:
        yield Need("app", target.app, "CAN_MANAGE", "to deploy it")


def words(need: Need) -> str:
    """Write the right in words, such as `CREATE SCHEMA on main`."""
    return f"{_spaced(need.right)} on {need.name}"


def fix(need: Need, who: str) -> str:
    """Return the statement or command that gives the right, with the reason as a comment.

    Args:
        need: The right.
        who: User name of the deployer, or application id of a service principal.
    """
    match need.kind:
        case "scope":
            return f"databricks secrets put-acl {need.name} {who} {need.right}  # {need.reason}"
        case "warehouse" | "app":
            plural = f"{need.kind}s"
            whose = "user_name" if "@" in who else "service_principal_name"
            entry = {whose: who, "permission_level": need.right}
            listed = json.dumps({"access_control_list": [entry]})
            command = f"databricks {plural} update-permissions {need.name} --json '{listed}'"
            return f"{command}  # {need.reason}"
    statement = _grant(need.kind, need.name, (need.right,), who)
    instead = f", or run this instead: {need.instead}" if need.instead else ""
    return f"{statement}  -- {need.reason}{instead}"


def _grant(kind: str, name: str, privileges: Iterable[str], who: str) -> str:
    rights = ", ".join(map(_spaced, privileges))
    thing = ".".join(f"`{part}`" for part in name.split("."))
    return f"GRANT {rights} ON {kind} {thing} TO `{who}`;"


def _spaced(right: str) -> str:
    return right.replace("_", " ")
