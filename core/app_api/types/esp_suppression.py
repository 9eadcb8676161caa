"""Bodies and answers of `core.app_api.esp_suppression`."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

Reason: TypeAlias = Literal["bounces", "spam_reports"]


class Suppression(TypedDict, total=False):
    """A suppressed address; `created` is in seconds since 1970."""

    created: int
    email: str
    reason: str
    status: str


class SuppressionsAnswer(TypedDict, total=False):
    """How an address is suppressed."""

    category: str
    suppressions: list[Suppression]


class SuppressionQuery(TypedDict, total=False):
    """What `esp_suppression.list` can be asked for."""

    limit: int
    offset: int
    domain: str
    email: str
