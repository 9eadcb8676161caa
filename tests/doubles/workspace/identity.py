"""The current user, service principals, and access control lists of apps and warehouses.

To read a list a caller needs CAN_USE, to change it CAN_MANAGE. The creator of an app and the group
`admins` have CAN_MANAGE.

Not simulated: SCIM of users and groups (a test fills `Identities.groups`), nested groups, SCIM
filters other than `attribute eq "value"`, paging of SCIM lists, other enforcement of the lists.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.doubles.messages import Answer, Json, Refused, Request, answered
from tests.doubles.routing import Routes

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_SCIM = "/api/2.0/preview/scim/v2"
_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"
# The double's own user and service principal.
_ADMINS = ("admin@example.com", "00000000-0000-4000-8000-000000000001")
_LEVELS = {
    "apps": ("CAN_USE", "CAN_MANAGE"),
    "warehouses": ("CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER"),
}


@dataclass(slots=True)
class Identities:
    """Service principals and groups.

    Attributes:
        principals: Service principals by numeric id, in the form of SCIM.
        groups: Members by group name; everyone is in `users` and `account users` too.
    """

    principals: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=lambda: {"admins": set(_ADMINS)})

    def groups_of(self, principal: str) -> list[str]:
        """Return the groups of a principal, by name."""
        return [name for name, members in sorted(self.groups.items()) if principal in members]

    def is_admin(self, principal: str) -> bool:
        """Return whether a principal is an administrator of the workspace."""
        return principal in self.groups["admins"]

    def names(self, principal: str) -> set[str]:
        """Return the names under which a principal has permissions: its own and its groups'."""
        return {principal, *self.groups_of(principal), "users", "account users"}

    def make(self, display_name: str, application_id: str | None = None) -> dict[str, Any]:
        """Add a service principal."""
        number = str(7_000_000_000 + len(self.principals))
        made = {
            "schemas": [_SCHEMA],
            "id": number,
            "applicationId": application_id or str(uuid.uuid4()),
            "displayName": display_name,
            "active": True,
        }
        self.principals[number] = made
        return made


@routes.on("GET", f"{_SCIM}/Me", "identity.me")
def me(workspace: Workspace, request: Request) -> Json:
    """Return the caller."""
    name = request.principal
    answer = answered(
        {
            "id": "1",
            "userName": name,
            "displayName": name,
            "active": True,
            "emails": [{"value": name, "primary": True, "type": "work"}],
            "groups": [
                {"display": one, "value": str(number), "type": "direct"}
                for number, one in enumerate(workspace.identities.groups_of(name))
            ],
        }
    )
    answer.headers["X-Databricks-Org-Id"] = workspace.workspace_id
    return answer


@routes.on("POST", f"{_SCIM}/ServicePrincipals", "service_principals.create")
def create(workspace: Workspace, request: Request) -> Json:
    """Create a service principal."""
    body = request.json()
    return workspace.identities.make(body.get("displayName", ""), body.get("applicationId"))


@routes.on("GET", f"{_SCIM}/ServicePrincipals", "service_principals.list")
def list_principals(workspace: Workspace, request: Request) -> Json:
    """List service principals, all or those that a filter selects."""
    found = list(workspace.identities.principals.values())
    if wanted := request.query.get("filter"):
        parts = re.fullmatch(r'(\w+) eq "?([^"]*)"?', wanted)
        if parts is None:
            text = f"The double does not support the filter {wanted}."
            raise Refused(400, "INVALID_PARAMETER_VALUE", text)
        found = [one for one in found if str(one.get(parts[1])) == parts[2]]
    total = len(found)
    start = int(request.query.get("startIndex", "1"))
    shown = found[start - 1 :]
    return {"totalResults": total, "startIndex": start, "Resources": shown}


@routes.on("GET", f"{_SCIM}/ServicePrincipals/{{id}}", "service_principals.get")
def get(workspace: Workspace, request: Request) -> Json:
    """Return one service principal."""
    return _principal(workspace, request)


@routes.on("DELETE", f"{_SCIM}/ServicePrincipals/{{id}}", "service_principals.delete")
def delete(workspace: Workspace, request: Request) -> Json:
    """Delete a service principal."""
    _principal(workspace, request)
    del workspace.identities.principals[request.arguments["id"]]
    return Answer(204)


