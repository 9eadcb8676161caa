"""Connections of a command to Databricks; click closes them when the command ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databricks_app.databricks.workspace import DatabricksWorkspace
    from databricks_app.lake.warehouse.query import WarehouseQuery
    from databricks_app.settings import Settings


def open_workspace(variables: Mapping[str, str]) -> DatabricksWorkspace:
    """Return the workspace that the environment names, until the command ends.

    Raises:
        SettingsError: The host cannot be used.
    """
    from databricks_app.databricks.workspace import connect

    workspace = connect(variables)
    click.get_current_context().call_on_close(workspace.close)
    return workspace


def open_tables(workspace: DatabricksWorkspace, settings: Settings) -> WarehouseQuery:
    """Return queries over the tables of a workspace, until the command ends."""
    from databricks_app.lake.warehouse.connect import open_query

    query = open_query(workspace, settings)
    click.get_current_context().call_on_close(query.statements.close)
    return query
