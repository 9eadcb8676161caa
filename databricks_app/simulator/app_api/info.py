"""Where webhooks come from."""

from __future__ import annotations

from databricks_app.simulator.messages import Json, Request
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import Workspace

routes = Routes()


@routes("getCioAllowlist", "GET", "/v1/info/ip_addresses")
def ip_addresses(_workspace: Workspace, _request: Request) -> Json:
    """The truth: the simulator sends from this machine, to this machine."""
    return {"ip_addresses": ["127.0.0.1"]}
