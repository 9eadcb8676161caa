"""The steps of a release: the app with its resources, the relay's access, source, deployment."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from databricks.sdk.service.apps import (
    App,
    AppAccessControlRequest,
    AppDeployment,
    AppDeploymentMode,
    AppDeploymentState,
    AppPermissionLevel,
    AppResource,
    AppResourceSecret,
    AppResourceSecretSecretPermission,
    AppResourceSqlWarehouse,
    AppResourceSqlWarehouseSqlWarehousePermission,
    AppResourceUcSecurable,
    AppResourceUcSecurableUcSecurablePermission,
    AppResourceUcSecurableUcSecurableType,
    ComputeState,
)
from databricks.sdk.service.workspace import ImportFormat

from databricks_app.errors import DeploymentError
from databricks_app.operations.deployment import plan
from databricks_app.operations.deployment.runner import PlannedChange, Step
from databricks_app.operations.deployment.steps import put_times
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, found

_UPLOADS = 8


def steps(workspace: TargetWorkspace, files: Mapping[str, bytes]) -> tuple[Step, Step, Step, Step]:
    """Return the steps for app, relay access, source and deployment, in this order.

    Args:
        workspace: The target workspace.
        files: Content by path.
    """
    app, target = workspace.target.app, workspace.target
    manage = f"CAN MANAGE on the app {app}"
    return (
        Step(
            "app",
            f"the right to create apps, or {manage}; MANAGE on the secret scope {target.scope}, "
            f"CAN MANAGE on the warehouse {target.warehouse_id}, MANAGE on the volume "
            f"{target.volume_name}",
            partial(_app, workspace),
        ),
        Step("relay", manage, partial(_relay, workspace)),
        Step(
            "source",
            f"CAN MANAGE on the folder {workspace.folder}",
            partial(_source, workspace, files),
        ),
        Step("deployment", manage, partial(_deployment, workspace, files)),
    )


def resources(target: plan.Target) -> list[AppResource]:
    """Return the resources that app.yaml uses with `valueFrom`, and the volume."""
    levels = AppResourceSqlWarehouseSqlWarehousePermission
    return [
        AppResource(
            plan.WAREHOUSE_RESOURCE,
            sql_warehouse=AppResourceSqlWarehouse(
                target.warehouse_id, levels.CAN_MANAGE if target.stops else levels.CAN_USE
            ),
        ),
        AppResource(
            plan.KEYS_RESOURCE,
            secret=AppResourceSecret(
                target.scope, plan.KEYS_RESOURCE, AppResourceSecretSecretPermission.READ
            ),
        ),
        AppResource(
            plan.VOLUME_RESOURCE,
            uc_securable=AppResourceUcSecurable(
                target.volume_name,
                AppResourceUcSecurableUcSecurableType.VOLUME,
                AppResourceUcSecurableUcSecurablePermission.WRITE_VOLUME,
            ),
        ),
    ]


def lacking(target: plan.Target, app: App | None) -> list[AppResource]:
    """Return the resources that the app lacks or has differently; all without an app."""
    held = {one.name: one.as_dict() for one in (app.resources if app else None) or ()}
    return [one for one in resources(target) if one.as_dict() != held.get(one.name)]


def _app(workspace: TargetWorkspace) -> list[PlannedChange]:
    app, target = workspace.app(), workspace.target
    wanted = resources(target)
    description = "Receives Customer.io reporting webhooks."
    if app is None:
        new = App(target.app, description=description, resources=wanted)
        make = partial(workspace.client.apps.create, new)
        return [
            PlannedChange(f"create app {target.app}", make, is_creation=True),
            PlannedChange("wait for its compute", partial(_await_compute, workspace)),
        ]
    if _compute(app) is ComputeState.DELETING:
        raise DeploymentError(f"the app {target.app} is being deleted: run it again later")
    changes = []
    if missing := [str(one.name) for one in lacking(target, app)]:
        others = [one for one in app.resources or () if one.name not in {w.name for w in wanted}]
        new = App(target.app, description=app.description, resources=[*wanted, *others])
        update = partial(workspace.client.apps.update, target.app, new)
        changes.append(PlannedChange(f"give the app {', '.join(missing)}", update))
    if _compute(app) in {ComputeState.STOPPED, ComputeState.STOPPING, ComputeState.ERROR}:
        changes.append(
            PlannedChange("start its compute", partial(workspace.client.apps.start, target.app))
        )
    if _compute(app) is not ComputeState.ACTIVE:
        changes.append(PlannedChange("wait for its compute", partial(_await_compute, workspace)))
    return changes


def _compute(app: App) -> ComputeState | None:
    return app.compute_status.state if app.compute_status else None


def _await_compute(workspace: TargetWorkspace) -> None:
    def look() -> bool | None:
        app = workspace.app()
        if app is not None and _compute(app) is ComputeState.ERROR:
            reason = app.compute_status.message if app.compute_status else None
            raise DeploymentError(f"the app's compute failed: {reason or 'no reason given'}")
        return True if app is not None and _compute(app) is ComputeState.ACTIVE else None

    workspace.until("the app's compute", look)


def _relay(workspace: TargetWorkspace) -> list[PlannedChange]:
    target = workspace.target
    if not target.relay:
        return []
    permissions = found(lambda: workspace.client.apps.get_permissions(target.app))
    listed = (permissions.access_control_list if permissions else None) or []
    if any(one.service_principal_name == target.relay for one in listed):
        return []
    level = AppPermissionLevel.CAN_USE
    request = AppAccessControlRequest(service_principal_name=target.relay, permission_level=level)
    api = workspace.client.apps
    change = partial(api.update_permissions, target.app, access_control_list=[request])
    return [PlannedChange(f"grant CAN USE on the app to {target.relay}", change)]


def _source(workspace: TargetWorkspace, files: Mapping[str, bytes]) -> list[PlannedChange]:
    held = note(workspace, "uploaded.json")
    wanted = {path: plan.digest(content) for path, content in files.items()}
    changed = sorted(path for path in wanted if held.get(path) != wanted[path])
    stale = sorted(held.keys() - wanted.keys())
    if not changed and not stale:
        return []
    words = [f"upload {len(changed)} of {len(files)} files"] if changed else []
    words += [f"remove {len(stale)} files"] if stale else []
    upload = partial(_upload, workspace, {path: files[path] for path in changed}, stale, held)
    return [PlannedChange(" and ".join(words), upload)]


def _upload(
    workspace: TargetWorkspace,
    changed: Mapping[str, bytes],
    stale: list[str],
    held: Mapping[str, str],
) -> None:
    """Upload and remove source files, and note the digests of what is there."""
    # First remove the changed files from the note: after a crash they are uploaded again.
    kept = {path: name for path, name in held.items() if path not in changed}
    workspace.client.workspace.mkdirs(f"{workspace.folder}/source")
    put_note(workspace, "uploaded.json", kept)
    for folder in sorted({path.rpartition("/")[0] for path in changed} - {""}):
        workspace.client.workspace.mkdirs(f"{workspace.folder}/source/{folder}")
    for path in stale:
        found(partial(workspace.client.workspace.delete, f"{workspace.folder}/source/{path}"))
    with ThreadPoolExecutor(_UPLOADS) as pool:
        done = [
            pool.submit(_put, workspace, f"source/{path}", content)
            for path, content in changed.items()
        ]
        for one in done:
            one.result()
    names = {path: plan.digest(content) for path, content in changed.items()}
    left = {path: name for path, name in kept.items() if path not in stale}
    put_note(workspace, "uploaded.json", left | names)


def _deployment(workspace: TargetWorkspace, files: Mapping[str, bytes]) -> list[PlannedChange]:
    wanted = _fingerprint(workspace, files)
    app = workspace.app()
    active = app.active_deployment.deployment_id if app and app.active_deployment else None
    noted = note(workspace, "deployed.json")
    if active and noted == {"fingerprint": wanted, "deployment_id": active}:
        return []
    return [PlannedChange("deploy and wait until it runs", partial(_deploy, workspace, wanted))]


def _fingerprint(workspace: TargetWorkspace, files: Mapping[str, bytes]) -> str:
    given = json.dumps([one.as_dict() for one in resources(workspace.target)])
    digests = {path: plan.digest(content) for path, content in files.items()}
    return plan.fingerprint(digests, put_times(workspace), given)


def _deploy(workspace: TargetWorkspace, fingerprint: str) -> None:
    api, name = workspace.client.apps, workspace.target.app
    app = workspace.app()
    if app and app.pending_deployment:
        # An interrupted run started it. The platform accepts only one deployment at a time.
        _await_deployment(workspace, str(app.pending_deployment.deployment_id), may_fail=True)
    asked = AppDeployment(
        mode=AppDeploymentMode.SNAPSHOT, source_code_path=f"{workspace.folder}/source"
    )
    started: Any = api.deploy(name, asked).response
    deployment = str(started.deployment_id)
    _await_deployment(workspace, deployment)
    put_note(workspace, "deployed.json", {"fingerprint": fingerprint, "deployment_id": deployment})


def _await_deployment(
    workspace: TargetWorkspace, deployment: str, *, may_fail: bool = False
) -> None:
    def look() -> bool | None:
        status = workspace.client.apps.get_deployment(workspace.target.app, deployment).status
        state = status.state if status else None
        if state in {AppDeploymentState.FAILED, AppDeploymentState.CANCELLED} and not may_fail:
            url = (workspace.app() or App(workspace.target.app)).url
            raise DeploymentError(
                f"the deployment ended with {state.value}: {status.message if status else ''}. "
                f"See the app's log: {url}/logz"
            )
        return True if state not in {None, AppDeploymentState.IN_PROGRESS} else None

    workspace.until("the deployment", look)


def note(workspace: TargetWorkspace, name: str) -> dict[str, str]:
    """Read a note of an earlier run; empty if there is none, or it cannot be read."""
    path = f"{workspace.folder}/{name}"
    text = found(lambda: workspace.client.workspace.download(path).read())
    try:
        said = json.loads(text or b"{}")
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}


def put_note(workspace: TargetWorkspace, name: str, said: Mapping[str, str]) -> None:
    """Replace a note in the app's folder."""
    _put(workspace, name, json.dumps(said, indent=1).encode())


def _put(workspace: TargetWorkspace, path: str, content: bytes) -> None:
    workspace.client.workspace.upload(
        f"{workspace.folder}/{path}", io.BytesIO(content), format=ImportFormat.RAW, overwrite=True
    )
