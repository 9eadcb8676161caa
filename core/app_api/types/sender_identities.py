"""Bodies and answers of `core.app_api.sender_identities`."""

from __future__ import annotations

from typing import Literal, TypedDict


class SenderIdentityQuery(TypedDict, total=False):
    """What `sender_identities.list` can be asked for."""

    start: str
    limit: int
    sort: Literal["asc", "desc"]
    hidden: bool


class SenderIdentity(TypedDict, total=False):
    """A sender identity; `address` is name and e-mail address together."""

    id: int
    deduplicate_id: str
    name: str
    email: str
    address: str
    template_type: str
    auto_generated: bool


class SenderIdentityAnswer(TypedDict, total=False):
    """One sender identity."""

    sender_identity: SenderIdentity


class SenderUsage(TypedDict, total=False):
    """Ids of what uses a sender identity."""

    campaigns: list[int]
    sent_newsletters: list[int]
    draft_newsletters: list[int]
