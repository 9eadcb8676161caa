"""SQL warehouses: their states, and how long they take to start.

A statement for a stopped warehouse starts it. While it starts, Thrift calls are answered 503 with
Retry-After, and the Statement Execution API keeps a statement PENDING. This is an assumption: no
document says what the proxy answers.

Not simulated: sizes, scaling, queues, costs, auto-stop by time (only a call stops a warehouse).
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.doubles.messages import Json, Refused, Request
from tests.doubles.routing import Routes

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()
_API = "/api/2.0/sql/warehouses"


@dataclass(slots=True)
class Warehouse:
    """One warehouse.

    Attributes:
        settings: The settings given by its creator: `name`, `cluster_size`, `auto_stop_mins`, ...
        start_seconds: How long it takes to start.
        is_stopped: Whether it is stopped.
        running_at: When it runs, in seconds of the monotonic clock.
        starts: How often it was started since it was created.
    """

    id: str
    settings: dict[str, Any]
    start_seconds: float = 0.0
    is_stopped: bool = False
    running_at: float = 0.0
    starts: int = 0

    @property
    def state(self) -> str:
        """The state, by the platform's name."""
        if self.is_stopped:
            return "STOPPED"
        return "RUNNING" if time.monotonic() >= self.running_at else "STARTING"

    def start(self) -> None:
        """Start it, if it is stopped."""
        if self.is_stopped:
            self.is_stopped = False
            self.starts += 1
            self.running_at = time.monotonic() + self.start_seconds

    def seconds_left(self) -> float:
        """Return the seconds until it runs."""
        return max(0.0, self.running_at - time.monotonic())

    def shown(self, host: str) -> dict[str, Any]:
        """Return the warehouse in the form of the API."""
        path = f"/sql/1.0/warehouses/{self.id}"
        return self.settings | {
            "id": self.id,
            "state": self.state,
            "num_clusters": int(self.state == "RUNNING"),
            "odbc_params": {"hostname": host, "path": path, "protocol": "https", "port": 443},
        }


@dataclass(slots=True)
class Warehouses:
    """All warehouses by id; one exists at the start.

    Attributes:
        least_auto_stop: Least `auto_stop_mins` but 0 that the API takes. The SDK's docstring says
            "Must be == 0 or >= 10 mins"; 1 is reported too.
        clamps: Whether a smaller value is accepted and raised, not refused.
    """

    held: dict[str, Warehouse] = field(default_factory=dict)
    least_auto_stop: int = 10
    clamps: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a call with the auto-stop that the platform keeps.

        Raises:
            Refused: The auto-stop is too short.
        """
        minutes = int(settings.get("auto_stop_mins", self.least_auto_stop))
        if 0 < minutes < self.least_auto_stop:
            if not self.clamps:
                text = f"auto_stop_mins must be 0 or at least {self.least_auto_stop}."
                raise Refused(400, "INVALID_PARAMETER_VALUE", text)
            return settings | {"auto_stop_mins": self.least_auto_stop}
        return settings

    def make(self, settings: dict[str, Any], id: str | None = None) -> Warehouse:
        """Add a running warehouse."""
        with self._lock:
            made = Warehouse(id or secrets.token_hex(8), settings)
            self.held[made.id] = made
        return made

    def get(self, id: str) -> Warehouse:  # the vendor's name
        """Return one warehouse.

        Raises:
            Refused: It does not exist.
        """
        found = self.held.get(id)
        if found is None:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"SQL warehouse {id} does not exist.")
        return found

    def control(
        self,
        id: str | None = None,
        *,
        stop: bool = False,
        start_seconds: float | None = None,
    ) -> None:
        """For tests: stop warehouses, or set how long they take to start; by default all."""
        for one in [self.get(id)] if id else list(self.held.values()):
            one.is_stopped = stop or one.is_stopped
            if start_seconds is not None:
                one.start_seconds = start_seconds


@routes.on("GET", _API, "warehouses.list")
def list_warehouses(workspace: Workspace, request: Request) -> Json:
    """List all warehouses."""
    host = request.headers["host"]
    return {"warehouses": [one.shown(host) for one in workspace.warehouses.held.values()]}


@routes.on("POST", _API, "warehouses.create")
def create(workspace: Workspace, request: Request) -> Json:
    """Create a warehouse; it runs at once."""
    made = workspace.warehouses.make(workspace.warehouses.checked(request.json()))
    return {"id": made.id}


@routes.on("GET", f"{_API}/{{id}}", "warehouses.get")
def get(workspace: Workspace, request: Request) -> Json:
    """Return one warehouse."""
    return workspace.warehouses.get(request.arguments["id"]).shown(request.headers["host"])


@routes.on("DELETE", f"{_API}/{{id}}", "warehouses.delete")
def delete(workspace: Workspace, request: Request) -> Json:
    """Delete a warehouse."""
    del workspace.warehouses.held[workspace.warehouses.get(request.arguments["id"]).id]


@routes.on("POST", f"{_API}/{{id}}/edit", "warehouses.edit")
def edit(workspace: Workspace, request: Request) -> Json:
    """Change the settings of a warehouse."""
    one = workspace.warehouses.get(request.arguments["id"])
    one.settings = one.settings | workspace.warehouses.checked(request.json())


@routes.on("POST", f"{_API}/{{id}}/start", "warehouses.start")
def start(workspace: Workspace, request: Request) -> Json:
    """Start a warehouse."""
    workspace.warehouses.get(request.arguments["id"]).start()


@routes.on("POST", f"{_API}/{{id}}/stop", "warehouses.stop")
def stop(workspace: Workspace, request: Request) -> Json:
    """Stop a warehouse."""
    workspace.warehouses.get(request.arguments["id"]).is_stopped = True
