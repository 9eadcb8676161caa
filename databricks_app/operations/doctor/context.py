"""The installation that is checked: its settings, its endpoint and its store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.webhooks.sender import Destination
from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.errors import SettingsError
from databricks_app.operations.webhooks.destination import URL_VARIABLE, local, parse
from databricks_app.operations.workspaces.app_api import AppApiOptions
from databricks_app.settings import Settings, from_environment

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import DatabricksWorkspace
    from databricks_app.lake.local.query import LocalQuery
    from databricks_app.lake.warehouse.query import WarehouseQuery

_STATEMENT_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How long checks wait, in seconds.

    Attributes:
        canary: For the canary's row.
        lease: For the owner of the lease to renew it; it does so every 10 s.
        answer: For the answer to a request.
        page: For /readyz to show a new state; its page is up to two seconds old.
    """

    canary: float = 60.0
    lease: float = 12.0
    answer: float = 5.0
    page: float = 2.5


@dataclass(frozen=True, slots=True)
class DoctorContext:
    """One installation, as the checks get it.

    Attributes:
        variables: The environment.
        settings: The settings in it.
        destination: Where Customer.io posts events to; None if that is unknown.
        is_public: Whether the user named `destination`, as the address that Customer.io uses.
        workspace: The Databricks workspace; None for local tables.
        limits: How long checks wait.
        app_api: Access to the App API; without a workspace in it, all workspaces are checked.
        now: Returns the time in Unix seconds.
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
        """The Databricks workspace; only for checks of that store."""
        assert self.workspace is not None  # noqa: S101  # run.py runs these for Databricks only
        return self.workspace

    def warehouse(self) -> WarehouseQuery:
        """Return queries to the warehouse; every call shares the same sessions."""
        if not self._queries:
            from databricks_app.databricks.sql_connect import statements
            from databricks_app.lake.warehouse.query import WarehouseQuery

            timeout = CallTimeout(call_seconds=_STATEMENT_SECONDS)
            self._queries.append(WarehouseQuery(statements(self.remote, self.settings, timeout)))
        return self._queries[0]

    def tables(self) -> LocalQuery | WarehouseQuery:
        """Return queries over the tables of the store."""
        from databricks_app.lake.local.query import LocalQuery

        return LocalQuery(self.settings.data_dir) if self.workspace is None else self.warehouse()

    def close(self) -> None:
        """Close sessions and connections."""
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
    """Read the settings and prepare connections, without a network call.

    Args:
        variables: The environment, see `settings.environment`.
        url: Where Customer.io posts events to. The default is CIO_RELAY_URL, then the receiver on
            this machine.
        limits: How long checks wait.
        app_api: Access to the App API.
        now: Returns the time in Unix seconds.

    Raises:
        SettingsError: A setting or the URL is not valid; the text says which and why.
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
    # With tables in Databricks the receiver mostly runs on another machine.
    is_here = settings.inbox == "local" and settings.inbox_dir.is_dir()
    if settings.store == "databricks" and not (settings.is_databricks_app or is_here):
        return None
    try:
        return local(variables)
    except SettingsError:
        return None
