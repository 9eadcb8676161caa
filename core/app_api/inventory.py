"""The inventory of the App API: one entry for each operation that the vendor documents.

The client does not read it. Tests compare its methods with the inventory, and the index (README.md
beside this file) is generated from both.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Required, TypedDict

PATH = Path(__file__).with_name("operations.json")


class Parameter(TypedDict, total=False):
    """A query parameter; `allowed` are its allowed values."""

    type: Required[Literal["string", "integer", "boolean"]]
    required: bool
    min: int
    max: int
    allowed: list[str]


class Fields(TypedDict, total=False):
    """The fields of a body and their types."""

    required: dict[str, str]
    optional: dict[str, str]


class RequestBody(Fields, total=False):
    """A body, or one of several `variants`. Without `required`, no field is required."""

    content_type: Required[str]
    variants: list[Fields]


class PagingStyle(TypedDict, total=False):
    """How an operation is paged; see `core.app_api.paging.Paging`."""

    style: Required[Literal["start", "offset", "page", "cursor"]]
    items: Required[str]
    max_limit: int


class OperationEntry(TypedDict, total=False):
    """An operation as the vendor documents it.

    Attributes that are not the vendor's:
        noun: The module with its method.
        rate: A class of `declarations.RATES`; absent: `default`.
        repeatable: A POST that may be repeated.
        uncertain: What the documentation does not prove.
        answer: The keys of the answer and their types.
        answer_type: The media type of an answer that is not JSON.
    """

    id: Required[str]
    method: Required[str]
    path: Required[str]
    tag: Required[str]
    noun: Required[str]
    path_params: Required[dict[str, str]]
    path_words: dict[str, list[str]]
    query: dict[str, Parameter]
    body: RequestBody
    paging: PagingStyle
    rate: str
    repeatable: bool
    uncertain: str
    page: str
    status: Required[int]
    answer: dict[str, str]
    answer_type: str


class LeftOut(TypedDict):
    """An operation without a method, and why it has none."""

    id: str
    why: str


def entries() -> dict[str, OperationEntry]:
    """Return every operation that must have a method, by its id."""
    found: list[OperationEntry] = json.loads(PATH.read_bytes())["operations"]
    return {entry["id"]: entry for entry in found}


def left_out() -> list[LeftOut]:
    """Return the known operations without a method."""
    found: list[LeftOut] = json.loads(PATH.read_bytes())["left_out"]
    return found
