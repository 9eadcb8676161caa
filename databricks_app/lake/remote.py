"""Joins the lake to a Databricks workspace: its volume, and its warehouse through SQL.

The SQL connector is imported at the first session: it takes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2

from databricks_app.errors import LakeError
from databricks_app.lake.lease import Lease
from databricks_app.lake.patience import Patience, silence
from databricks_app.lake.sessions import Session, Statements
from databricks_app.lake.warehouse import Place, WarehouseLake
from databricks_app.lake.warehouse_query import WarehouseQuery
from databricks_app.workspace_token import Token, TokenError

if TYPE_CHECKING:
    from databricks_app.settings import Settings
    from databricks_app.workspace import Entry, Workspace

T = TypeVar("T")

_HTTP = "http://"
_TOKEN_SECONDS = 30.0
_STATE_SECONDS = 10.0
_FILE_SECONDS = 60.0
# Of one request: the server answers before a long statement has ended, and is asked again.
_REQUEST_SECONDS = 60
_RETRY_SECONDS = 60
# The connector would wait 60 s after any 503.
_RETRY_PAUSE_SECONDS = 5
# It repeats without a word, and what it met is to be told; `Statements` repeats as well.
_RETRIES = 2
# A longer pause between loads is there to let the warehouse stop (the least auto-stop is a minute).
_SESSION_SECONDS = 60.0


def open_lake(
    workspace: Workspace, settings: Settings, patience: Patience, holder: str | None = None
) -> WarehouseLake:
    """Make a lake of this workspace, not started.

    Args:
        workspace: Where it is.
        settings: Name its parts.
        patience: Limits of its calls.
        holder: Name of this instance; see `Lease`.
    """
    lease = Lease(workspace, _lease_folder(settings), holder=holder, patience=patience)
    place = Place(settings.schema.lower(), settings.volume_path)
    run = statements(workspace, settings, patience)
    keeps = settings.flush_interval_seconds <= _SESSION_SECONDS
    files = PatientFiles(workspace, patience)
    return WarehouseLake(run, files, lease, place, keeps_sessions=keeps)


def open_query(workspace: Workspace, settings: Settings) -> WarehouseQuery:
    """Make a reader of the tables."""
    return WarehouseQuery(statements(workspace, settings, Patience()))


def is_loading(workspace: Workspace, settings: Settings) -> bool:
    """Whether an instance holds the lease; one that has died holds it until it is followed.

    Raises:
        LakeError: The volume cannot be read.
    """
    return not Lease(workspace, _lease_folder(settings)).newest().is_released


def statements(workspace: Workspace, settings: Settings, patience: Patience) -> Statements:
    """Statements to the warehouse of the settings."""
    login = _Login(workspace)
    return Statements(
        connect=_connect(login, settings, patience),
        patience=patience,
        state=lambda: login.state(settings.warehouse_id),
        renew=login.renew,
    )


def _lease_folder(settings: Settings) -> str:
    return f"{settings.volume_path}/lease"


@dataclass(frozen=True, slots=True)
class PatientFiles:
    """The files of a workspace, each call within the writer's limits.

    Attributes:
        workspace: Whose.
        patience: The limits.
    """

    workspace: Workspace
    patience: Patience

    def put(
        self, path: str, content: bytes, *, overwrite: bool, seconds: float = _FILE_SECONDS
    ) -> None:
        """See `Workspace.put`."""
        self._run(
            lambda: self.workspace.put(path, content, overwrite=overwrite, seconds=seconds),
            "a put into the volume",
        )

    def get(self, path: str) -> bytes:
        """See `Workspace.get`."""
        return self._run(lambda: self.workspace.get(path), "a read from the volume")

    def names(self, folder: str) -> list[str]:
        """See `Workspace.names`."""
        return self._run(lambda: self.workspace.names(folder), "a look into the volume")

    def entries(self, folder: str) -> Iterator[Entry]:
        """See `Workspace.entries`."""
        return iter(
            self._run(lambda: list(self.workspace.entries(folder)), "a look into the volume")
        )

    def delete(self, path: str) -> None:
        """See `Workspace.delete`."""
        self._run(lambda: self.workspace.delete(path), "a removal from the volume")

    def delete_folder(self, path: str) -> None:
        """See `Workspace.delete_folder`."""
        self._run(lambda: self.workspace.delete_folder(path), "a removal from the volume")

    def _run(self, call: Callable[[], T], what: str) -> T:
        return self.patience.run(call, what, why=silence)


class _Login:
    """The token in use, as the connector wants it."""

    def __init__(self, workspace: Workspace) -> None:
        self.host = workspace.host
        self._tokens = workspace.tokens
        self._token: Token | None = None

    def headers(self) -> dict[str, str]:
        """Headers of one request."""
        try:
            self._token = self._tokens.get(_TOKEN_SECONDS)
        except TokenError as error:
            raise LakeError(str(error)) from error
        return {"Authorization": f"Bearer {self._token.text}"}

    def renew(self) -> None:
        """Use the refused token no more."""
        if self._token is not None:
            self._tokens.refuse(self._token)

    def state(self, warehouse_id: str) -> str | None:
        """What the workspace says of a warehouse, e.g. `STARTING`."""
        url = f"{self.host}/api/2.0/sql/warehouses/{warehouse_id}"
        try:
            answer = httpx2.get(url, headers=self.headers(), timeout=_STATE_SECONDS)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return "DELETED"
            return str(answer.json()["state"]) if answer.is_success else None
        except (httpx2.HTTPError, LakeError, ValueError, KeyError, TypeError):
            return None


def _connect(login: _Login, settings: Settings, patience: Patience) -> Callable[[], Session]:
    """Return what opens a session in the schema of the tables."""
    path = f"/sql/1.0/warehouses/{settings.warehouse_id}"
    # The connector puts https:// before every host; one without TLS is a test's.
    plain = {"_connection_uri": login.host + path} if login.host.startswith(_HTTP) else {}
    options: dict[str, Any] = {
        "server_hostname": login.host.partition("://")[2],
        "http_path": path,
        "credentials_provider": lambda: login.headers,
        "catalog": settings.catalog,
        "schema": settings.schema,
        "session_configuration": {
            "TIMEZONE": "UTC",
            # What is abandoned here must end there too.
            "STATEMENT_TIMEOUT": str(int(patience.call_seconds) + 1),
        },
        "user_agent_entry": "ciolake",
        "enable_telemetry": False,
        # Answers are small; from cloud storage they would need another way out.
        "use_cloud_fetch": False,
        "_socket_timeout": _REQUEST_SECONDS,
        "_retry_delay_max": _RETRY_PAUSE_SECONDS,
        "_retry_stop_after_attempts_count": _RETRIES,
        "_retry_stop_after_attempts_duration": _RETRY_SECONDS,
        **plain,
    }

    def connect() -> Session:
        if not settings.warehouse_id:
            raise LakeError("No SQL warehouse is named: set DATABRICKS_WAREHOUSE_ID.")
        login.headers()  # the connector would keep to itself why there is no token
        from databricks_app.lake.connector import OwnConnection

        return OwnConnection(**options)

    return connect
