"""Opens SQL sessions on a warehouse, with the tokens of the workspace."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx2

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.sql_sessions import Session, Statements
from databricks_app.databricks.token import Token
from databricks_app.errors import LakeError, TokenError

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import DatabricksWorkspace
    from databricks_app.settings import Settings

_HTTP = "http://"

_TOKEN_SECONDS = 30.0

_STATE_SECONDS = 10.0

# Limit of one HTTP request. A long statement takes several: the connector polls.
_REQUEST_SECONDS = 60

_RETRY_SECONDS = 60

# Without this limit the connector waits 60 s after any 503.
_RETRY_PAUSE_SECONDS = 5

# Few, because the connector logs nothing when it retries. `Statements` retries too, and reports.
_RETRIES = 2


def statements(
    workspace: DatabricksWorkspace, settings: Settings, timeout: CallTimeout
) -> Statements:
    """Return the statement runner for the warehouse of the settings."""
    login = _Login(workspace)
    return Statements(
        connect=_connect(login, settings, timeout),
        timeout=timeout,
        state=lambda: login.state(settings.warehouse_id),
        renew=login.renew,
    )


class _Login:
    """The current token, in the form that the connector needs."""

    def __init__(self, workspace: DatabricksWorkspace) -> None:
        self.host = workspace.host
        self._tokens = workspace.tokens
        self._token: Token | None = None
        self._refused: Token | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers of one request."""
        refused, self._refused = self._refused, None
        try:
            self._token = self._tokens.get(_TOKEN_SECONDS, other_than=refused)
        except TokenError as error:
            raise LakeError(str(error)) from error
        return {"Authorization": f"Bearer {self._token.text}"}

    def renew(self, is_certain: bool) -> None:
        """Replace the token, which the workspace has refused.

        Args:
            is_certain: Whether the refusal is about the token; otherwise it may be.
        """
        token = self._token
        if token is not None and self._tokens.refuse(token, is_certain=is_certain):
            self._refused = token

    def state(self, warehouse_id: str) -> str | None:
        """Return the state of a warehouse, e.g. `STARTING`; None if it is unknown."""
        url = f"{self.host}/api/2.0/sql/warehouses/{warehouse_id}"
        try:
            answer = httpx2.get(url, headers=self.headers(), timeout=_STATE_SECONDS)
            if self._is_renewed(answer):
                answer = httpx2.get(url, headers=self.headers(), timeout=_STATE_SECONDS)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return "DELETED"
            return str(answer.json()["state"]) if answer.is_success else None
        except (httpx2.HTTPError, LakeError, ValueError, KeyError, TypeError):
            return None

    def _is_renewed(self, answer: httpx2.Response) -> bool:
        token = self._token
        if token is None or not self._tokens.refuse_after(token, answer.status_code, answer.text):
            return False
        self._refused = token
        return True


def _connect(login: _Login, settings: Settings, timeout: CallTimeout) -> Callable[[], Session]:
    """Return a function that opens a session in the schema of the tables."""
    path = f"/sql/1.0/warehouses/{settings.warehouse_id}"
    # The connector puts https:// before every host; only the tests have a host without TLS.
    plain = {"_connection_uri": login.host + path} if login.host.startswith(_HTTP) else {}
    options: dict[str, Any] = {
        "server_hostname": login.host.partition("://")[2],
        "http_path": path,
        "credentials_provider": lambda: login.headers,
        "catalog": settings.catalog,
        "schema": settings.schema,
        "session_configuration": {
            "TIMEZONE": "UTC",
            # A statement that we abandon must end on the warehouse too.
            "STATEMENT_TIMEOUT": str(timeout.statement_seconds),
        },
        "user_agent_entry": "ciolake",
        "enable_telemetry": False,
        # Results are small. Cloud fetch would need network access to the cloud storage too.
        "use_cloud_fetch": False,
        "_socket_timeout": _REQUEST_SECONDS,
        "_retry_delay_max": _RETRY_PAUSE_SECONDS,
        "_retry_stop_after_attempts_count": _RETRIES,
        "_retry_stop_after_attempts_duration": _RETRY_SECONDS,
        **plain,
    }

    def connect() -> Session:
        if not settings.warehouse_id:
            raise LakeError("No SQL warehouse is configured: set DATABRICKS_WAREHOUSE_ID.")
        login.headers()  # raises the reason for a missing token, which the connector would hide
        # Imported here: the SQL connector takes a second to import.
        from databricks_app.databricks.sql_connector import OwnConnection

        return OwnConnection(**options)

    return connect
