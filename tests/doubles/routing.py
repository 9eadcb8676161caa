"""Routes: the function that answers each method and path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.doubles.messages import Json, Refused, Request

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

Service = Callable[["Workspace", Request], Json]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation; with `is_open` it needs no token."""

    method: str
    pattern: re.Pattern[str]
    operation: str
    service: Service
    is_open: bool


@dataclass(slots=True)
class Routes:
    """The operations of one service, in the order in which they are tried."""

    routes: list[Route] = field(default_factory=list)

    def on(
        self, method: str, path: str, operation: str, *, is_open: bool = False
    ) -> Callable[[Service], Service]:
        """Return a decorator that registers a service.

        In the path, `{name}` is one part, `{name*}` is the whole rest.
        """
        pattern = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.*)", path)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)

        def register(service: Service) -> Service:
            self.routes.append(
                Route(method, re.compile(pattern, re.DOTALL), operation, service, is_open)
            )
            return service

        return register

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and the named parts of its path.

        Raises:
            Refused: The path does not exist, or not with this method.
        """
        is_known = False
        for route in self.routes:
            if found := route.pattern.fullmatch(path):
                if route.method == method:
                    return route, found.groupdict()
                is_known = True
        if is_known:
            raise Refused(405, "METHOD_NOT_ALLOWED", f"{method} is not possible for {path}.")
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")
