"""Bodies and answers of `core.app_api.snippets`."""

from __future__ import annotations

from typing import TypedDict


class Snippet(TypedDict, total=False):
    """A snippet; `updated_at` in Unix seconds."""

    name: str
    value: str
    updated_at: int


class SnippetAnswer(TypedDict, total=False):
    """One snippet."""

    snippet: Snippet


class SnippetsAnswer(TypedDict, total=False):
    """All snippets."""

    snippets: list[Snippet]


class SnippetFields(TypedDict):
    """A snippet to write; its value has at most 16,000 characters, or more if the vendor agrees."""

    name: str
    value: str
