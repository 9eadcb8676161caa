"""One workspace as the deployment sees it: looks, None for what is not there, files and SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.apps import App
from databricks.sdk.service.catalog import TableInfo
from databricks.sdk.service.iam import User
from databricks.sdk.service.sql import StatementParameterListItem, StatementResponse, StatementState

from databricks_app.databricks.workspace import FileEntry
from databricks_app.errors import DeploymentError
from databricks_app.operations.deployment.plan import Target

T = TypeVar("T")
_STATEMENT_SECONDS = 900.0
_TURNS_BETWEEN_WORDS = 5
_DENIALS = ("PERMISSION_DENIED", "INSUFFICIENT_PERMISSIONS", "does not have")


@dataclass(slots=True)
class TargetWorkspace:
    """The workspace and what is to be deployed in it.

    Attributes:
        client: The SDK, logged in as the deployer.
        target: What to deploy.
        seconds: Longest wait for the app.
        poll_seconds: Between two looks at something that takes a while.
        wait: How long a call for a statement waits for its end: `0s`, or `5s` to `50s`.
        on_progress: Gets a progress message every few looks: what is waited for.
    """

    client: WorkspaceClient
    target: Target
    seconds: float = 1200.0
    poll_seconds: float = 2.0
    wait: str = "50s"
    on_progress: Callable[[str], None] = lambda _: None
    _user: User | None = field(default=None, init=False)

    @property
    def user(self) -> User:
        """Who deploys; the user name of a service principal is its application id."""
        if self._user is None:
            self._user = self.client.current_user.me()
        return self._user

    @property
    def folder(self) -> str:
        """DatabricksWorkspace folder of this app: the source, and notes of what was done."""
        return f"/Workspace/Users/{self.user.user_name}/ciolake/{self.target.app}"

    def app(self) -> App | None:
        """The app, if there is one."""
        return found(lambda: self.client.apps.get(self.target.app))

    def columns(self) -> dict[str, frozenset[str]]:
        """Columns, lower case, of every table and view of the schema."""
        if found(lambda: self.client.schemas.get(self.target.schema_name)) is None:
            return {}
        return columns(self.client.tables.list(self.target.catalog, self.target.schema))

    def sql(self, statement: str, **parameters: str) -> list[list[str]]:
        """Run a statement in the schema and return its rows.

        Raises:
            DeploymentError: It failed, or takes too long.
            PermissionDenied: It failed for want of a right.
        """
        api = self.client.statement_execution
        answer = api.execute_statement(
            statement=statement,
            warehouse_id=self.target.warehouse_id,
            catalog=self.target.catalog,
            schema=self.target.schema,
            parameters=[
                StatementParameterListItem(name=name, value=value)
                for name, value in parameters.items()
            ],
            wait_timeout=self.wait,
        )
        until = time.monotonic() + _STATEMENT_SECONDS
        while answer.status and answer.status.state in {
            StatementState.PENDING,
            StatementState.RUNNING,
        }:
            if time.monotonic() > until:
                api.cancel_execution(str(answer.statement_id))
                raise DeploymentError(f"the warehouse took over {_STATEMENT_SECONDS:g} s")
            time.sleep(self.poll_seconds)
            answer = api.get_statement(str(answer.statement_id))
        if answer.status is None or answer.status.state is not StatementState.SUCCEEDED:
            raise _refusal(statement, answer)
        return (answer.result.data_array if answer.result else None) or []

    def get(self, path: str) -> bytes:
        """Read a file of a volume.

        Raises:
            FileNotFoundError: There is none.
        """
        try:
            contents = self.client.files.download(path).contents
        except NotFound:
            raise FileNotFoundError(path) from None
        if contents is None:
            return b""
        with contents:
            return contents.read()

    def entries(self, folder: str) -> Iterator[FileEntry]:
        """Yield what lies in a folder of a volume; nothing if there is no such folder."""
        try:
            for one in self.client.files.list_directory_contents(folder):
                yield FileEntry(str(one.name), one.file_size or 0, bool(one.is_directory))
        except NotFound:
            return

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Wait until a look finds something.

        Raises:
            DeploymentError: It took too long.
        """
        until = time.monotonic() + self.seconds
        for turn in count():
            if (seen := look()) is not None:
                return seen
            left = until - time.monotonic()
            if left <= 0:
                break
            if turn % _TURNS_BETWEEN_WORDS == 0:
                self.on_progress(f"waiting for {what}, at most {left:.0f} s more")
            time.sleep(min(left, self.poll_seconds))
        raise DeploymentError(f"waited {self.seconds:g} s for {what}")


def _refusal(statement: str, answer: StatementResponse) -> Exception:
    error = answer.status.error if answer.status else None
    said = str(error.message) if error else "it says nothing more"
    words = f"the warehouse refuses `{' '.join(statement.split())[:60]}`: {said}"
    is_denied = any(word in said for word in _DENIALS)
    return PermissionDenied(words) if is_denied else DeploymentError(words)


def columns(tables: Iterable[TableInfo]) -> dict[str, frozenset[str]]:
    """Columns, lower case, of each of these tables and views."""
    return {
        str(one.name): frozenset(str(column.name).lower() for column in one.columns or ())
        for one in tables
    }


def found(look: Callable[[], T]) -> T | None:
    """What a look finds; None where there is no such thing."""
    try:
        return look()
    except NotFound:
        return None
