"""Bodies and answers of `core.app_api.inbox_previews`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.http.responses import Json


class PreviewOrder(TypedDict, total=False):
    """An order for 1 to 150 clients. `sample_data` is the data for Liquid, at most 128 KB."""

    client_ids: Required[list[str]]
    sample_data: dict[str, Json]
    lax_mode: bool
    name: str


class PreviewOrderAnswer(TypedDict, total=False):
    """The id of an order."""

    run_id: int
    replayed: bool


class Preview(TypedDict, total=False):
    """A screenshot, or the reason why there is none."""

    client_id: str
    display_name: str
    os: str
    browser: str
    category: str
    status: str
    cached: bool
    thumbnail: str
    full_thumbnail: str
    screenshots: dict[str, Json]
    error: dict[str, Json]


class PreviewJob(TypedDict, total=False):
    """An order with the screenshots that are finished."""

    run_id: int
    is_processed: bool
    client_ids: list[str]
    name: str
    created_at: int
    updated_at: int
    previews: list[Preview]
    total_previews_requested: int
    total_previews_ready: int
    total_previews_succeeded: int
    total_previews_cached: int
    total_previews_bounced: int


class MailClient(TypedDict, total=False):
    """A mail client on a device."""

    id: str
    client: str
    os: str
    browser: str
    category: str


class ClientsAnswer(TypedDict, total=False):
    """All mail clients."""

    clients: Required[list[MailClient]]


class PreviewCredits(TypedDict, total=False):
    """Credits with the same expiry."""

    credits_original: int
    credits_remaining: int
    expires_at: int | None


class CreditsAnswer(TypedDict, total=False):
    """All credits."""

    credits: Required[list[PreviewCredits]]
