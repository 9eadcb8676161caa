"""What the checks look at: the settings, the endpoint, and the store behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.webhooks.sender import Destination
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.errors import SettingsError
from databricks_app.operations.webhooks.destination import local, parse
from databricks_app.operations.workspaces.app_api import AppApiOptions
from databricks_app.settings import Settings, from_environment

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import DatabricksWorkspace
    from databricks_app.lake.local.query import LocalQuery
    from databricks_app.lake.warehouse.query import WarehouseQuery

URL_VARIABLE = "CIO_RELAY_URL"
_STATEMENT_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How long is waited, in seconds.

    Attributes:
        canary: For the canary's row.
        lease: For a sign of life of the instance that loads; it gives one every 10 s.
    """

    canary: float = 60.0
    lease: float = 12.0


@dataclass(frozen=True, slots=True)
class DoctorContext:
    """One installation.

    Attributes:
        variables: The environment.
        settings: What it says.
        destination: Where events are posted to; None if that is not known.
        is_public: Whether `destination` was named, as the address that Customer.io uses.
        workspace: Of the store `databricks`.
        limits: How long is waited.
        app_api: Where Customer.io is asked; of all workspaces if it names none.
        now: Unix seconds.
    """

    variables: Mapping[str, str] = field(repr=False)
    settings: Settings
    destination: Destination | None
    is_public: bool
    workspace: DatabricksWorkspace | None
    limits: WaitLimits = WaitLimits()
    app_api: AppApiOptions = field(default_factory=AppApiOptions)
    now: Callable[[], float] = time.time
    _queries: list[WarehouseQuery] = field(default_factory=list)

    @property
    def remote(self) -> DatabricksWorkspace:
        """The workspace, for checks of the store `databricks`."""
        assert self.workspace is not None  # noqa: S101  # such checks are of no other store
        return self.workspace

    def warehouse(self) -> WarehouseQuery:
        """Queries to the warehouse; its sessions are used again."""
        if not self._queries:
            from databricks_app.databricks.sql_connect import statements
            from databricks_app.lake.warehouse.query import WarehouseQuery

            timeout = CallTimeout(call_seconds=_STATEMENT_SECONDS)
            self._queries.append(WarehouseQuery(statements(self.remote, self.settings, timeout)))
        return self._queries[0]

    def tables(self) -> LocalQuery | WarehouseQuery:
        """Queries over the tables of the store."""
        from databricks_app.lake.local.query import LocalQuery

        return LocalQuery(self.settings.data_dir) if self.workspace is None else self.warehouse()

    def close(self) -> None:
        """End sessions and connections."""
        for query in self._queries:
            query.statements.close()
        if self.workspace is not None:
            self.workspace.close()


def open_context(
    variables: Mapping[str, str],
    url: str | None = None,
    *,
    limits: WaitLimits | None = None,
    app_api: AppApiOptions | None = None,
    now: Callable[[], float] = time.time,
) -> DoctorContext:
    """Read the settings and join the workspace; nothing is waited for.

    Args:
        variables: The environment, see `settings.environment`.
        url: Where Customer.io posts to; otherwise CIO_RELAY_URL, otherwise this machine's receiver.
        limits: How long is waited.
        app_api: Where Customer.io is asked.
        now: Unix seconds.

    Raises:
        SettingsError: A setting or the URL cannot be used; says which and why.
    """
    settings = from_environment(variables)
    url = url or variables.get(URL_VARIABLE)
    destination = parse(url) if url else _receiver_here(variables, settings)
    workspace = None
    if settings.store == "databricks":
        from databricks_app.databricks.workspace import connect

        workspace = connect(variables)
    return DoctorContext(
        variables,
        settings,
        destination,
        bool(url),
        workspace,
        limits or WaitLimits(),
        app_api or AppApiOptions(),
        now,
    )


def _receiver_here(variables: Mapping[str, str], settings: Settings) -> Destination | None:
    # With tables elsewhere the receiver mostly runs elsewhere as well.
    if settings.store == "databricks" and not settings.is_databricks_app:
        return None
    try:
        return local(variables)
    except SettingsError:
        return None
