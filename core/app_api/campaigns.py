"""Campaigns and their metrics. The vendor's newer pages call them automations.

Broadcasts are triggered in `core.app_api.broadcasts`, although the vendor's path says campaigns.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.campaigns import (
    CampaignAnswer,
    CampaignDeliveryQuery,
    CampaignsAnswer,
    JourneyMetricAnswer,
)
from core.app_api.types.messages import Message
from core.app_api.types.metrics import LinksAnswer, MetricAnswer, VersionedQuery

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.metrics import Period, Resolution

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

    def metrics(self, campaign_id: int, **query: Unpack[VersionedQuery]) -> MetricAnswer:
        """Get the metrics of a campaign's messages.

        Version "2" takes a time range (`start`, `end`) and a resolution (`res`).

        Version "1" is deprecated. It takes `period` (days if absent) and `steps`, the number of
        periods: at least 2, at most 24 hours, 45 days, 12 weeks or 120 months. 0 is the maximum.
        If absent, `steps` is 12 for months, otherwise the maximum.

        Operation: campaignMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/campaignMetrics/
        """
        return self._call(_METRICS, MetricAnswer, path={"campaign_id": campaign_id}, query=query)

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
        self, campaign_id: int, *, start: int, end: int, res: Resolution
    ) -> JourneyMetricAnswer:
        """Count journeys by their progress, from `start` to `end` in Unix seconds.

        Operation: campaignJourneyMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/campaignJourneyMetrics/
        """
        return self._call(
            _JOURNEY_METRICS,
            JourneyMetricAnswer,
            path={"campaign_id": campaign_id},
            query={"start": start, "end": end, "res": res},
        )

    def messages(self, campaign_id: int, **query: Unpack[CampaignDeliveryQuery]) -> Pages[Message]:
        """Iterate over the deliveries of a campaign. A page has 50 by default, at most 1,000.

        The time range is `start_ts` to `end_ts` in Unix seconds: by default the last 6 months, at
        most 12 months.

        Operation: getCampaignMessages
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/getCampaignMessages/
        """
        return self._pages(
            _MESSAGES, Message, _MESSAGES_PAGING, path={"campaign_id": campaign_id}, query=query
        )
