"""Databricks Apps: create, start, deploy, stop; each change takes some time and is polled.

Not simulated: running the app (a test that needs one starts it and puts its URL into `Apps.urls`),
the proxy in front of it, logs, telemetry, Git sources, spaces, limits of a workspace.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.doubles.messages import Json, Refused, Request
from tests.doubles.routing import Routes

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_API = "/api/2.0/apps"
_SETTABLE = frozenset(
    {
        "budget_policy_id",
        "compute_max_instances",
        "compute_min_instances",
        "compute_size",
        "description",
        "resources",
        "telemetry_export_destinations",
        "usage_policy_id",
        "user_api_scopes",
    }
)


@dataclass(slots=True)
class Change:
    """A change that takes some time.

    Attributes:
        during: The state during the change.
        after: The state after it.
        until: When it ends, in seconds of the monotonic clock.
        message: The message after it.
    """

    during: str
    after: str
    until: float
    message: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the change has ended."""
        return time.monotonic() >= self.until

    def shown(self) -> dict[str, str]:
        """Return the status in the form of the API."""
        state = self.after if self.is_done else self.during
        return {"state": state, "message": self.message if self.is_done else f"App is {state}"}


@dataclass(slots=True)
class Deployment:
    """One deployment: its fields, and its progress."""

    fields: dict[str, Any]
    change: Change

    def shown(self) -> dict[str, Any]:
        """Return the deployment in the form of the API."""
        return self.fields | {"status": self.change.shown()}


@dataclass(slots=True)
class App:
    """One app: its fields, the state of its compute, and its deployments, oldest first."""

    given: dict[str, Any]
    compute: Change
    deployments: list[Deployment] = field(default_factory=list)
    update: Change | None = None


@dataclass(slots=True)
class Apps:
    """All apps by name.

    Attributes:
        urls: URL of an app by name; set by a test that runs the app.
        compute_seconds: How long starting and stopping take.
        deploy_seconds: How long a deployment takes.
        deployment_fails: Message with which deployments fail; empty: they succeed.
    """

    held: dict[str, App] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    compute_seconds: float = 0.0
    deploy_seconds: float = 0.0
    deployment_fails: str = ""

    def control(self, **changes: Any) -> None:
        """For tests: set attributes, e.g. `deployment_fails`."""
        for name, value in changes.items():
            if name not in {"urls", "compute_seconds", "deploy_seconds", "deployment_fails"}:
                raise ValueError(f"{name} cannot be set.")
            setattr(self, name, value)

    def changing(self, during: str, after: str) -> Change:
        """Return a change of compute that starts now."""
        return Change(during, after, time.monotonic() + self.compute_seconds, f"App is {after}")


@routes.on("POST", _API, "apps.create")
def create(workspace: Workspace, request: Request) -> Json:
    """Create an app with its own service principal; its compute starts unless `no_compute`."""
    body, apps = request.json(), workspace.apps
    name = request.field("name")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", name):
        raise Refused(400, "INVALID_PARAMETER_VALUE", f"Invalid app name: {name}")
    with workspace.lock:
        if name in apps.held:
            raise Refused(
                409, "ALREADY_EXISTS", f"An app with the same name already exists: {name}"
            )
        principal = workspace.identities.make(f"app-{name}")
        workspace.tokens.clients[principal["applicationId"]] = secrets.token_hex(16)
        given = {key: value for key, value in body.items() if key in _SETTABLE} | {
            "name": name,
            "id": secrets.token_hex(8),
            "creator": request.principal,
            "create_time": _now(),
            "service_principal_id": int(principal["id"]),
            "service_principal_name": principal["displayName"],
            "service_principal_client_id": principal["applicationId"],
        }
        has_compute = request.query.get("no_compute", "false").lower() != "true"
        states = ("STARTING", "ACTIVE") if has_compute else ("STOPPED", "STOPPED")
        compute = apps.changing(*states)
        apps.held[name] = App(given, compute)
    return _as_json(workspace, apps.held[name])


@routes.on("GET", _API, "apps.list")
def list_apps(workspace: Workspace, _request: Request) -> Json:
    """List all apps."""
    return {"apps": [_as_json(workspace, app) for app in workspace.apps.held.values()]}


@routes.on("GET", f"{_API}/{{name}}", "apps.get")
def get(workspace: Workspace, request: Request) -> Json:
    """Return one app."""
    return _as_json(workspace, _app(workspace, request))


@routes.on("PATCH", f"{_API}/{{name}}", "apps.update")
def update(workspace: Workspace, request: Request) -> Json:
    """Change fields of an app; fields that are not given keep their values."""
    app = _app(workspace, request)
    app.given |= {key: value for key, value in request.json().items() if key in _SETTABLE}
    return _as_json(workspace, app)


@routes.on("POST", f"{_API}/{{name}}/update", "apps.create_update")
def create_update(workspace: Workspace, request: Request) -> Json:
    """Start a change of the fields in `update_mask`."""
    app, body = _app(workspace, request), request.json()
    for key in body.get("update_mask", "").split(","):
        if key not in _SETTABLE:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Invalid update mask: {key}")
        app.given[key] = body.get("app", {}).get(key)
    app.update = workspace.apps.changing("IN_PROGRESS", "SUCCEEDED")
    return get_update(workspace, request)


