"""The other REST services of the double, tested through the unmodified SDK."""

from __future__ import annotations

import base64
import io

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    NotFound,
    OperationFailed,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.service.apps import (
    App,
    AppAccessControlRequest,
    AppDeployment,
    AppPermissionLevel,
)
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType
from databricks.sdk.service.sql import (
    ExecuteStatementRequestOnWaitTimeout,
    StatementParameterListItem,
    StatementState,
)
from databricks.sdk.service.workspace import AclPermission, ImportFormat, ObjectType

from tests.doubles import CLIENT_ID, WAREHOUSE_ID, Databricks, Fault


def test_catalogs_schemas_and_volumes_are_created(client: WorkspaceClient) -> None:
    """They are found and listed; creating one twice is refused."""
    client.catalogs.create("more")
    client.schemas.create("cio", "more", comment="said")
    client.volumes.create("more", "cio", "files", VolumeType.MANAGED)

    with pytest.raises(ResourceConflict, match="already exists"):
        client.volumes.create("more", "cio", "files", VolumeType.MANAGED)

    assert client.schemas.get("more.cio").comment == "said"
    assert [one.full_name for one in client.volumes.list("more", "cio")] == ["more.cio.files"]
    client.files.upload("/Volumes/more/cio/files/x", io.BytesIO(b"x"))
    client.volumes.delete("more.cio.files")
    with pytest.raises(NotFound):
        client.volumes.read("more.cio.files")


def test_the_catalog_shows_tables_with_columns(client: WorkspaceClient, double: Databricks) -> None:
    """A table created with SQL is found over REST."""
    double.workspace.engine.query("CREATE TABLE main.cio.t (a BIGINT NOT NULL COMMENT 'key')")

    found = client.tables.get("main.cio.t")

    assert client.tables.exists("main.cio.t").table_exists
    assert [one.name for one in client.tables.list("main", "cio")] == ["t"]
    column = (found.columns or [])[0]
    assert (column.name, column.type_text, column.nullable) == ("a", "bigint", False)


def test_grants_are_changed_and_read(client: WorkspaceClient) -> None:
    """Privileges are added and removed by principal."""
    add = [Privilege.USE_SCHEMA, Privilege.SELECT]
    client.grants.update("SCHEMA", "main.cio", changes=[PermissionsChange(add=add, principal="a")])
    change = PermissionsChange(remove=[Privilege.SELECT], principal="a")
    client.grants.update("SCHEMA", "main.cio", changes=[change])

    found = client.grants.get("SCHEMA", "main.cio").privilege_assignments or []

    assert [(one.principal, one.privileges) for one in found] == [("a", [Privilege.USE_SCHEMA])]


def test_secrets_are_stored(client: WorkspaceClient) -> None:
    """Secrets and their access control lists are put, listed, read and deleted."""
    client.secrets.create_scope("cio")
    client.secrets.put_secret("cio", "key", string_value="worth")
    client.secrets.put_acl("cio", CLIENT_ID, AclPermission.READ)

    with pytest.raises(ResourceAlreadyExists):
        client.secrets.create_scope("cio")

    assert [one.name for one in client.secrets.list_scopes()] == ["cio"]
    assert [one.key for one in client.secrets.list_secrets("cio")] == ["key"]
    value = client.secrets.get_secret("cio", "key").value or ""
    assert base64.b64decode(value) == b"worth"
    assert client.secrets.get_acl("cio", CLIENT_ID).permission == AclPermission.READ
    assert len(list(client.secrets.list_acls("cio"))) == 1
    client.secrets.delete_acl("cio", CLIENT_ID)
    client.secrets.delete_secret("cio", "key")
    with pytest.raises(ResourceDoesNotExist):
        client.secrets.get_secret("cio", "key")
    client.secrets.delete_scope("cio")
    with pytest.raises(ResourceDoesNotExist):
        list(client.secrets.list_secrets("cio"))


def test_service_principals_are_found_by_their_application_id(client: WorkspaceClient) -> None:
    """The SCIM filter supports equality."""
    made = client.service_principals.create(display_name="relay")

    found = list(client.service_principals.list(filter=f'applicationId eq "{made.application_id}"'))

    assert [one.display_name for one in found] == ["relay"]
    assert client.service_principals.get(made.id or "").active
    client.service_principals.delete(made.id or "")


def test_warehouses_are_stopped_and_started(client: WorkspaceClient) -> None:
    """The state and settings change with the calls."""
    assert [one.id for one in client.warehouses.list()] == [WAREHOUSE_ID]

    client.warehouses.stop(WAREHOUSE_ID)
    stopped = client.warehouses.get(WAREHOUSE_ID).state
    client.warehouses.start(WAREHOUSE_ID)
    client.warehouses.edit(WAREHOUSE_ID, auto_stop_mins=10)
    made = client.warehouses.create(name="other", cluster_size="2X-Small").response

    assert str(stopped) == "State.STOPPED"
    assert client.warehouses.get(WAREHOUSE_ID).auto_stop_mins == 10
    assert client.warehouses.get(made.id or "").name == "other"
    client.warehouses.delete(made.id or "")
    levels = client.permissions.get_permission_levels("warehouses", WAREHOUSE_ID)
    assert levels.permission_levels


