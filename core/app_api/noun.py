"""What a noun's methods are made of: one expression each, over the shared HTTP client."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

import httpx2

from core.app_api.paging import Pages, check_limit
from core.errors import ResponseError, ValidationError
from core.http.client import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.app_api.paging import Paging
    from core.http.client import HttpClient
    from core.http.exchange import Operation
    from core.http.responses import Json, Response
    from core.http.urls import Query, Scalar

Answer = TypeVar("Answer")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class File:
    """A file to upload.

    Attributes:
        name: With its extension, by which the vendor knows what it is.
        content: All of it; the vendor's limit is 2 MB.
        content_type: Its media type.
    """

    name: str
    content: bytes = field(repr=False)
    content_type: str = "application/octet-stream"


class Noun:
    """The base of all nouns; keeps the client's connections, and nothing else."""

    __slots__ = ("_http",)

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def _call(
        self,
        operation: Operation,
        answer: type[Answer],  # noqa: ARG002  # names the type that the caller gets
        *,
        path: Mapping[str, str | int] | None = None,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call an operation that answers with an object.

        Args:
            operation: What to call.
            answer: The type of its answer, which is not checked: unknown fields are kept, and
                any may be absent. An answer without a body is an empty object.
            path: Its ids.
            query: Its query; None is left out.
            body: What to send as JSON; None sends nothing.
            headers: Beside those of every call.

        Raises:
            ValidationError: An id is blank, or the body is no JSON. Nothing was sent.
            ResponseError: Accepted, but the answer is no JSON object.
            CallError: One of its other kinds.
        """
        response = self._send(operation, path, query, body, headers)
        return cast("Answer", read_object(operation, response))

    def _done(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str | int] | None = None,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> None:
        """Call an operation that answers with nothing worth reading; see `_call`."""
        self._send(operation, path, query, body)

    def _read(self, operation: Operation, *, path: Mapping[str, str | int]) -> bytes:
        """Call an operation that answers with a file, such as an image; see `_call`."""
        return self._http.call(operation, path=path, headers={"accept": "*/*"}).body

    def _pages(
        self,
        operation: Operation,
        item: type[Item],  # noqa: ARG002  # names the type that the caller gets
        paging: Paging,
        *,
        path: Mapping[str, str | int] | None = None,
        query: Mapping[str, object],
        body: Mapping[str, object] | None = None,
    ) -> Pages[Item]:
        """Prepare a walk through an operation that pages; see `_call`.

        Raises:
            ValidationError: The limit is below 1, or over what the vendor gives.
        """
        check_limit(query.get("limit"), paging.max_limit)
        start = query.get(paging.style)

        def fetch(at: str | None) -> dict[str, Json]:
            there = dict(query) | {paging.style: at}
            return self._call(operation, dict[str, "Json"], path=path, query=there, body=body)

        return Pages(operation.name, paging, fetch, None if start is None else str(start))

    def _upload(
        self,
        operation: Operation,
        answer: type[Answer],  # noqa: ARG002  # names the type that the caller gets
        *,
        file: File,
        fields: Mapping[str, Scalar | None],
    ) -> Answer:
        """Call an operation that takes a file as `multipart/form-data`; see `_call`.

        Args:
            operation: What to call.
            answer: The type of its answer.
            file: Sent as the part `file`.
            fields: The other parts; None is left out.
        """
        parts = {name: str(value) for name, value in fields.items() if value is not None}
        named = (file.name, file.content, file.content_type)
        form = httpx2.Request("POST", "http://form", data=parts, files={"file": named})
        response = self._http.call(
            operation,
            content=form.read(),
            headers={"content-type": form.headers["content-type"]},
        )
        return cast("Answer", read_object(operation, response))

    def _send(
        self,
        operation: Operation,
        path: Mapping[str, str | int] | None,
        query: Mapping[str, object] | None,
        body: Mapping[str, object] | None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        kind = {} if body is None else {"content-type": "application/json"}
        return self._http.call(
            operation,
            path=path,
            # Each method's signature says what may be in it; mypy takes no TypedDict for a Query.
            query=cast("Query | None", query),
            content=b"" if body is None else encoded(body),
            headers=kind | dict(headers or {}),
        )


def encoded(body: Mapping[str, object]) -> bytes:
    """Encode a body as JSON.

    Raises:
        ValidationError: It holds what JSON cannot say; the text does not hold the value.
    """
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        # The cause is left out: its text may quote the value.
        kind = type(error).__name__
        raise ValidationError(f"holds what JSON cannot say ({kind})", field="body") from None


def read_object(operation: Operation, response: Response) -> dict[str, Json]:
    """Read an answer that is an object; an absent body is an empty one.

    Raises:
        ResponseError: It is no JSON, or no object.
    """
    body = read_json(operation, response)
    if body is None:
        return {}
    if isinstance(body, dict):
        return body
    raise ResponseError(
        f"{operation.name}: accepted with status {response.status}, but the answer is no JSON"
        " object. Do not repeat it blindly.",
        operation=operation.name,
        attempts=1,
    )
