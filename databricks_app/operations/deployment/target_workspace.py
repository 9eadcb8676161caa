"""The target workspace of a deployment: its objects, its files and SQL statements."""

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
_POLLS_BETWEEN_MESSAGES = 5
_DENIALS = ("PERMISSION_DENIED", "INSUFFICIENT_PERMISSIONS", "does not have")


@dataclass(slots=True)
class TargetWorkspace:
    """The target workspace and what to deploy in it.

    Attributes:
        client: The SDK, logged in as the deployer.
        target: What to deploy.
        seconds: Longest wait for the app.
        poll_seconds: Pause between two polls.
        wait: How long the call that starts a statement waits for its end: `0s`, or `5s` to `50s`.
        on_progress: Gets a progress message every few polls.
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
        """The deployer; the user name of a service principal is its application id."""
        if self._user is None:
            self._user = self.client.current_user.me()
        return self._user

    @property
    def folder(self) -> str:
        """Workspace folder of this app, with its source and the notes of earlier runs."""
        return f"/Workspace/Users/{self.user.user_name}/ciolake/{self.target.app}"

    def app(self) -> App | None:
        """Read the app; None if it does not exist."""
        return found(lambda: self.client.apps.get(self.target.app))

    def columns(self) -> dict[str, frozenset[str]]:
        """Return the columns, in lower case, of every table and view of the schema."""
        if found(lambda: self.client.schemas.get(self.target.schema_name)) is None:
            return {}
        return columns(self.client.tables.list(self.target.catalog, self.target.schema))

    def sql(self, statement: str, **parameters: str) -> list[list[str]]:
        """Run a statement in the schema and return its rows.

        Raises:
            DeploymentError: It failed or took too long.
            PermissionDenied: A right is missing.
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
            raise _statement_error(statement, answer)
        return (answer.result.data_array if answer.result else None) or []

    def get(self, path: str) -> bytes:
        """Read a file of a volume.

        Raises:
            FileNotFoundError: It does not exist.
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
        """Yield the entries of a folder in a volume; none if it does not exist."""
        try:
            for one in self.client.files.list_directory_contents(folder):
                yield FileEntry(str(one.name), one.file_size or 0, bool(one.is_directory))
        except NotFound:
            return

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        """Poll until `look` returns something other than None.

        Args:
            what: What is waited for, for progress messages.
            look: Is called at every poll.

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
            if turn % _POLLS_BETWEEN_MESSAGES == 0:
                self.on_progress(f"waiting for {what}, at most {left:.0f} s more")
            time.sleep(min(left, self.poll_seconds))
        raise DeploymentError(f"waited {self.seconds:g} s for {what}")


def _statement_error(statement: str, answer: StatementResponse) -> Exception:
    error = answer.status.error if answer.status else None
    reason = str(error.message) if error else "no reason given"
    words = f"the statement `{' '.join(statement.split())[:60]}` failed: {reason}"
    is_denied = any(word in reason for word in _DENIALS)
    return PermissionDenied(words) if is_denied else DeploymentError(words)


def columns(tables: Iterable[TableInfo]) -> dict[str, frozenset[str]]:
    """Return the columns, in lower case, of each of these tables and views."""
    return {
        str(one.name): frozenset(str(column.name).lower() for column in one.columns or ())
        for one in tables
    }


def found(look: Callable[[], T]) -> T | None:
    """Call `look`; return None if the object does not exist."""
    try:
        return look()
    except NotFound:
        return None