def test_workspace_files_are_stored(client: WorkspaceClient) -> None:
    """Folders are created; files are uploaded, listed, read and deleted."""
    client.workspace.mkdirs("/Workspace/Users/a/app")
    path = "/Workspace/Users/a/app/x.py"
    client.workspace.upload(path, io.BytesIO(b"print()"), format=ImportFormat.RAW)

    with pytest.raises(ResourceAlreadyExists, match="already exists"):
        client.workspace.upload(path, io.BytesIO(b"other"), format=ImportFormat.RAW)
    with pytest.raises(NotFound, match="parent folder"):
        client.workspace.upload("/none/x.py", io.BytesIO(b""), format=ImportFormat.RAW)

    assert client.workspace.download(path).read() == b"print()"
    assert client.workspace.get_status(path).object_type == ObjectType.FILE
    assert [one.path for one in client.workspace.list("/Workspace/Users/a/app")] == [path]
    with pytest.raises(BadRequest, match="not empty"):
        client.workspace.delete("/Workspace/Users/a/app")
    client.workspace.delete("/Workspace/Users/a/app", recursive=True)
    with pytest.raises(ResourceDoesNotExist):
        client.workspace.get_status(path)


def test_an_app_is_created_deployed_and_deleted(
    client: WorkspaceClient, double: Databricks
) -> None:
    """An app has its own service principal, permissions, deployments and compute."""
    double.workspace.apps.urls["cio"] = "http://127.0.0.1:1"
    client.workspace.mkdirs("/Workspace/app")
    made = client.apps.create(App(name="cio", description="d")).result()

    deployment = AppDeployment(source_code_path="/Workspace/app")
    deployed = client.apps.deploy("cio", deployment).result()
    rule = AppAccessControlRequest(
        service_principal_name=CLIENT_ID, permission_level=AppPermissionLevel.CAN_USE
    )
    listed = client.apps.update_permissions("cio", access_control_list=[rule])
    client.apps.update("cio", App(name="cio", description="new"))

    found = client.apps.get("cio")
    assert made.service_principal_client_id in double.workspace.tokens.clients
    assert found.description == "new"
    assert found.url == "http://127.0.0.1:1"
    assert found.active_deployment is not None
    assert found.active_deployment.deployment_id == deployed.deployment_id
    assert str(found.app_status.state if found.app_status else "") == "ApplicationState.RUNNING"
    entries = listed.access_control_list or []
    assert [one.group_name or one.service_principal_name for one in entries] == [
        CLIENT_ID,
        "admins",
    ]
    assert len(list(client.apps.list_deployments("cio"))) == 1
    client.apps.stop("cio").result()
    client.apps.start("cio").result()
    client.apps.delete("cio")
    with pytest.raises(ResourceDoesNotExist):
        client.apps.get("cio")


def test_a_deployment_takes_time_and_can_fail(client: WorkspaceClient, double: Databricks) -> None:
    """The SDK polls its state; a failure has its message."""
    double.workspace.apps.control(deploy_seconds=0.5, deployment_fails="requirements.txt is bad")
    client.workspace.mkdirs("/Workspace/app")
    client.apps.create(App(name="cio")).result()

    waiting = client.apps.deploy("cio", AppDeployment(source_code_path="/Workspace/app"))

    assert str(waiting.response.status and waiting.response.status.state).endswith("IN_PROGRESS")
    with pytest.raises(OperationFailed, match=r"requirements\.txt is bad"):
        waiting.result()
    with pytest.raises(AlreadyExists):
        client.apps.create(App(name="cio"))


def test_a_failed_statement_is_a_state_and_no_http_error(client: WorkspaceClient) -> None:
    """The rows of a successful one are text."""
    run = client.statement_execution.execute_statement
    parameter = StatementParameterListItem(name="x", value="7", type="BIGINT")

    good = run("SELECT :x AS a, NULL AS b", WAREHOUSE_ID, parameters=[parameter])
    bad = run("SELECT * FROM none", WAREHOUSE_ID)

    assert good.result is not None
    assert good.result.data_array == [["7", None]]
    assert bad.status is not None
    assert bad.status.state == StatementState.FAILED
    assert bad.status.error is not None
    assert "TABLE_OR_VIEW_NOT_FOUND" in (bad.status.error.message or "")


def test_a_statement_is_polled_and_cancelled(client: WorkspaceClient, double: Databricks) -> None:
    """With `wait_timeout` 0s the answer comes at once; a hanging statement can be cancelled."""
    double.faults.set(Fault("statement_slow", statement="SELECT 1", seconds=None, times=None))
    timeout = ExecuteStatementRequestOnWaitTimeout.CONTINUE
    begun = client.statement_execution.execute_statement(
        "SELECT 1", WAREHOUSE_ID, wait_timeout="0s", on_wait_timeout=timeout
    )
    number = begun.statement_id or ""

    client.statement_execution.cancel_execution(number)

    status = client.statement_execution.get_statement(number).status
    assert status is not None
    assert status.state == StatementState.CANCELED
    with pytest.raises(BadRequest, match="wait_timeout"):
        client.statement_execution.execute_statement("SELECT 1", WAREHOUSE_ID, wait_timeout="3s")
