"""The dispatcher: finds the handler of a request, and checks fault, key and rate limit first.

It does not know the HTTP server: `server` passes requests in.
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
from databricks_app.simulator.messages import ApiReply, ApiRequest, ErrorShape, Refused, error_reply
from databricks_app.simulator.routing import Route, Router, UnsupportedOperation
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
# The vendor does not list this send for service accounts.
_WHATSAPP = "/v1/send/whatsapp"
ROUTES: list[Route] = [
    route for routes in (*(noun.routes for noun in NOUNS), pipelines.routes) for route in routes.all
]


def inventory() -> list[UnsupportedOperation]:
    """Return every operation of the App API, from the inventory of the client in `core`."""
    file = resources.files("core") / "app_api" / "operations.json"
    rows = json.loads(file.read_text("utf-8"))["operations"]
    return [UnsupportedOperation(row["id"], row["method"], row["path"]) for row in rows]


class Dispatcher:
    """Answers requests to the App API, the Pipelines API and the simulator's own interface.

    Attributes:
        workspace: The state that the handlers read and change.
    """

    def __init__(self, workspace: SimulatedWorkspace, driver: Driver) -> None:
        self.workspace = workspace
        self._wake = driver.wake
        self._router = Router(
            [*ROUTES, *exports.files.all, *control.routes(driver).all], inventory()
        )

    def __call__(self, request: ApiRequest) -> ApiReply:
        """Answer a request."""
        shape: ErrorShape = "errors"
        try:
            route, values = self._router.find(request.method, request.path)
            if isinstance(route, Route):
                shape = route.shape
            return self._answer(route, replace(request, values=values))
        except Refused as error:
            return error_reply(error, shape)

    def _answer(self, route: Route | UnsupportedOperation, request: ApiRequest) -> ApiReply:
        if isinstance(route, Route) and route.surface == "simulator":
            answer = route.handler(self.workspace, request)  # this handler takes the lock itself
        else:
            with self.workspace.lock:
                answer = self._answer_as_vendor(route, request)
        self._wake()
        return answer if isinstance(answer, ApiReply) else ApiReply(200, answer)

    def _answer_as_vendor(
        self, route: Route | UnsupportedOperation, request: ApiRequest
    ) -> Json | ApiReply:
        """Answer as the vendor would, unless a fault says otherwise."""
        # A fault comes before the key check, so that a test can provoke it without a key.
        fault = self.workspace.faults.take(route.operation)
        if fault is not None:
            reply = fault.reply(
                "errors" if isinstance(route, UnsupportedOperation) else route.shape
            )
            if reply is not None:
                return reply
        keys = self.workspace.keys
        if isinstance(route, UnsupportedOperation):
            check_key("app", request, keys)
            raise Refused(501, f"the simulator does not support the operation {route.operation}")
        check_key(route.surface, request, keys)
        if route.rate is not None and self.workspace.options.has_rate_limits:
            elapsed = self.workspace.clock.elapsed()
            seconds = self.workspace.rates.wait_seconds(route.rate, elapsed)
            if seconds is not None:
                raise Refused(429, "too many requests", retry_after_seconds=seconds)
        answer = route.handler(self.workspace, request)
        if fault is None:
            return answer
        reply = answer if isinstance(answer, ApiReply) else ApiReply(200, answer)
        return replace(reply, delay_seconds=fault.delay_seconds)


def check_key(surface: Surface, request: ApiRequest, keys: Keys) -> None:
    """Check the key of a request.

    Raises:
        Refused: 401, the key is missing or wrong.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "basic":
        accepted = surface == "pipelines" and _basic_user(token) == keys.pipelines
    elif scheme.lower() == "bearer":
        valid = _bearer_tokens(surface, request, keys)
        accepted = any(hmac.compare_digest(token.encode(), key.encode()) for key in valid)
    else:
        accepted = False
    if not accepted:
        raise Refused(401, "unauthorized")


def _bearer_tokens(surface: Surface, request: ApiRequest, keys: Keys) -> list[str]:
    """Return the tokens that an operation accepts."""
    # A service account may only send, and its call must name the workspace in a header.
    if surface == "pipelines":
        return [keys.private, keys.public]
    is_named = request.headers.get("x-workspace-id") == str(WORKSPACE_ID)
    if is_named and request.path.startswith("/v1/send/") and request.path != _WHATSAPP:
        return [keys.app, keys.private, keys.service_account]
    return [keys.app, keys.private]


def _basic_user(token: str) -> str | None:
    """Return the user name of HTTP Basic; None if it cannot be read or has a password."""
    try:
        user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return None if password else user
