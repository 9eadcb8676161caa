"""Bodies and answers of `core.app_api.exports`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.filters import Filter
from core.app_api.types.messages import Reached
from core.values import Moment


class Export(TypedDict, total=False):
    """An export; times are Unix seconds.

    `status` is first `pending`, then `done` or `failed`. `user_email` is the user who started
    it, `total` the number of rows.
    """

    id: Required[int]
    deduplicate_id: str
    type: str
    status: Required[str]
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

    export: Required[Export]


class ExportsAnswer(TypedDict, total=False):
    """All exports."""

    exports: Required[list[Export]]


class DownloadAnswer(TypedDict, total=False):
    """The URL of the file. Keep it secret while it is valid."""

    url: Required[str]


class CustomersExport(TypedDict):
    """The people to export."""

    filters: Filter


class DeliveriesFields(TypedDict, total=False):
    """The deliveries to export.

    Attributes:
        start: The start of the time range, Unix seconds.
        end: The end of the time range, Unix seconds.
        attributes: Attributes of the people, which become additional columns.
        metric: Only deliveries that reached this metric.
        drafts: Whether to include drafts.
    """

    start: Moment
    end: Moment
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