@routes.on("GET", "/api/2.0/permissions/{kind*}/{id}/permissionLevels", "permissions.levels")
def levels(_workspace: Workspace, request: Request) -> Json:
    """List the permission levels of a kind of object."""
    known = _LEVELS.get(request.arguments["kind"].removeprefix("sql/"), ())
    return {"permission_levels": [{"permission_level": one} for one in known]}


@routes.on("GET", "/api/2.0/permissions/{kind*}/{id}", "permissions.get")
def get_permissions(workspace: Workspace, request: Request) -> Json:
    """Return the access control list of one object."""
    key = _key(workspace, request)
    _need(workspace, request, key, "CAN_USE")
    shown = [_as_json(entry) for entry in _entries(workspace, key)]
    shown.append(
        _as_json({"group_name": "admins", "permission_level": "CAN_MANAGE"}, is_above=True)
    )
    return {
        "object_id": f"/{key}",
        "object_type": request.arguments["kind"],
        "access_control_list": shown,
    }


@routes.on("PUT", "/api/2.0/permissions/{kind*}/{id}", "permissions.set")
def set_permissions(workspace: Workspace, request: Request) -> Json:
    """Replace an access control list."""
    key = _key(workspace, request)
    _need(workspace, request, key, "CAN_MANAGE")
    workspace.permissions[key] = list(request.json().get("access_control_list", []))
    return get_permissions(workspace, request)


@routes.on("PATCH", "/api/2.0/permissions/{kind*}/{id}", "permissions.update")
def update_permissions(workspace: Workspace, request: Request) -> Json:
    """Change an access control list; a principal's new level replaces its old one."""
    key = _key(workspace, request)
    _need(workspace, request, key, "CAN_MANAGE")
    for entry in request.json().get("access_control_list", []):
        kept = [one for one in workspace.permissions.get(key, []) if _who(one) != _who(entry)]
        workspace.permissions[key] = [*kept, entry]
    return get_permissions(workspace, request)


def _key(workspace: Workspace, request: Request) -> str:
    kind, name = request.arguments["kind"].removeprefix("sql/"), request.arguments["id"]
    known: dict[str, Any] = {"apps": workspace.apps.held, "warehouses": workspace.warehouses.held}
    if kind not in known:
        text = f"The double does not support permissions of {kind}."
        raise Refused(400, "INVALID_PARAMETER_VALUE", text)
    if name not in known[kind]:
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"{kind} {name} does not exist.")
    return f"{kind}/{name}"


def _entries(workspace: Workspace, key: str) -> list[dict[str, Any]]:
    entries = workspace.permissions.get(key, [])
    kind, _, name = key.partition("/")
    if kind != "apps":
        return entries
    maker = workspace.apps.held[name].given["creator"]
    if any(_who(one) == maker for one in entries):
        return entries
    whose = "user_name" if "@" in maker else "service_principal_name"
    return [*entries, {whose: maker, "permission_level": "CAN_MANAGE"}]


def _need(workspace: Workspace, request: Request, key: str, level: str) -> None:
    if workspace.identities.is_admin(request.principal):
        return
    levels = _LEVELS[key.partition("/")[0]]
    names = workspace.identities.names(request.principal)
    held = [one["permission_level"] for one in _entries(workspace, key) if _who(one) in names]
    if not any(levels.index(one) >= levels.index(level) for one in held):
        text = f"{request.principal} does not have {level} permissions on {key}."
        raise Refused(403, "PERMISSION_DENIED", text)


def _principal(workspace: Workspace, request: Request) -> dict[str, Any]:
    found = workspace.identities.principals.get(request.arguments["id"])
    if found is None:
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", "The service principal does not exist.")
    return found


def _who(entry: dict[str, Any]) -> str:
    return str(
        entry.get("user_name") or entry.get("group_name") or entry.get("service_principal_name")
    )


def _as_json(entry: dict[str, Any], *, is_above: bool = False) -> dict[str, Any]:
    level = {"permission_level": entry["permission_level"], "inherited": is_above}
    rest = {name: value for name, value in entry.items() if name != "permission_level"}
    return rest | {"all_permissions": [level]}
