"""Messages: deliveries of every campaign, newsletter and transactional message.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.messages import ArchivedMessageAnswer, Message, MessageAnswer, MessageQuery

if TYPE_CHECKING:
    from core.app_api.paging import Pages

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

    def list(self, **query: Unpack[MessageQuery]) -> Pages[Message]:
        """Iterate over the deliveries. A page has 50 by default, at most 1,000.

        The time range is `start_ts` to `end_ts` in Unix seconds: by default the last six months,
        which is also the maximum. `trigger_id` needs `campaign_id`.

        Operation: listMessages
        Page: https://docs.customer.io/integrations/api/app/tag/messages/listMessages/
        """
        return self._pages(_LIST, Message, _LIST_PAGING, query=query)

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
