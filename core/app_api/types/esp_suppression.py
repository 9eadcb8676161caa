"""Bodies and answers of `core.app_api.esp_suppression`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

Reason: TypeAlias = Literal["blocks", "bounces", "spam_reports", "invalid_emails"]


class Suppression(TypedDict, total=False):
    """A suppressed address; `created` is in Unix seconds."""

    created: int
    email: Required[str]
    reason: str
    status: str


class SuppressionsAnswer(TypedDict, total=False):
    """The suppressions of an address."""

    category: str
    suppressions: Required[list[Suppression]]
