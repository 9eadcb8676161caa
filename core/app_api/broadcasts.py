"""Broadcasts: messages to many, which an API call triggers.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.broadcasts import (
    BroadcastAnswer,
    BroadcastDeliveryQuery,
    BroadcastsAnswer,
    NewTrigger,
    Trigger,
    TriggeredAnswer,
    TriggersAnswer,
)
from core.app_api.types.messages import Message
from core.app_api.types.metrics import LinksAnswer, MetricAnswer

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.metrics import Channel, Period

_LIST = declare("listBroadcasts", "GET", "/v1/broadcasts")
_GET = declare("getBroadcast", "GET", "/v1/broadcasts/{broadcast_id}")
_METRICS = declare("broadcastMetrics", "GET", "/v1/broadcasts/{broadcast_id}/metrics")
_LINK_METRICS = declare("broadcastLinks", "GET", "/v1/broadcasts/{broadcast_id}/metrics/links")
_MESSAGES = declare("broadcastMessages", "GET", "/v1/broadcasts/{broadcast_id}/messages")
_MESSAGES_PAGING = Paging("start", "messages")
_TRIGGERS = declare("listBroadcastTriggers", "GET", "/v1/broadcasts/{broadcast_id}/triggers")
# The vendor's paths say `campaigns` from here on; the id is a broadcast's.
_TRIGGER = declare(
    "triggerBroadcast", "POST", "/v1/campaigns/{broadcast_id}/triggers", rate="broadcast_trigger"
)
_TRIGGER_STATUS = declare(
    "broadcastStatus", "GET", "/v1/campaigns/{broadcast_id}/triggers/{trigger_id}"
)
_TRIGGER_ERRORS = declare(
    "broadcastErrors", "GET", "/v1/campaigns/{broadcast_id}/triggers/{trigger_id}/errors"
)
_TRIGGER_ERRORS_PAGING = Paging("start", "errors")


class Broadcasts(Noun):
    """Broadcasts of the workspace, and their triggers."""

    def list(self) -> BroadcastsAnswer:
        """List all broadcasts, in one answer.

        Operation: listBroadcasts
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/listBroadcasts/
        """
        return self._call(_LIST, BroadcastsAnswer)

    def get(self, broadcast_id: int) -> BroadcastAnswer:
        """Get one broadcast.

        Operation: getBroadcast
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/getBroadcast/
        """
        return self._call(_GET, BroadcastAnswer, path={"broadcast_id": broadcast_id})

    def metrics(
        self,
        broadcast_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        type: Channel | None = None,
    ) -> MetricAnswer:
        """Count what became of a broadcast's messages, by `period` (days if absent).

        `steps` is how many periods back, from 2 to 24 hours, 45 days, 12 weeks or 120 months; 0 is
        the most, absent too, but for 12 months.

        Operation: broadcastMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastMetrics/
        """
        return self._call(
            _METRICS,
            MetricAnswer,
            path={"broadcast_id": broadcast_id},
            query={"period": period, "steps": steps, "type": type},
        )

    def link_metrics(
        self,
        broadcast_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        unique: bool | None = None,
    ) -> LinksAnswer:
        """Count the clicks of each link, or with `unique` the people who clicked.

        `period` and `steps` are those of `metrics`.

        Operation: broadcastLinks
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastLinks/
        """
        return self._call(
            _LINK_METRICS,
            LinksAnswer,
            path={"broadcast_id": broadcast_id},
            query={"period": period, "steps": steps, "unique": unique},
        )

    def messages(
        self, broadcast_id: int, **query: Unpack[BroadcastDeliveryQuery]
    ) -> Pages[Message]:
        """Walk the deliveries of a broadcast.

        Without `start_ts` and `end_ts` (seconds since 1970) the last 6 months; at most 12.

        Operation: broadcastMessages
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastMessages/
        """
        return self._pages(
            _MESSAGES, Message, _MESSAGES_PAGING, path={"broadcast_id": broadcast_id}, query=query
        )

    def triggers(self, broadcast_id: int) -> TriggersAnswer:
        """List the past triggers of a broadcast, in one answer.

        Operation: listBroadcastTriggers
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/listBroadcastTriggers/
        """
        return self._call(_TRIGGERS, TriggersAnswer, path={"broadcast_id": broadcast_id})

    def trigger(self, broadcast_id: int, body: NewTrigger) -> TriggeredAnswer:
        """Send a broadcast; an empty body sends it to the audience set in Customer.io.

        The vendor allows one trigger in 10 seconds, which the client waits for, and 5 that are
        not yet processed. A call holds at most 25 MB, of which `data` 50,000 bytes.

        Raises:
            UnprocessableError: The trigger was refused; the vendor's words give its id, with
                which `trigger_errors` says more.
            ThrottledError: The wait would be too long; nothing was sent.

        Operation: triggerBroadcast
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/triggerBroadcast/
        Source: https://docs.customer.io/integrations/api/app/tag/send-messages/triggerBroadcast/
        """
        return self._call(_TRIGGER, TriggeredAnswer, path={"broadcast_id": broadcast_id}, body=body)

    def trigger_status(self, broadcast_id: int, trigger_id: int) -> Trigger:
        """Get how far one trigger is; `processed_at` is there when it is done.

        Operation: broadcastStatus
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastStatus/
        """
        return self._call(
            _TRIGGER_STATUS, Trigger, path={"broadcast_id": broadcast_id, "trigger_id": trigger_id}
        )

    def trigger_errors(
        self,
        broadcast_id: int,
        trigger_id: int,
        *,
        start: str | None = None,
        limit: int | None = None,
    ) -> Pages[str]:
        """Walk what went wrong with single people of a trigger, in the vendor's words.

        They may hold ids and e-mail addresses.

        Operation: broadcastErrors
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastErrors/
        """
        return self._pages(
            _TRIGGER_ERRORS,
            str,
            _TRIGGER_ERRORS_PAGING,
            path={"broadcast_id": broadcast_id, "trigger_id": trigger_id},
            query={"start": start, "limit": limit},
        )
