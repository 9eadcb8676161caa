"""Bodies and answers of `core.app_api.exports`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.filters import Filter
from core.app_api.types.messages import Reached


class Export(TypedDict, total=False):
    """An export; times in seconds since 1970.

    `status` is `pending`, and then `done` or `failed`. `user_email` is of the one who asked for
    it; `total` is how many rows it has.
    """

    id: int
    deduplicate_id: str
    type: str
    status: str
    failed: bool
    description: str
    total: int
    downloads: int
    user_id: int
    user_email: str
    created_at: int
    updated_at: int


class ExportAnswer(TypedDict, total=False):
    """One export."""

    export: Export


class ExportsAnswer(TypedDict, total=False):
    """All exports."""

    exports: list[Export]


class DownloadAnswer(TypedDict, total=False):
    """Where the file is: a secret as long as it is valid."""

    url: str


class CustomersExport(TypedDict):
    """Which people to export."""

    filters: Filter


class DeliveriesFields(TypedDict, total=False):
    """Which deliveries to export.

    Attributes:
        start: The second since 1970 from which they are.
        end: The second since 1970 up to which they are.
        attributes: Attributes of the people to add as columns.
        metric: Only deliveries that reached it.
        drafts: Whether drafts come along.
    """

    start: int
    end: int
    attributes: list[str]
    metric: Literal["created"] | Reached
    drafts: bool


class OfNewsletter(DeliveriesFields, total=False):
    """Deliveries of a newsletter."""

    newsletter_id: Required[int]


class OfCampaign(DeliveriesFields, total=False):
    """Deliveries of a campaign."""

    campaign_id: Required[int]


class OfTransactionalMessage(DeliveriesFields, total=False):
    """Deliveries of a template of transactional messages."""

    transactional_message_id: Required[int]


class OfAction(DeliveriesFields, total=False):
    """Deliveries of one step of a campaign."""

    action_id: Required[int]


DeliveriesExport: TypeAlias = OfNewsletter | OfCampaign | OfTransactionalMessage | OfAction
