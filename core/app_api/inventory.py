"""The project's inventory of the App API: what the vendor documents, one entry an operation.

The client does not read it: its methods are checked against it by the tests, and the index beside
this file is made from both.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Required, TypedDict

PATH = Path(__file__).with_name("operations.json")


class Parameter(TypedDict, total=False):
    """A query parameter; `allowed` are the words that the vendor takes."""

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
    """A body, or one of several `variants`; `required` absent means that nothing is."""

    content_type: Required[str]
    variants: list[Fields]


class PagingStyle(TypedDict, total=False):
    """How it pages; see `core.app_api.paging.Paging`."""

    style: Required[Literal["start", "offset", "page", "cursor"]]
    items: Required[str]
    max_limit: int


class OperationEntry(TypedDict, total=False):
    """An operation.

    Attributes are as the vendor documents them, but for `noun` (the module that has it), `rate`
    (a class of `declarations.RATES`, `default` if absent) and `repeatable` (a POST that may be
    repeated). `uncertain` says what of it no stored copy of the documentation proves; `answer`
    are the keys of its answer, and `answer_type` what it answers with if that is no JSON.
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
    """An operation that has no method, and why."""

    id: str
    why: str


def entries() -> dict[str, OperationEntry]:
    """Return every operation that has, or is to have, a method; by its id."""
    found: list[OperationEntry] = json.loads(PATH.read_bytes())["operations"]
    return {entry["id"]: entry for entry in found}


def left_out() -> list[LeftOut]:
    """Return the operations that are known and have no method."""
    found: list[LeftOut] = json.loads(PATH.read_bytes())["left_out"]
    return found
