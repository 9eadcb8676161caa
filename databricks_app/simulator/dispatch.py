"""From a request to an answer: fault, key, rate, then the operation's own function.

Knows no HTTP server: `server` hands requests in.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

from databricks_app.simulator import control, pipelines
from databricks_app.simulator.app_api import (
    broadcasts,
    campaigns,
    customers,
    esp_suppression,
    exports,
    imports,
    info,
    messages,
    newsletters,
    reporting_webhooks,
    segments,
    sends,
    transactional,
)
from databricks_app.simulator.messages import ApiReply, ApiRequest, Refused, Shape, error_reply
from databricks_app.simulator.routing import Known, Route, Router
from databricks_app.simulator.workspace import WORKSPACE_ID

if TYPE_CHECKING:
    from databricks_app.simulator.driver import Driver
    from databricks_app.simulator.messages import Json
    from databricks_app.simulator.routing import Surface
    from databricks_app.simulator.workspace import Keys, SimulatedWorkspace

NOUNS = (
    broadcasts,
    campaigns,
    customers,
    esp_suppression,
    exports,
    imports,
    info,
    messages,
    newsletters,
    reporting_webhooks,
    segments,
    sends,
    transactional,
)
_WHATSAPP = "/v1/send/whatsapp"  # not among the sends that the vendor lists for service accounts
ROUTES: list[Route] = [
    route for routes in (*(noun.routes for noun in NOUNS), pipelines.routes) for route in routes.all
]


def inventory() -> list[Known]:
    """Every operation of the App API, as the client's own inventory lists them."""
    file = resources.files("core") / "app_api" / "operations.json"
    rows = json.loads(file.read_text("utf-8"))["operations"]
    return [Known(row["id"], row["method"], row["path"]) for row in rows]


class Answering:
    """Answers requests to all three interfaces.

    Attributes:
        workspace: What is read and changed.
    """

    def __init__(self, workspace: SimulatedWorkspace, driver: Driver) -> None:
        self.workspace = workspace
        self._wake = driver.wake
        self._router = Router(
            [*ROUTES, *exports.files.all, *control.routes(driver).all], inventory()
        )

    def __call__(self, request: ApiRequest) -> ApiReply:
        """Answer a request."""
        shape: Shape = "errors"
        try:
            route, values = self._router.find(request.method, request.path)
            if isinstance(route, Route):
                shape = route.shape
            return self._answer(route, replace(request, values=values))
        except Refused as error:
            return error_reply(error, shape)

    def _answer(self, route: Route | Known, request: ApiRequest) -> ApiReply:
        if isinstance(route, Route) and route.surface == "simulator":
            answer = route.handler(self.workspace, request)  # it takes the lock by itself
        else:
            with self.workspace.lock:
                answer = self._guarded(route, request)
        self._wake()
        return answer if isinstance(answer, ApiReply) else ApiReply(200, answer)

    def _guarded(self, route: Route | Known, request: ApiRequest) -> Json | ApiReply:
        """Answer as the vendor would, unless a fault stands in the way."""
        fault = self.workspace.faults.take(route.operation)
        if fault is not None:
            reply = fault.reply("errors" if isinstance(route, Known) else route.shape)
            if reply is not None:
                return reply
        keys = self.workspace.keys
        if isinstance(route, Known):
            check_key("app", request, keys)
            raise Refused(501, f"the simulator does not imitate {route.operation}")
        check_key(route.surface, request, keys)
        self._count(route)
        answer = route.handler(self.workspace, request)
        if fault is None:
            return answer
        reply = answer if isinstance(answer, ApiReply) else ApiReply(200, answer)
        return replace(reply, delay_seconds=fault.delay_seconds)

    def _count(self, route: Route) -> None:
        if route.rate is None or not self.workspace.options.has_rate_limits:
            return
        seconds = self.workspace.rates.wait_seconds(route.rate, self.workspace.clock.passed())
        if seconds is not None:
            raise Refused(429, "too many requests", retry_after_seconds=seconds)


def check_key(surface: Surface, request: ApiRequest, keys: Keys) -> None:
    """Check the key of a request.

    Raises:
        Refused: 401.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "basic":
        accepted = surface == "pipelines" and _user(token) == keys.pipelines
    elif scheme.lower() == "bearer":
        every = _bearers(surface, request, keys)
        accepted = any(hmac.compare_digest(token.encode(), key.encode()) for key in every)
    else:
        accepted = False
    if not accepted:
        raise Refused(401, "unauthorized")


def _bearers(surface: Surface, request: ApiRequest, keys: Keys) -> list[str]:
    """The tokens that open an operation; a service account must name the workspace, and sends."""
    if surface == "pipelines":
        return [keys.private, keys.public]
    is_named = request.headers.get("x-workspace-id") == str(WORKSPACE_ID)
    if is_named and request.path.startswith("/v1/send/") and request.path != _WHATSAPP:
        return [keys.app, keys.private, keys.service_account]
    return [keys.app, keys.private]


def _user(token: str) -> str | None:
    """The user of HTTP Basic, where the password is empty."""
    try:
        user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return None if password else user
