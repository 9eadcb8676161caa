"""Bodies and answers of `core.app_api.sender_identities`."""

from __future__ import annotations

from typing import Required, TypedDict


class SenderIdentity(TypedDict, total=False):
    """A sender identity; `address` has the name and the e-mail address."""

    id: Required[int]
    deduplicate_id: str
    name: str
    email: str
    address: str
    template_type: str
    auto_generated: bool


class SenderIdentityAnswer(TypedDict, total=False):
    """One sender identity."""

    sender_identity: Required[SenderIdentity]


class SenderUsage(TypedDict, total=False):
    """The ids of campaigns and newsletters that use a sender identity."""

    campaigns: list[int]
    sent_newsletters: list[int]
    draft_newsletters: list[int]
