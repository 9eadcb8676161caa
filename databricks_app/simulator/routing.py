"""From a request to the function that answers it.

The path templates are the vendor's, so that one table serves to route, to name what is not
imitated, and to be compared with the inventory of operations. Knows no HTTP server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote

from databricks_app.simulator.messages import ApiReply, ApiRequest, Json, Refused, Shape

if TYPE_CHECKING:
    from databricks_app.simulator.workspace import SimulatedWorkspace

Surface: TypeAlias = Literal["app", "pipelines", "simulator"]
RouteFunction: TypeAlias = "Callable[[SimulatedWorkspace, ApiRequest], Json | ApiReply]"


@dataclass(frozen=True, slots=True)
class Route:
    """An operation that is imitated.

    Attributes:
        operation: Its name in the vendor's specification.
        method: In capitals.
        path: The template, names in braces.
        handler: Answers it; a dictionary means 200.
        surface: Whose keys open it.
        shape: How its errors look.
        rate: Its class of `rates.RATES`; None: not limited.
    """

    operation: str
    method: str
    path: str
    handler: RouteFunction
    surface: Surface
    shape: Shape
    rate: str | None


class Routes:
    """The operations of one noun, gathered by decorating the functions that answer them."""

    def __init__(
        self, surface: Surface = "app", *, shape: Shape = "errors", rate: str | None = "default"
    ) -> None:
        self._surface: Surface = surface
        self._shape: Shape = shape
        self._rate = rate
        self.all: list[Route] = []

    def __call__(
        self, operation: str, method: str, path: str, *, rate: str | None = None
    ) -> Callable[[RouteFunction], RouteFunction]:
        """Answer an operation with the decorated function."""

        def add(handler: RouteFunction) -> RouteFunction:
            route = Route(
                operation, method, path, handler, self._surface, self._shape, rate or self._rate
            )
            self.all.append(route)
            return handler

        return add


@dataclass(frozen=True, slots=True)
class Known:
    """An operation of the vendor's that is not imitated."""

    operation: str
    method: str
    path: str


class Router:
    """Finds what answers a request."""

    def __init__(self, routes: list[Route], known: list[Known]) -> None:
        imitated = {route.operation for route in routes}
        others = [one for one in known if one.operation not in imitated]
        everything: list[Route | Known] = [*routes, *others]
        # A literal path goes before a template: /v1/customers/attributes is no person's page.
        everything.sort(key=lambda one: one.path.count("{"))
        self._table = [(_pattern(one.path), one) for one in everything]

    def find(self, method: str, path: str) -> tuple[Route | Known, dict[str, str]]:
        """Find the operation, and what stands in its path.

        Raises:
            Refused: 404 for an unknown path, 405 for an unknown method.
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


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
