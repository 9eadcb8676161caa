"""Secret scopes: secrets and their access control lists, which are enforced.

The group `admins` may do everything. Not simulated: Azure Key Vault scopes, size limits, audit,
redaction in notebooks, the permission to create scopes.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.doubles.messages import Json, Refused, Request
from tests.doubles.routing import Routes

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_API = "/api/2.0/secrets"
_PERMISSIONS = ("READ", "WRITE", "MANAGE")  # each includes those before it


@dataclass(slots=True)
class Scope:
    """One scope.

    Attributes:
        secrets: For each key the secret, and when it was put in Unix milliseconds.
        acls: Permission by principal.
    """

    secrets: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    acls: dict[str, str] = field(default_factory=dict)


@routes.on("POST", f"{_API}/scopes/create", "secrets.create_scope")
def create_scope(workspace: Workspace, request: Request) -> Json:
    """Create a scope; its creator has MANAGE."""
    name = request.field("scope")
    with workspace.lock:
        if name in workspace.scopes:
            raise Refused(400, "RESOURCE_ALREADY_EXISTS", f"Scope {name} already exists!")
        workspace.scopes[name] = Scope(acls={request.principal: "MANAGE"})


@routes.on("POST", f"{_API}/scopes/delete", "secrets.delete_scope")
def delete_scope(workspace: Workspace, request: Request) -> Json:
    """Delete a scope with its secrets."""
    _scope(workspace, request, "MANAGE")
    workspace.scopes.pop(request.field("scope"), None)


@routes.on("GET", f"{_API}/scopes/list", "secrets.list_scopes")
def list_scopes(workspace: Workspace, _request: Request) -> Json:
    """List all scopes."""
    return {"scopes": [{"name": one, "backend_type": "DATABRICKS"} for one in workspace.scopes]}


@routes.on("POST", f"{_API}/put", "secrets.put")
def put(workspace: Workspace, request: Request) -> Json:
    """Store a secret; an existing one is replaced."""
    body = request.json()
    if "bytes_value" in body:
        value = base64.b64decode(body["bytes_value"])
    else:
        value = str(request.field("string_value")).encode()
    stored = (value, int(time.time() * 1000))
    _scope(workspace, request, "WRITE").secrets[request.field("key")] = stored


@routes.on("POST", f"{_API}/delete", "secrets.delete")
def delete(workspace: Workspace, request: Request) -> Json:
    """Delete a secret."""
    scope, key = _scope(workspace, request, "WRITE"), request.field("key")
    if scope.secrets.pop(key, None) is None:
        raise _no_secret(key)


@routes.on("GET", f"{_API}/get", "secrets.get")
def get(workspace: Workspace, request: Request) -> Json:
    """Return a secret in base64."""
    key = request.query.get("key", "")
    stored = _scope(workspace, request, "READ").secrets.get(key)
    if stored is None:
        raise _no_secret(key)
    return {"key": key, "value": base64.b64encode(stored[0]).decode()}


@routes.on("GET", f"{_API}/list", "secrets.list")
def list_secrets(workspace: Workspace, request: Request) -> Json:
    """List the keys of a scope, without the secrets."""
    secrets = _scope(workspace, request, "READ").secrets
    return {"secrets": [{"key": key, "last_updated_timestamp": secrets[key][1]} for key in secrets]}


@routes.on("POST", f"{_API}/acls/put", "secrets.put_acl")
def put_acl(workspace: Workspace, request: Request) -> Json:
    """Give a principal a permission on a scope."""
    acls = _scope(workspace, request, "MANAGE").acls
    acls[request.field("principal")] = request.field("permission")


@routes.on("POST", f"{_API}/acls/delete", "secrets.delete_acl")
def delete_acl(workspace: Workspace, request: Request) -> Json:
    """Take the permission of a principal away."""
    principal = request.field("principal")
    if _scope(workspace, request, "MANAGE").acls.pop(principal, None) is None:
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"No ACL for {principal}.")


@routes.on("GET", f"{_API}/acls/list", "secrets.list_acls")
def list_acls(workspace: Workspace, request: Request) -> Json:
    """List the permissions on a scope."""
    acls = _scope(workspace, request, "MANAGE").acls
    return {"items": [{"principal": one, "permission": acls[one]} for one in acls]}


@routes.on("GET", f"{_API}/acls/get", "secrets.get_acl")
def get_acl(workspace: Workspace, request: Request) -> Json:
    """Return the permission of one principal."""
    principal = request.query.get("principal", "")
    permission = _scope(workspace, request, "MANAGE").acls.get(principal)
    if permission is None:
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"No ACL for {principal}.")
    return {"principal": principal, "permission": permission}


def _scope(workspace: Workspace, request: Request, needed: str) -> Scope:
    """Return the scope of a request, if the caller has the needed permission on it."""
    name = request.query.get("scope") or request.field("scope")
    scope = workspace.scopes.get(name)
    if scope is None:
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Scope {name} does not exist!")
    enough = _PERMISSIONS[_PERMISSIONS.index(needed) :]
    names = workspace.identities.names(request.principal)
    if not workspace.identities.is_admin(request.principal) and not any(
        one in names and permission in enough for one, permission in scope.acls.items()
    ):
        text = f"{request.principal} does not have {needed} permission on scope {name}."
        raise Refused(403, "PERMISSION_DENIED", text)
    return scope


def _no_secret(key: str) -> Refused:
    return Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Secret {key} does not exist!")
