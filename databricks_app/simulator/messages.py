"""Requests and replies of the simulator, and the vendor's error bodies. Knows no HTTP server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from databricks_app.errors import ReceiverError

Json: TypeAlias = dict[str, Any]

# Which kind of body an error has: a list, sends' one sentence, the Pipelines API's list.
Shape: TypeAlias = Literal["errors", "send", "pipelines"]


@dataclass(frozen=True, slots=True)
class ApiRequest:
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
    ) -> ApiRequest:
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
class ApiReply:
    """An answer; a body of None has no bytes.

    Attributes:
        delay_seconds: How long the machine waits before it is given.
        hangs_up: Whether the connection is closed instead.
        content: A file instead of a body.
    """

    status: int = 200
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    hangs_up: bool = False
    content: bytes | None = field(default=None, repr=False)


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


def error_reply(error: Refused, shape: Shape) -> ApiReply:
    """Word an error as the vendor does."""
    detail = str(error)
    bodies: dict[Shape, Json] = {
        "errors": {"errors": [{"status": str(error.status), "detail": detail}]},
        "send": {"meta": {"error": detail}},
        "pipelines": {"meta": {"errors": [detail]}},
    }
    seconds = error.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return ApiReply(error.status, bodies[shape], headers)


def page(items: list[Any], request: ApiRequest, default: int, most: int) -> tuple[list[Any], str]:
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
