"""Messages: deliveries of every campaign, newsletter and transactional message.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.messages import ArchivedMessageAnswer, Message, MessageAnswer

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.messages import Reached
    from core.app_api.types.metrics import Channel
    from core.values import Moment

_LIST = declare("listMessages", "GET", "/v1/messages")
_LIST_PAGING = Paging("start", "messages", max_limit=1_000)
_GET = declare("getMessage", "GET", "/v1/messages/{message_id}")
_ARCHIVED_MESSAGE = declare(
    "getArchivedMessage",
    "GET",
    "/v1/messages/{message_id}/archived_message",
    rate="archived_message",  # 100 calls a day
)


class Messages(Noun):
    """Deliveries of the workspace."""

    def list(
        self,
        *,
        start: str | None = None,
        limit: int | None = None,
        type: Channel | None = None,
        metric: Reached | None = None,
        drafts: bool | None = None,
        campaign_id: int | None = None,
        newsletter_id: int | None = None,
        action_id: int | None = None,
        start_ts: Moment | None = None,
        end_ts: Moment | None = None,
        transactional_id: int | None = None,
        trigger_id: int | None = None,
        template_id: int | None = None,
        content_id: int | None = None,
        associations: bool | None = None,
        get_tracked_responses: bool | None = None,
    ) -> Pages[Message]:
        """Iterate over the deliveries. A page has 50 by default, at most 1,000.

        `start_ts` and `end_ts` are times or Unix seconds. By default they are the last six months,
        which is also the maximum. `trigger_id` needs `campaign_id`.

        Operation: listMessages
        Page: https://docs.customer.io/integrations/api/app/tag/messages/listMessages/
        """
        return self._pages(
            _LIST,
            Message,
            _LIST_PAGING,
            query={
                "start": start,
                "limit": limit,
                "type": type,
                "metric": metric,
                "drafts": drafts,
                "campaign_id": campaign_id,
                "newsletter_id": newsletter_id,
                "action_id": action_id,
                "start_ts": start_ts,
                "end_ts": end_ts,
                "transactional_id": transactional_id,
                "trigger_id": trigger_id,
                "template_id": template_id,
                "content_id": content_id,
                "associations": associations,
                "get_tracked_responses": get_tracked_responses,
            },
        )

    def get(
        self,
        message_id: str,
        *,
        archived_message: bool | None = None,
        associations: bool | None = None,
        get_tracked_responses: bool | None = None,
    ) -> MessageAnswer:
        """Get one delivery.

        Args:
            message_id: The `delivery_id` of webhooks.
            archived_message: Whether to include the content that was sent.
            associations: Whether to include the campaign or other source of the delivery.
            get_tracked_responses: Whether to include tracked responses.

        Operation: getMessage
        Page: https://docs.customer.io/integrations/api/app/tag/messages/getMessage/
        """
        return self._call(
            _GET,
            MessageAnswer,
            path={"message_id": message_id},
            query={
                "archived_message": archived_message,
                "associations": associations,
                "get_tracked_responses": get_tracked_responses,
            },
        )

    def archived_message(self, message_id: str) -> ArchivedMessageAnswer:
        """Get the rendered content of a delivery; the vendor allows 100 calls a day.

        Raises:
            ThrottledError: This client has made 100 calls within the last 24 hours.

        Operation: getArchivedMessage
        Page: https://docs.customer.io/integrations/api/app/tag/messages/getArchivedMessage/
        """
        return self._call(_ARCHIVED_MESSAGE, ArchivedMessageAnswer, path={"message_id": message_id})
