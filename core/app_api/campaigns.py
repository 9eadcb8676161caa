"""Campaigns: what they are and what came of them. The vendor's newer pages call them automations.

Broadcasts are triggered in `core.app_api.broadcasts`, though the vendor's path says campaigns.
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
        """Count what became of a campaign's messages.

        With `version="2"` from `start` to `end` by `res`. With `version="1"`, deprecated, by
        `period` (days if absent); `steps` is how many back, from 2 to 24 hours, 45 days, 12 weeks
        or 120 months; 0 is the most, absent too, but for 12 months.

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
        """Count the clicks of each link, or with `unique` the people who clicked.

        `period` and `steps` are those of `metrics`, version 1.

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
        """Count the journeys by how far they came, from `start` to `end` in seconds since 1970.

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
        """Walk the deliveries of a campaign; a page holds 50 of them, at most 1,000.

        Without `start_ts` and `end_ts` (seconds since 1970) the last 6 months; at most 12.

        Operation: getCampaignMessages
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/getCampaignMessages/
        """
        return self._pages(
            _MESSAGES, Message, _MESSAGES_PAGING, path={"campaign_id": campaign_id}, query=query
        )
