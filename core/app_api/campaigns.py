"""Campaigns and their metrics. The vendor's newer pages call them automations.

Broadcasts are triggered in `core.app_api.broadcasts`, although the vendor's path says campaigns.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.campaigns import (
    CampaignAnswer,
    CampaignsAnswer,
    JourneyMetricAnswer,
)
from core.app_api.types.messages import Message
from core.app_api.types.metrics import LinksAnswer, MetricAnswer

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.messages import Reached
    from core.app_api.types.metrics import Channel, Period, Resolution
    from core.values import Moment

_LIST = declare("listCampaigns", "GET", "/v1/campaigns")
_GET = declare("getCampaigns", "GET", "/v1/campaigns/{campaign_id}")
_METRICS = declare("campaignMetrics", "GET", "/v1/campaigns/{campaign_id}/metrics")
_LINK_METRICS = declare("campaignLinkMetrics", "GET", "/v1/campaigns/{campaign_id}/metrics/links")
_JOURNEY_METRICS = declare(
    "campaignJourneyMetrics", "GET", "/v1/campaigns/{campaign_id}/journey_metrics"
)
_MESSAGES = declare("getCampaignMessages", "GET", "/v1/campaigns/{campaign_id}/messages")
_MESSAGES_PAGING = Paging("start", "messages", max_limit=1_000)


class Campaigns(Noun):
    """Campaigns of the workspace."""

    def list(self) -> CampaignsAnswer:
        """List all campaigns, in one answer.

        Operation: listCampaigns
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/listCampaigns/
        """
        return self._call(_LIST, CampaignsAnswer)

    def get(self, campaign_id: int) -> CampaignAnswer:
        """Get one campaign.

        Operation: getCampaigns
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/getCampaigns/
        """
        return self._call(_GET, CampaignAnswer, path={"campaign_id": campaign_id})

    def metrics(
        self,
        campaign_id: int,
        *,
        version: Literal["1", "2"],
        type: Channel | None = None,
        res: Resolution | None = None,
        tz: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        period: Period | None = None,
        steps: int | None = None,
    ) -> MetricAnswer:
        """Get the metrics of a campaign's messages.

        Version "2" takes a time range (`start`, `end`) and a resolution (`res`).

        Version "1" is deprecated. It takes `period` (days if absent) and `steps`, the number of
        periods: at least 2, at most 24 hours, 45 days, 12 weeks or 120 months. 0 is the maximum.
        If absent, `steps` is 12 for months, otherwise the maximum.

        Operation: campaignMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/campaignMetrics/
        """
        return self._call(
            _METRICS,
            MetricAnswer,
            path={"campaign_id": campaign_id},
            query={
                "version": version,
                "type": type,
                "res": res,
                "tz": tz,
                "start": start,
                "end": end,
                "period": period,
                "steps": steps,
            },
        )

    def link_metrics(
        self,
        campaign_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        unique: bool | None = None,
    ) -> LinksAnswer:
        """Count the clicks of each link; with `unique`, the people who clicked it.

        `period` and `steps` are as in version 1 of `metrics`.

        Operation: campaignLinkMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/campaignLinkMetrics/
        """
        return self._call(
            _LINK_METRICS,
            LinksAnswer,
            path={"campaign_id": campaign_id},
            query={"period": period, "steps": steps, "unique": unique},
        )

    def journey_metrics(
        self, campaign_id: int, *, start: Moment, end: Moment, resolution: Resolution
    ) -> JourneyMetricAnswer:
        """Count journeys by their progress, from `start` to `end`, times or Unix seconds.

        The vendor's page calls the last parameter `res`. Both official clients send `resolution`.

        Operation: campaignJourneyMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/campaignJourneyMetrics/
        """
        return self._call(
            _JOURNEY_METRICS,
            JourneyMetricAnswer,
            path={"campaign_id": campaign_id},
            query={"start": start, "end": end, "resolution": resolution},
        )

    def messages(
        self,
        campaign_id: int,
        *,
        start: str | None = None,
        limit: int | None = None,
        type: Channel | Literal["live_notification"] | None = None,
        metric: Reached | None = None,
        drafts: bool | None = None,
        start_ts: Moment | None = None,
        end_ts: Moment | None = None,
        get_tracked_responses: bool | None = None,
    ) -> Pages[Message]:
        """Iterate over the deliveries of a campaign. A page has 50 by default, at most 1,000.

        `start_ts` and `end_ts` are times or Unix seconds. By default they are the last 6 months, at
        most 12 months.

        Operation: getCampaignMessages
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/getCampaignMessages/
        """
        return self._pages(
            _MESSAGES,
            Message,
            _MESSAGES_PAGING,
            path={"campaign_id": campaign_id},
            query={
                "start": start,
                "limit": limit,
                "type": type,
                "metric": metric,
                "drafts": drafts,
                "start_ts": start_ts,
                "end_ts": end_ts,
                "get_tracked_responses": get_tracked_responses,
            },
        )
