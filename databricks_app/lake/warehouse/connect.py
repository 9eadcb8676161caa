"""Connects the lake to the volume and the SQL warehouse of a Databricks workspace.

The SQL connector is imported at the first session, because its import takes a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.sql_connect import statements
from databricks_app.databricks.volume_files import TimedFiles
from databricks_app.lake.warehouse.lease import Lease
from databricks_app.lake.warehouse.query import WarehouseQuery
from databricks_app.lake.warehouse.store import Place, WarehouseLake

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import DatabricksWorkspace
    from databricks_app.settings import Settings


def open_lake(
    workspace: DatabricksWorkspace,
    settings: Settings,
    timeout: CallTimeout,
    owner: str | None = None,
) -> WarehouseLake:
    """Make the lake of a workspace; it is not started.

    Args:
        workspace: The workspace.
        settings: Names of catalog, schema, volume and warehouse.
        timeout: Timeouts of the calls.
        owner: Name of this instance; see `Lease`.
    """
    lease = Lease(
        workspace,
        _lease_folder(settings),
        owner=owner,
        timeout=timeout,
        statement_seconds=timeout.statement_seconds,
        # Every machine with a local inbox has to load its own events.
        is_for_one_drain=settings.inbox == "local",
    )
    place = Place(settings.schema.lower(), settings.volume_path)
    run = statements(workspace, settings, timeout)
    files = TimedFiles(workspace, timeout)
    return WarehouseLake(run, files, lease, place)


def open_query(workspace: DatabricksWorkspace, settings: Settings) -> WarehouseQuery:
    """Make a query object for the tables of a workspace."""
    return WarehouseQuery(statements(workspace, settings, CallTimeout()))


def is_loading(workspace: DatabricksWorkspace, settings: Settings) -> bool:
    """Whether an instance may be loading; a dead owner counts until the next one takes over.

    Raises:
        LakeError: The volume cannot be read.
    """
    newest = Lease(workspace, _lease_folder(settings)).newest()
    # A lease for one drain may be taken again at any moment.
    return newest.is_for_one_drain or not newest.is_released


def _lease_folder(settings: Settings) -> str:
    return f"{settings.volume_path}/lease"
