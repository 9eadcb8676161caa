"""A Databricks workspace and SQL warehouse on loopback, for the unmodified client libraries."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from tests.doubles.faults import FaultSwitches
from tests.doubles.routing import Routes
from tests.doubles.server import Server
from tests.doubles.warehouse import rest, thrift
from tests.doubles.warehouse.statements import Engine
from tests.doubles.workspace import (
    apps,
    catalogs,
    files,
    identity,
    secret_scopes,
    tokens,
    tree,
    warehouses,
)
from tests.doubles.workspace.limits import Limits
from tests.doubles.workspace.state import Workspace

WAREHOUSE_ID = "double"
CLIENT_ID, CLIENT_SECRET = "00000000-0000-4000-8000-000000000001", "double-secret"
TOKEN, USER = "dapi-double", "admin@example.com"
_SERVICES = (tokens, files, catalogs, secret_scopes, identity, warehouses, apps, tree, rest, thrift)


class Databricks:
    """The double; a context manager that answers inside the `with` block.

    One warehouse, one service principal and one personal access token exist at the start.

    Attributes:
        workspace: Its state, for tests to read and to seed.
        faults: Fault switches and counters.
        port: Its port on 127.0.0.1.
    """

    def __init__(
        self,
        folder: Path,
        *,
        volume: str | None = None,
        port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        """Prepare; it listens only inside the `with` block.

        Args:
            folder: The folder for volumes, tables and workspace files.
            volume: A volume `catalog.schema.volume` to create, with its catalog and schema.
            port: The port to listen on; 0: any free port.
            limits: Limits of calls and sizes; None: those of the platform.
        """
        self.workspace = Workspace(folder, limits=limits or Limits())
        self.faults: FaultSwitches = self.workspace.switches
        self.port = port
        self._server: Server | None = None
        workspace = self.workspace
        workspace.engine = Engine(workspace)
        workspace.describe = thrift.describe
        made = {"name": "Double", "cluster_size": "2X-Small", "auto_stop_mins": 5}
        workspace.warehouses.make(made | {"enable_serverless_compute": True}, WAREHOUSE_ID)
        workspace.tokens.clients[CLIENT_ID] = CLIENT_SECRET
        workspace.tokens.personal[TOKEN] = USER
        workspace.identities.make("double", CLIENT_ID)
        if volume:
            workspace.catalog.seed(volume)

    def __enter__(self) -> Databricks:
        """Start answering."""
        routes = Routes([route for service in _SERVICES for route in service.routes.routes])
        self._server = Server(self.workspace, routes, self.port)
        self.port = self._server.server_port
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop answering, and close the socket."""
        if self._server is not None:
            self._server.close()
        self.workspace.engine.close()

    @property
    def url(self) -> str:
        """URL of the workspace."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def http_path(self) -> str:
        """Path of the warehouse."""
        return f"/sql/1.0/warehouses/{WAREHOUSE_ID}"

    @property
    def connection_uri(self) -> str:
        """Value for the connector's argument `_connection_uri`."""
        return self.url + self.http_path

    def environment(self) -> dict[str, str]:
        """Return the environment for the SDK and the product, as the service principal."""
        return {
            "DATABRICKS_HOST": self.url,
            "DATABRICKS_CLIENT_ID": CLIENT_ID,
            "DATABRICKS_CLIENT_SECRET": CLIENT_SECRET,
            "DATABRICKS_WAREHOUSE_ID": WAREHOUSE_ID,
        }
