"""From a request to the function that answers it.

The path templates are the vendor's, so that one table serves to route, to name what is not
imitated, and to be compared with the inventory of operations. Knows no HTTP server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from databricks_app.errors import ReceiverError

if TYPE_CHECKING:
    from databricks_app.simulator.workspace import Workspace

Json: TypeAlias = dict[str, Any]
Surface: TypeAlias = Literal["app", "pipelines", "simulator"]
# Which kind of body an error has: a list, sends' one sentence, the Pipelines API's list.
Shape: TypeAlias = Literal["errors", "send", "pipelines"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request, read to its end.

    Attributes:
        method: In capitals.
        path: As it was sent, without the query.
        query: The last value of each name.
        headers: Names in lower case.
        body: Raw bytes.
        values: What stands in the path for each name of the template.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_target(
        cls, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Request:
        """Make a request of the parts of its first line."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, True).items()}
        return cls(method, parts.path, query, headers, body)

    def json(self) -> Json:
        """Read the body as a JSON object; an empty one is empty.

        Raises:
            Refused: 400, it is none.
        """
        try:
            value = json.loads(self.body or b"{}", parse_constant=_refuse)
        except ValueError as error:
            raise Refused(400, "the body is not JSON") from error
        if not isinstance(value, dict):
            raise Refused(400, "the body is not a JSON object")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        """Read a whole number of the query; more than the most is the most, as at the vendor.

        Raises:
            Refused: 400, it is no whole number.
        """
        text = self.query.get(name, "")
        if not text:
            return default
        if not re.fullmatch(r"\d{1,15}", text):
            raise Refused(400, f"{name} must be a whole number")
        return min(int(text), most)

    def id(self, name: str) -> int:
        """Read a number of the path.

        Raises:
            Refused: 404, it is none, so nothing has this id.
        """
        text = self.values[name]
        if not re.fullmatch(r"\d{1,15}", text):
            raise Refused(404, "not found")
        return int(text)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; a body of None has no bytes.

    Attributes:
        delay_seconds: How long the machine waits before it is given.
        hangs_up: Whether the connection is closed instead.
    """

    status: int = 200
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    hangs_up: bool = False


class Refused(ReceiverError):  # noqa: N818  # an answer of the vendor's, not a fault of ours
    """The request is answered with an error.

    Attributes:
        status: 400 or more.
        retry_after_seconds: For the header, where there is one.
    """

    def __init__(self, status: int, detail: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


Handler: TypeAlias = "Callable[[Workspace, Request], Json | Reply]"


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
    handler: Handler
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
    ) -> Callable[[Handler], Handler]:
        """Answer an operation with the decorated function."""

        def add(handler: Handler) -> Handler:
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


def error_reply(error: Refused, shape: Shape) -> Reply:
    """Word an error as the vendor does."""
    detail = str(error)
    bodies: dict[Shape, Json] = {
        "errors": {"errors": [{"status": str(error.status), "detail": detail}]},
        "send": {"meta": {"error": detail}},
        "pipelines": {"meta": {"errors": [detail]}},
    }
    seconds = error.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return Reply(error.status, bodies[shape], headers)


def page(items: list[Any], request: Request, default: int, most: int) -> tuple[list[Any], str]:
    """Cut the page that a request asks for; returns it and where the next one starts.

    `start` is opaque to clients; here it is a place in the list, marked with a letter.

    Raises:
        Refused: 400, `start` was not given out here.
    """
    limit = max(request.number("limit", default, most), 1)
    start = request.query.get("start", "")
    match = re.fullmatch(r"c(\d{1,12})", start)
    if start and match is None:
        raise Refused(400, "start is not a cursor of an earlier answer")
    first = int(match[1]) if match else 0
    rest = first + limit
    return items[first:rest], f"c{rest}" if rest < len(items) else ""


def _refuse(name: str) -> None:
    """Keep out NaN and Infinity, which Python would read and nobody else."""
    raise ValueError(name)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
