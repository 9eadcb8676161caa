"""Routing: finds the function that answers a request.

The path templates are the vendor's, so that a test can compare the routes with the inventory of
operations. Imports no HTTP server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote

from databricks_app.simulator.messages import ApiReply, ApiRequest, ErrorShape, Json, Refused

if TYPE_CHECKING:
    from databricks_app.simulator.workspace import SimulatedWorkspace

Surface: TypeAlias = Literal["app", "pipelines", "simulator"]
RouteFunction: TypeAlias = "Callable[[SimulatedWorkspace, ApiRequest], Json | ApiReply]"


@dataclass(frozen=True, slots=True)
class Route:
    """An operation that the simulator supports.

    Attributes:
        operation: Its name in the vendor's specification.
        method: In upper case.
        path: The path template, with names in braces.
        handler: The function that answers it; a dictionary means status 200.
        surface: The API that it belongs to, which decides the keys that it accepts.
        shape: The form of its errors.
        rate: Its rate limit, a key of `rates.RATES`; None: no limit.
    """

    operation: str
    method: str
    path: str
    handler: RouteFunction
    surface: Surface
    shape: ErrorShape
    rate: str | None


class Routes:
    """The operations of one noun; each function that answers one is registered by decoration."""

    def __init__(
        self,
        surface: Surface = "app",
        *,
        shape: ErrorShape = "errors",
        rate: str | None = "default",
    ) -> None:
        self._surface: Surface = surface
        self._shape: ErrorShape = shape
        self._rate = rate
        self.all: list[Route] = []

    def __call__(
        self, operation: str, method: str, path: str, *, rate: str | None = None
    ) -> Callable[[RouteFunction], RouteFunction]:
        """Return a decorator that registers a function as the handler of an operation."""

        def add(handler: RouteFunction) -> RouteFunction:
            route = Route(
                operation, method, path, handler, self._surface, self._shape, rate or self._rate
            )
            self.all.append(route)
            return handler

        return add


@dataclass(frozen=True, slots=True)
class UnsupportedOperation:
    """An operation of the App API that the simulator does not support."""

    operation: str
    method: str
    path: str


class Router:
    """Finds the operation of a request."""

    def __init__(self, routes: list[Route], inventory: list[UnsupportedOperation]) -> None:
        """Prepare.

        Args:
            routes: The supported operations.
            inventory: All operations; those that have a route are ignored.
        """
        supported = {route.operation for route in routes}
        others = [one for one in inventory if one.operation not in supported]
        operations: list[Route | UnsupportedOperation] = [*routes, *others]
        # A literal path is matched before a template: `attributes` in /v1/customers/attributes is
        # not the id of a person.
        operations.sort(key=lambda one: one.path.count("{"))
        self._table = [
            (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", one.path)), one)
            for one in operations
        ]

    def find(self, method: str, path: str) -> tuple[Route | UnsupportedOperation, dict[str, str]]:
        """Find the operation, and the values of the names in its path template.

        Raises:
            Refused: 404, the path is unknown; 405, the path does not have this method.
        """
        has_path = False
        for pattern, one in self._table:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            has_path = True
            if one.method == method:
                return one, {name: unquote(text) for name, text in match.groupdict().items()}
        raise Refused(405, "method not allowed") if has_path else Refused(404, "not found")
