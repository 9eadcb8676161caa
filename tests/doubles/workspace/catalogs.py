"""Unity Catalog over REST: catalogs, schemas, volumes, tables, grants.

A manager of a securable sees the effective permissions of everyone; other callers see only their
own and those of their groups.

Not simulated: metastores except their owner, paging except of effective permissions (two principals
a page), changes of owners, creating tables (SQL does it), storage locations, bindings to
workspaces, and which inherited privileges apply to a kind of securable (all are shown).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tests.doubles.messages import Json, Refused, Request
from tests.doubles.routing import Routes
from tests.doubles.workspace.metastore import Securable

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_API = "/api/2.1/unity-catalog"
_PAGE = 2
Kind = Literal["catalog", "schema", "volume", "table", "view"]


@routes.on("GET", f"{_API}/current-metastore-assignment", "catalog.metastore")
def metastore(workspace: Workspace, _request: Request) -> Json:
    """Return the metastore of the workspace."""
    return {
        "metastore_id": "00000000-0000-4000-8000-0000000000aa",
        "workspace_id": int(workspace.workspace_id),
        "default_catalog_name": "main",
    }


@routes.on("GET", f"{_API}/metastore_summary", "catalog.metastore_summary")
def metastore_summary(workspace: Workspace, _request: Request) -> Json:
    """Return the metastore with its owner."""
    return {
        "metastore_id": "00000000-0000-4000-8000-0000000000aa",
        "name": "double",
        "owner": workspace.catalog.owner,
    }


@routes.on("POST", f"{_API}/{{plural}}", "catalog.create")
def create(workspace: Workspace, request: Request) -> Json:
    """Create a catalog, a schema or a volume."""
    body, kind = request.json(), _kind(request.arguments["plural"])
    parents = {
        "catalog": (),
        "schema": ("catalog_name",),
        "volume": ("catalog_name", "schema_name"),
    }
    if kind not in parents:
        raise Refused(400, "INVALID_PARAMETER_VALUE", "Create tables with SQL.")
    if kind == "volume" and body.get("volume_type") != "MANAGED":
        text = "The double supports only managed volumes."
        raise Refused(400, "INVALID_PARAMETER_VALUE", text)
    name = tuple(str(request.field(part)).lower() for part in (*parents[kind], "name"))
    comment, properties = body.get("comment", ""), body.get("properties", {})
    made = Securable(kind, name, comment, properties, owner=request.principal)
    return _as_json(workspace, workspace.catalog.add(made))


@routes.on("GET", f"{_API}/{{plural}}", "catalog.list")
def list_inside(workspace: Workspace, request: Request) -> Json:
    """List the securables of one kind in a parent."""
    plural = request.arguments["plural"]
    parent = [
        request.query[part] for part in ("catalog_name", "schema_name") if part in request.query
    ]
    found = workspace.catalog.inside(_kind(plural), tuple(parent))
    return {plural: [_as_json(workspace, one) for one in found]}


@routes.on("GET", f"{_API}/permissions/{{kind}}/{{name}}", "grants.get")
def get_grants(workspace: Workspace, request: Request) -> Json:
    """List the privileges granted on one securable itself."""
    securable = _securable(workspace, request)
    wanted = request.query.get("principal")
    return {
        "privilege_assignments": [
            {"principal": one, "privileges": sorted(privileges)}
            for one, privileges in sorted(securable.grants.items())
            if wanted in {None, one}
        ]
    }


@routes.on("GET", f"{_API}/effective-permissions/{{kind}}/{{name}}", "grants.get_effective")
def get_effective(workspace: Workspace, request: Request) -> Json:
    """List each principal's privileges on one securable, with inherited ones.

    Groups are listed as groups, not by their members.
    """
    securable, wanted = _securable(workspace, request), request.query.get("principal")
    names = workspace.identities.names(request.principal)
    if wanted not in names and not workspace.catalog.is_managed_by(securable, names):
        text = f"User does not have MANAGE on {securable.kind.title()} '{securable.full_name}'."
        raise Refused(403, "PERMISSION_DENIED", text)
    conveyed: dict[str, list[dict[str, str]]] = {}
    for one in (securable, *workspace.catalog.above(securable)):
        above = {"inherited_from_name": one.full_name, "inherited_from_type": one.kind.upper()}
        for who, privileges in sorted(one.grants.items()):
            if wanted in {None, who}:
                conveyed.setdefault(who, []).extend(
                    {"privilege": each} | (above if one is not securable else {})
                    for each in sorted(privileges)
                )
    listed = [{"principal": one, "privileges": conveyed[one]} for one in conveyed]
    start = int(request.query.get("page_token", "0"))
    page: dict[str, Any] = {"privilege_assignments": listed[start : start + _PAGE]}
    return page | ({"next_page_token": str(start + _PAGE)} if listed[start + _PAGE :] else {})


@routes.on("PATCH", f"{_API}/permissions/{{kind}}/{{name}}", "grants.update")
def update_grants(workspace: Workspace, request: Request) -> Json:
    """Grant and revoke privileges."""
    securable = _securable(workspace, request)
    for change in request.json().get("changes", []):
        add, remove = set(change.get("add", [])), set(change.get("remove", []))
        workspace.catalog.grant(securable, change["principal"], add, remove)
    return get_grants(workspace, request)


@routes.on("GET", f"{_API}/tables/{{name}}/exists", "catalog.exists")
def exists(workspace: Workspace, request: Request) -> Json:
    """Return whether a table exists."""
    name = tuple(request.arguments["name"].split("."))
    return {"table_exists": workspace.catalog.find("table", name) is not None}


@routes.on("GET", f"{_API}/{{plural}}/{{name}}", "catalog.get")
def get(workspace: Workspace, request: Request) -> Json:
    """Return one securable."""
    return _as_json(workspace, _named(workspace, request))


@routes.on("PATCH", f"{_API}/{{plural}}/{{name}}", "catalog.update")
def update(workspace: Workspace, request: Request) -> Json:
    """Change the comment and properties of a securable."""
    securable, body = _named(workspace, request), request.json()
    securable.comment = body.get("comment", securable.comment)
    securable.properties |= body.get("properties", {})
    return _as_json(workspace, securable)


@routes.on("DELETE", f"{_API}/{{plural}}/{{name}}", "catalog.delete")
def delete(workspace: Workspace, request: Request) -> Json:
    """Delete a securable; one that is not empty only with `force`."""
    securable = _named(workspace, request)
    is_forced = request.query.get("force", "false").lower() == "true"
    workspace.catalog.drop(securable.kind, securable.name, is_forced=is_forced)


def _kind(plural: str) -> Kind:
    kinds: dict[str, Kind] = {
        "catalogs": "catalog",
        "schemas": "schema",
        "volumes": "volume",
        "tables": "table",
    }
    if plural not in kinds:
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"The double does not support {plural}.")
    return kinds[plural]


def _named(workspace: Workspace, request: Request) -> Securable:
    name = tuple(request.arguments["name"].split("."))
    return workspace.catalog.get(_kind(request.arguments["plural"]), name)


def _securable(workspace: Workspace, request: Request) -> Securable:
    kind, name = request.arguments["kind"].lower(), request.arguments["name"]
    if kind not in {"catalog", "schema", "volume", "table"}:
        text = f"The double does not support grants on a {kind}."
        raise Refused(400, "INVALID_PARAMETER_VALUE", text)
    return workspace.catalog.get(kind, tuple(name.split(".")))


def _as_json(workspace: Workspace, securable: Securable) -> dict[str, Any]:
    *parents, name = securable.name
    shown: dict[str, Any] = {
        "name": name,
        "full_name": securable.full_name,
        "comment": securable.comment,
        "owner": securable.owner or workspace.catalog.owner,
        "properties": securable.properties,
        "created_at": securable.made_at,
    } | dict(zip(("catalog_name", "schema_name"), parents, strict=False))
    if securable.kind == "volume":
        return shown | {"volume_type": "MANAGED"}
    if securable.kind in {"table", "view"}:
        shown["table_type"] = "MANAGED" if securable.kind == "table" else "VIEW"
        shown["data_source_format"] = "DELTA"
        shown["columns"] = [
            {
                "name": column.name,
                "type_text": column.type.lower(),
                "type_name": column.type.partition("<")[0].replace("BIGINT", "LONG"),
                "position": index,
                "nullable": column.nullable,
                "comment": column.comment,
            }
            for index, column in enumerate(securable.columns)
        ]
    if securable.kind == "view":
        shown["view_definition"] = securable.query
    return shown
