"""The base class of the nouns: it calls operations through the HTTP client."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeVar, cast

import httpx2

from core.app_api.arguments import plain_body, plain_query
from core.app_api.paging import Pages, check_limit
from core.errors import ResponseError, ValidationError
from core.http.client import read_json
from core.json_encoder import json_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.app_api.paging import Paging
    from core.http.client import HttpClient
    from core.http.exchange import Operation
    from core.http.responses import Json, Response
    from core.http.urls import Scalar
    from core.values import Id

Answer = TypeVar("Answer")
Item = TypeVar("Item")


# https://docs.customer.io/integrations/api/app/tag/assets/
_MEDIA_TYPES = {
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".pdf": "application/pdf",
    ".png": "image/png",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file to upload.

    Attributes:
        name: The file name with its extension.
        content: The bytes of the file; the vendor's limit is 2 MB.
        content_type: The media type. Empty: that of the extension.
    """

    name: str
    content: bytes = field(repr=False)
    content_type: str = ""

    @property
    def media_type(self) -> str:
        """The media type to send: the vendor rejects `application/octet-stream`.

        Raises:
            ValidationError: No `content_type` is given, and the extension is unknown.
        """
        found = self.content_type or _MEDIA_TYPES.get(PurePath(self.name).suffix.lower(), "")
        if not found:
            known = ", ".join(_MEDIA_TYPES)
            raise ValidationError(
                f"must end with {known}, or `content_type` must be given", field="file.name"
            )
        return found


class Noun:
    """The base class of all nouns. It stores only the HTTP client."""

    __slots__ = ("_http",)

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def _call(
        self,
        operation: Operation,
        answer: type[Answer],  # noqa: ARG002  # the type of the result
        *,
        path: Mapping[str, Id] | None = None,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call an operation that answers with a JSON object.

        Args:
            operation: The operation.
            answer: The type of the answer. It is not checked: unknown fields are kept, and any
                field may be absent. An answer without a body is an empty dictionary.
            path: The ids in the path.
            query: The query parameters; None is left out.
            body: Sent as JSON; None sends no body.
            headers: Added to the headers of every call.

        Raises:
            ValidationError: An id is blank, or the body cannot be encoded. Nothing was sent.
            ResponseError: The call was accepted, but the answer is not a JSON object.
            CallError: The call failed; the subclass says how.
        """
        response = self._send(operation, path, query, body, headers)
        return cast("Answer", read_object(operation, response))

    def _done(
        self,
        operation: Operation,
        *,
        path: Mapping[str, Id] | None = None,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> None:
        """Call an operation and ignore the body of its answer; see `_call`."""
        self._send(operation, path, query, body)

    def _read(self, operation: Operation, *, path: Mapping[str, Id]) -> bytes:
        """Call an operation that answers with a file, such as an image; see `_call`."""
        return self._http.call(operation, path=path, headers={"accept": "*/*"}).body

    def _pages(
        self,
        operation: Operation,
        item: type[Item],  # noqa: ARG002  # the type of the result
        paging: Paging,
        *,
        path: Mapping[str, Id] | None = None,
        query: Mapping[str, object],
        body: Mapping[str, object] | None = None,
    ) -> Pages[Item]:
        """Return the pages of an operation; see `_call`. Nothing is sent yet.

        Raises:
            ValidationError: The limit is less than 1, or larger than the vendor's maximum.
        """
        plain = plain_query(query)
        check_limit(plain.get("limit"), paging.max_limit)
        start = plain.get(paging.style)

        def fetch(at: str | None) -> dict[str, Json]:
            page_query = {**plain, paging.style: at}
            return self._call(operation, dict[str, "Json"], path=path, query=page_query, body=body)

        return Pages(operation.name, paging, fetch, None if start is None else str(start))

    def _upload(
        self,
        operation: Operation,
        answer: type[Answer],  # noqa: ARG002  # the type of the result
        *,
        file: File,
        fields: Mapping[str, Scalar | None],
    ) -> Answer:
        """Upload a file as `multipart/form-data`; see `_call`.

        Args:
            operation: The operation.
            answer: The type of the answer.
            file: Sent as the part `file`.
            fields: The other parts; None is left out.
        """
        parts = {name: str(value) for name, value in fields.items() if value is not None}
        file_part = (file.name, file.content, file.media_type)
        # This request is not sent: httpx2 encodes the form, and `call` sends its content.
        form = httpx2.Request("POST", "http://form", data=parts, files={"file": file_part})
        response = self._http.call(
            operation,
            content=form.read(),
            headers={"content-type": form.headers["content-type"]},
        )
        return cast("Answer", read_object(operation, response))

    def _send(
        self,
        operation: Operation,
        path: Mapping[str, Id] | None,
        query: Mapping[str, object] | None,
        body: Mapping[str, object] | None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        content_type = {} if body is None else {"content-type": "application/json"}
        return self._http.call(
            operation,
            path=path,
            query=None if query is None else plain_query(query),
            content=b"" if body is None else json_bytes(plain_body(body), "body"),
            headers=content_type | dict(headers or {}),
        )


def read_object(operation: Operation, response: Response) -> dict[str, Json]:
    """Decode an answer that is a JSON object; without a body it is an empty dictionary.

    Raises:
        ResponseError: The answer is not a JSON object.
    """
    body = read_json(operation, response)
    if body is None:
        return {}
    if isinstance(body, dict):
        return body
    raise ResponseError(
        f"{operation.name}: accepted with status {response.status}, but the answer is not a JSON"
        " object. Check what the call did before you repeat it.",
        operation=operation.name,
        attempts=1,
    )
