"""The IP addresses from which webhooks are sent."""

from __future__ import annotations

from databricks_app.simulator.messages import ApiRequest, Json
from databricks_app.simulator.routing import Routes
from databricks_app.simulator.workspace import SimulatedWorkspace

routes = Routes()


@routes("getCioAllowlist", "GET", "/v1/info/ip_addresses")
def ip_addresses(_workspace: SimulatedWorkspace, _request: ApiRequest) -> Json:
    """Return the loopback address: the simulator sends from this machine."""
    return {"ip_addresses": ["127.0.0.1"]}
