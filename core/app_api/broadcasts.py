"""Broadcasts: messages to many people, triggered by an API call.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.arguments import check_names
from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.broadcasts import (
    BroadcastAnswer,
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
    from core.app_api.types.messages import Reached, State
    from core.app_api.types.metrics import Channel, Period
    from core.values import Moment

_LIST = declare("listBroadcasts", "GET", "/v1/broadcasts")
_GET = declare("getBroadcast", "GET", "/v1/broadcasts/{broadcast_id}")
_METRICS = declare("broadcastMetrics", "GET", "/v1/broadcasts/{broadcast_id}/metrics")
_LINK_METRICS = declare("broadcastLinks", "GET", "/v1/broadcasts/{broadcast_id}/metrics/links")
_MESSAGES = declare("broadcastMessages", "GET", "/v1/broadcasts/{broadcast_id}/messages")
_MESSAGES_PAGING = Paging("start", "messages")
_TRIGGERS = declare("listBroadcastTriggers", "GET", "/v1/broadcasts/{broadcast_id}/triggers")
# From here on the vendor's paths contain `campaigns`, but the id is a broadcast's.
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
        """Get the metrics of a broadcast's messages by `period` (days if absent).

        `steps` is the number of periods, at least 2, at most 24 hours, 45 days, 12 weeks or 120
        months. 0 is the maximum. If absent, it is 12 for months, otherwise the maximum.

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
        """Count the clicks of each link; with `unique`, the people who clicked it.

        `period` and `steps` are as in `metrics`.

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
        self,
        broadcast_id: int,
        *,
        start: str | None = None,
        limit: int | None = None,
        metric: Reached | None = None,
        state: State | None = None,
        type: Channel | None = None,
        start_ts: Moment | None = None,
        end_ts: Moment | None = None,
        get_tracked_responses: bool | None = None,
    ) -> Pages[Message]:
        """Iterate over the deliveries of a broadcast.

        `start_ts` and `end_ts` are times or Unix seconds. By default they are the last 6 months, at
        most 12 months.

        Operation: broadcastMessages
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastMessages/
        """
        return self._pages(
            _MESSAGES,
            Message,
            _MESSAGES_PAGING,
            path={"broadcast_id": broadcast_id},
            query={
                "start": start,
                "limit": limit,
                "metric": metric,
                "state": state,
                "type": type,
                "start_ts": start_ts,
                "end_ts": end_ts,
                "get_tracked_responses": get_tracked_responses,
            },
        )

    def triggers(self, broadcast_id: int) -> TriggersAnswer:
        """List the past triggers of a broadcast, in one answer.

        Operation: listBroadcastTriggers
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/listBroadcastTriggers/
        """
        return self._call(_TRIGGERS, TriggersAnswer, path={"broadcast_id": broadcast_id})

    def trigger(self, broadcast_id: int, body: NewTrigger) -> TriggeredAnswer:
        """Send a broadcast; an empty body sends it to the audience defined in Customer.io.

        The vendor allows one trigger every 10 seconds (the client waits for it), and 5 triggers
        that are not processed. The body has at most 25 MB, `data` at most 50,000 bytes.

        Raises:
            UnprocessableError: The trigger was refused. The vendor's message contains its id:
                read `trigger_errors` with it.
            ThrottledError: The wait would be too long. Nothing was sent.

        Operation: triggerBroadcast
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/triggerBroadcast/
        Source: https://docs.customer.io/integrations/api/app/tag/send-messages/triggerBroadcast/
        """
        check_names(body, NewTrigger)
        return self._call(_TRIGGER, TriggeredAnswer, path={"broadcast_id": broadcast_id}, body=body)

    def trigger_status(self, broadcast_id: int, trigger_id: int) -> Trigger:
        """Get the state of one trigger; it has `processed_at` when it is processed.

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
        """Iterate over the vendor's error messages for single people of a trigger.

        They may contain ids and e-mail addresses.

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
