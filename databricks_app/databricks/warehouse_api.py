"""The SQL warehouse through its REST API: state, auto-stop, tags, running queries, stop.

None of these calls is a statement, so none of them starts a stopped warehouse.

Sources: https://docs.databricks.com/api/workspace/warehouses and
https://docs.databricks.com/api/workspace/queryhistory/list
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.errors import LakeError

if TYPE_CHECKING:
    from databricks_app.databricks.workspace import DatabricksWorkspace

# `ciolake deploy` gives this tag to a warehouse that it makes for the loader alone.
TAG, TAG_VALUE = "ciolake", "loader"
RUNNING = "RUNNING"
_CALL_SECONDS = 10.0
_HISTORY = "/api/2.0/sql/history/queries"
# The statuses of the filter that are documented for a query that has not ended. The history knows
# more of them, so the newest queries are looked at too.
_UNDER_WAY = ("RUNNING", "QUEUED")
_ENDED = frozenset(("CANCELED", "FAILED", "FINISHED"))
_NEWEST = 100


@dataclass(frozen=True, slots=True)
class WarehouseDescription:
    """What the workspace says about a warehouse.

    Attributes:
        state: RUNNING, STOPPED, STARTING, ...
        auto_stop_seconds: Idle time after which it stops; 0 if it never does, None if unknown.
        is_for_loader: Whether it has the tag of a warehouse that was made for the loader.
    """

    state: str
    auto_stop_seconds: float | None = None
    is_for_loader: bool = False


@dataclass(frozen=True, slots=True)
class WarehouseApi:
    """One warehouse.

    Attributes:
        workspace: Its workspace.
        id: Its id.
        timeout: Limits of the calls.
    """

    workspace: DatabricksWorkspace
    id: str
    timeout: CallTimeout = field(default_factory=CallTimeout)

    def describe(self) -> WarehouseDescription:
        """Return its state and settings.

        Raises:
            LakeError: The workspace does not say.
        """
        found = self._call("GET", self._path)
        minutes = found.get("auto_stop_mins")
        tags = (found.get("tags") or {}).get("custom_tags") or ()
        return WarehouseDescription(
            state=str(found.get("state")),
            auto_stop_seconds=None if minutes is None else float(minutes) * 60,
            is_for_loader=any(
                one.get("key") == TAG and one.get("value") == TAG_VALUE for one in tags
            ),
        )

    def has_queries(self) -> bool:
        """Tell whether a query runs or waits on it, as far as our identity may see queries.

        Raises:
            LakeError: The workspace does not say.
        """
        mine: dict[str, str | int] = {"filter_by.warehouse_ids": self.id}
        for status in _UNDER_WAY:
            asked = urlencode({**mine, "filter_by.statuses": status, "max_results": 1})
            if self._call("GET", f"{_HISTORY}?{asked}").get("res"):
                return True
        newest = self._call("GET", f"{_HISTORY}?{urlencode({**mine, 'max_results': _NEWEST})}")
        return any(one.get("status") not in _ENDED for one in newest.get("res") or ())

    def stop(self) -> None:
        """Stop it; queries that run on it are cancelled.

        Raises:
            LakeError: It is unknown whether it stops.
        """
        self._call("POST", f"{self._path}/stop")

    @property
    def _path(self) -> str:
        return f"/api/2.0/sql/warehouses/{self.id}"

    def _call(self, method: str, path: str) -> dict[str, Any]:
        answer = self.timeout.run(
            lambda: self.workspace.request(method, path, _CALL_SECONDS),
            "a call about the warehouse",
        )
        if answer.status_code == HTTPStatus.FORBIDDEN:
            raise LakeError(
                f"no permission for warehouse {self.id}: grant CAN USE, and with "
                "CIO_WAREHOUSE_STOP=on CAN MANAGE, to the service principal"
            )
        if not answer.is_success:
            raise LakeError(
                f"the workspace does not answer about warehouse {self.id} (HTTP "
                f"{answer.status_code}): check DATABRICKS_WAREHOUSE_ID"
            )
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LakeError(f"the answer about warehouse {self.id} does not follow its API")
        return found
