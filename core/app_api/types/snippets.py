"""Bodies and answers of `core.app_api.snippets`."""

from __future__ import annotations

from typing import Required, TypedDict


class Snippet(TypedDict, total=False):
    """A snippet; `updated_at` in Unix seconds."""

    name: Required[str]
    value: Required[str]
    updated_at: int


class SnippetAnswer(TypedDict, total=False):
    """One snippet."""

    snippet: Required[Snippet]


class SnippetsAnswer(TypedDict, total=False):
    """All snippets."""

    snippets: Required[list[Snippet]]


class SnippetFields(TypedDict):
    """A snippet to write; its value has at most 16,000 characters, or more if the vendor agrees."""

    name: str
    value: str
