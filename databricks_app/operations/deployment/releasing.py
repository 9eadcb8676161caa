"""The steps that bring out a version: the app with its resources, the source, the deployment."""

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
from databricks_app.operations.deployment.running import PlannedChange, Step
from databricks_app.operations.deployment.site import Site, found
from databricks_app.operations.deployment.steps import put_times

_UPLOADS = 8


def steps(site: Site, files: Mapping[str, bytes]) -> tuple[Step, Step, Step, Step]:
    """App, access of the relay, source and deployment, in this order.

    Args:
        site: Where.
        files: Content by path.
    """
    app, target = site.target.app, site.target
    manage = f"CAN MANAGE on the app {app}"
    return (
        Step(
            "app",
            f"the right to make apps, or {manage}; MANAGE on the secret scope {target.scope}, CAN "
            f"MANAGE on the warehouse {target.warehouse_id}, MANAGE on the volume "
            f"{target.volume_name}",
            partial(_app, site),
        ),
        Step("relay", manage, partial(_relay, site)),
        Step("source", f"CAN MANAGE on the folder {site.folder}", partial(_source, site, files)),
        Step("deployment", manage, partial(_deployment, site, files)),
    )


def resources(target: plan.Target) -> list[AppResource]:
    """What app.yaml names by `valueFrom`, and the volume."""
    return [
        AppResource(
            plan.WAREHOUSE_RESOURCE,
            sql_warehouse=AppResourceSqlWarehouse(
                target.warehouse_id, AppResourceSqlWarehouseSqlWarehousePermission.CAN_USE
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
    """Those that the app was not given yet, or otherwise; all without an app."""
    held = {one.name: one.as_dict() for one in (app.resources if app else None) or ()}
    return [one for one in resources(target) if one.as_dict() != held.get(one.name)]


def _app(site: Site) -> list[PlannedChange]:
    app, target = site.app(), site.target
    wanted = resources(target)
    description = "Receives Customer.io reporting webhooks."
    if app is None:
        new = App(target.app, description=description, resources=wanted)
        make = partial(site.client.apps.create, new)
        return [
            PlannedChange(f"create app {target.app}", make, is_creation=True),
            PlannedChange("wait for its compute", partial(_await_compute, site)),
        ]
    if _compute(app) is ComputeState.DELETING:
        raise DeploymentError(f"the app {target.app} is being deleted: run it again later")
    changes = []
    if missing := [str(one.name) for one in lacking(target, app)]:
        others = [one for one in app.resources or () if one.name not in {w.name for w in wanted}]
        new = App(target.app, description=app.description, resources=[*wanted, *others])
        update = partial(site.client.apps.update, target.app, new)
        changes.append(PlannedChange(f"give the app {', '.join(missing)}", update))
    if _compute(app) in {ComputeState.STOPPED, ComputeState.STOPPING, ComputeState.ERROR}:
        changes.append(
            PlannedChange("start its compute", partial(site.client.apps.start, target.app))
        )
    if _compute(app) is not ComputeState.ACTIVE:
        changes.append(PlannedChange("wait for its compute", partial(_await_compute, site)))
    return changes


def _compute(app: App) -> ComputeState | None:
    return app.compute_status.state if app.compute_status else None


def _await_compute(site: Site) -> None:
    def look() -> bool | None:
        app = site.app()
        if app is not None and _compute(app) is ComputeState.ERROR:
            said = app.compute_status.message if app.compute_status else None
            raise DeploymentError(f"the app's compute fails: {said or 'no reason is given'}")
        return True if app is not None and _compute(app) is ComputeState.ACTIVE else None

    site.until("the app's compute", look)


def _relay(site: Site) -> list[PlannedChange]:
    target = site.target
    if not target.relay:
        return []
    permissions = found(lambda: site.client.apps.get_permissions(target.app))
    listed = (permissions.access_control_list if permissions else None) or []
    if any(one.service_principal_name == target.relay for one in listed):
        return []
    level = AppPermissionLevel.CAN_USE
    request = AppAccessControlRequest(service_principal_name=target.relay, permission_level=level)
    api = site.client.apps
    change = partial(api.update_permissions, target.app, access_control_list=[request])
    return [PlannedChange(f"grant CAN USE on the app to {target.relay}", change)]


def _source(site: Site, files: Mapping[str, bytes]) -> list[PlannedChange]:
    held = note(site, "uploaded.json")
    wanted = {path: plan.digest(content) for path, content in files.items()}
    changed = sorted(path for path in wanted if held.get(path) != wanted[path])
    stale = sorted(held.keys() - wanted.keys())
    if not changed and not stale:
        return []
    words = [f"upload {len(changed)} of {len(files)} files"] if changed else []
    words += [f"remove {len(stale)} files"] if stale else []
    upload = partial(_upload, site, {path: files[path] for path in changed}, stale, held)
    return [PlannedChange(" and ".join(words), upload)]


def _upload(
    site: Site, changed: Mapping[str, bytes], stale: list[str], held: Mapping[str, str]
) -> None:
    """Change the remote source; its note never claims a content that is not there."""
    kept = {path: name for path, name in held.items() if path not in changed}
    site.client.workspace.mkdirs(f"{site.folder}/source")
    put_note(site, "uploaded.json", kept)
    for folder in sorted({path.rpartition("/")[0] for path in changed} - {""}):
        site.client.workspace.mkdirs(f"{site.folder}/source/{folder}")
    for path in stale:
        found(partial(site.client.workspace.delete, f"{site.folder}/source/{path}"))
    with ThreadPoolExecutor(_UPLOADS) as pool:
        done = [
            pool.submit(_put, site, f"source/{path}", content) for path, content in changed.items()
        ]
        for one in done:
            one.result()
    names = {path: plan.digest(content) for path, content in changed.items()}
    left = {path: name for path, name in kept.items() if path not in stale}
    put_note(site, "uploaded.json", left | names)


def _deployment(site: Site, files: Mapping[str, bytes]) -> list[PlannedChange]:
    wanted = _fingerprint(site, files)
    app = site.app()
    active = app.active_deployment.deployment_id if app and app.active_deployment else None
    noted = note(site, "deployed.json")
    if active and noted == {"fingerprint": wanted, "deployment_id": active}:
        return []
    return [PlannedChange("deploy and wait until it runs", partial(_deploy, site, wanted))]


def _fingerprint(site: Site, files: Mapping[str, bytes]) -> str:
    given = json.dumps([one.as_dict() for one in resources(site.target)])
    digests = {path: plan.digest(content) for path, content in files.items()}
    return plan.fingerprint(digests, put_times(site), given)


def _deploy(site: Site, fingerprint: str) -> None:
    api, name = site.client.apps, site.target.app
    app = site.app()
    if app and app.pending_deployment:  # of a run that was broken off; only one is taken at a time
        _await_deployment(site, str(app.pending_deployment.deployment_id), may_fail=True)
    asked = AppDeployment(mode=AppDeploymentMode.SNAPSHOT, source_code_path=f"{site.folder}/source")
    started: Any = api.deploy(name, asked).response
    deployment = str(started.deployment_id)
    _await_deployment(site, deployment)
    put_note(site, "deployed.json", {"fingerprint": fingerprint, "deployment_id": deployment})


def _await_deployment(site: Site, deployment: str, *, may_fail: bool = False) -> None:
    def look() -> bool | None:
        status = site.client.apps.get_deployment(site.target.app, deployment).status
        state = status.state if status else None
        if state in {AppDeploymentState.FAILED, AppDeploymentState.CANCELLED} and not may_fail:
            raise DeploymentError(
                f"the deployment ended as {state.value}: {status.message if status else ''}. "
                f"The app's log says more: {(site.app() or App(site.target.app)).url}/logz"
            )
        return True if state not in {None, AppDeploymentState.IN_PROGRESS} else None

    site.until("the deployment", look)


def note(site: Site, name: str) -> dict[str, str]:
    """What an earlier run noted; nothing if it noted nothing that can be read."""
    path = f"{site.folder}/{name}"
    text = found(lambda: site.client.workspace.download(path).read())
    try:
        said = json.loads(text or b"{}")
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}


def put_note(site: Site, name: str, said: Mapping[str, str]) -> None:
    """Replace a note of this deployer in the app's folder."""
    _put(site, name, json.dumps(said, indent=1).encode())


def _put(site: Site, path: str, content: bytes) -> None:
    site.client.workspace.upload(
        f"{site.folder}/{path}", io.BytesIO(content), format=ImportFormat.RAW, overwrite=True
    )