@routes.on("GET", f"{_API}/{{name}}/update", "apps.get_update")
def get_update(workspace: Workspace, request: Request) -> Json:
    """Return the progress of the last such change."""
    app = _app(workspace, request)
    status = app.update.shown() if app.update else {"state": "NOT_UPDATED", "message": ""}
    return {"status": status}


@routes.on("DELETE", f"{_API}/{{name}}", "apps.delete")
def delete(workspace: Workspace, request: Request) -> Json:
    """Delete an app and its service principal."""
    app = _app(workspace, request)
    del workspace.apps.held[app.given["name"]]
    workspace.identities.principals.pop(str(app.given["service_principal_id"]), None)
    workspace.tokens.clients.pop(app.given["service_principal_client_id"], None)
    return _as_json(workspace, app) | {"compute_status": {"state": "DELETING"}}


@routes.on("POST", f"{_API}/{{name}}/start", "apps.start")
def start(workspace: Workspace, request: Request) -> Json:
    """Start the compute of an app."""
    app = _app(workspace, request)
    if app.compute.after != "ACTIVE":
        app.compute = workspace.apps.changing("STARTING", "ACTIVE")
    return _as_json(workspace, app)


@routes.on("POST", f"{_API}/{{name}}/stop", "apps.stop")
def stop(workspace: Workspace, request: Request) -> Json:
    """Stop the compute of an app."""
    app = _app(workspace, request)
    app.compute = workspace.apps.changing("STOPPING", "STOPPED")
    return _as_json(workspace, app)


@routes.on("POST", f"{_API}/{{name}}/deployments", "apps.deploy")
def deploy(workspace: Workspace, request: Request) -> Json:
    """Deploy the files of a workspace folder."""
    app, apps, body = _app(workspace, request), workspace.apps, request.json()
    source = body.get("source_code_path", "")
    if app.compute.shown()["state"] != "ACTIVE":
        name = app.given["name"]
        text = f"Cannot deploy app {name} as its compute is not in ACTIVE state."
        raise Refused(400, "INVALID_STATE", text)
    if app.deployments and not app.deployments[-1].change.is_done:
        raise Refused(409, "INVALID_STATE", "There is an active deployment in progress.")
    failure = apps.deployment_fails
    if not (workspace.tree_dir / source.removeprefix("/Workspace").strip("/")).is_dir():
        failure = failure or f"Source code path {source} does not exist."
    until = time.monotonic() + apps.deploy_seconds
    after = "FAILED" if failure else "SUCCEEDED"
    change = Change("IN_PROGRESS", after, until, failure or "App started successfully")
    fields = body | {
        "deployment_id": secrets.token_hex(16),
        "creator": request.principal,
        "create_time": _now(),
    }
    app.deployments.append(Deployment(fields, change))
    return app.deployments[-1].shown()


@routes.on("GET", f"{_API}/{{name}}/deployments", "apps.list_deployments")
def list_deployments(workspace: Workspace, request: Request) -> Json:
    """List all deployments, newest first."""
    found = reversed(_app(workspace, request).deployments)
    return {"app_deployments": [one.shown() for one in found]}


@routes.on("GET", f"{_API}/{{name}}/deployments/{{id}}", "apps.get_deployment")
def get_deployment(workspace: Workspace, request: Request) -> Json:
    """Return one deployment."""
    for one in _app(workspace, request).deployments:
        if one.fields["deployment_id"] == request.arguments["id"]:
            return one.shown()
    raise Refused(404, "RESOURCE_DOES_NOT_EXIST", "The deployment does not exist.")


def _app(workspace: Workspace, request: Request) -> App:
    name = request.arguments["name"]
    app = workspace.apps.held.get(name)
    if app is None:
        text = f"App with name {name} does not exist or is deleted."
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", text)
    return app


def _as_json(workspace: Workspace, app: App) -> dict[str, Any]:
    name = app.given["name"]
    url = workspace.apps.urls.get(name, f"https://{name}-{workspace.workspace_id}.example.com")
    shown = app.given | {"url": url, "compute_status": app.compute.shown()}
    done = [one for one in app.deployments if one.change.is_done]
    pending = [one for one in app.deployments if not one.change.is_done]
    if pending:
        shown["pending_deployment"] = pending[-1].shown()
    if succeeded := [one for one in done if one.change.after == "SUCCEEDED"]:
        active = succeeded[-1].shown()
        shown["active_deployment"] = active
        shown["default_source_code_path"] = active.get("source_code_path", "")
    shown["app_status"] = _status(app, is_deploying=bool(pending), is_deployed=bool(succeeded))
    return shown


def _status(app: App, *, is_deploying: bool, is_deployed: bool) -> dict[str, str]:
    if app.compute.shown()["state"] != "ACTIVE":
        return {"state": "UNAVAILABLE", "message": "App compute is not running."}
    if is_deploying:
        return {"state": "DEPLOYING", "message": "App is being deployed."}
    if app.deployments and app.deployments[-1].change.after == "FAILED":
        return {"state": "CRASHED", "message": app.deployments[-1].change.message}
    if is_deployed:
        return {"state": "RUNNING", "message": "App has status: App is running"}
    return {"state": "UNAVAILABLE", "message": "App has not been deployed yet."}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
