"""Campaign actions: the messages and webhooks of a campaign, their languages and metrics.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.actions import Action, ActionAnswer, ActionFields
from core.app_api.types.metrics import LinksAnswer, MetricAnswer

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.metrics import Channel, Period, Resolution
    from core.values import Moment

_LIST = declare("listCampaignActions", "GET", "/v1/campaigns/{campaign_id}/actions")
_LIST_PAGING = Paging("start", "actions")
_GET = declare("getCampaignAction", "GET", "/v1/campaigns/{campaign_id}/actions/{action_id}")
_UPDATE = declare("updateCampaignAction", "PUT", "/v1/campaigns/{campaign_id}/actions/{action_id}")
_GET_LANGUAGE = declare(
    "getCampaignActionTranslation",
    "GET",
    "/v1/campaigns/{campaign_id}/actions/{action_id}/language/{language}",
)
_UPDATE_LANGUAGE = declare(
    "updateCampaignActionTranslation",
    "PUT",
    "/v1/campaigns/{campaign_id}/actions/{action_id}/language/{language}",
)
_METRICS = declare(
    "campaignActionMetrics", "GET", "/v1/campaigns/{campaign_id}/actions/{action_id}/metrics"
)
_LINK_METRICS = declare(
    "campaignActionLinks", "GET", "/v1/campaigns/{campaign_id}/actions/{action_id}/metrics/links"
)


class CampaignActions(Noun):
    """Messages and webhooks of a campaign."""

    def list(self, campaign_id: int, *, start: str | None = None) -> Pages[Action]:
        """Iterate over the actions of a campaign. A page always has 10.

        Operation: listCampaignActions
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/listCampaignActions/
        """
        return self._pages(
            _LIST, Action, _LIST_PAGING, path={"campaign_id": campaign_id}, query={"start": start}
        )

    def get(self, campaign_id: int, action_id: int) -> ActionAnswer:
        """Get one action of a campaign.

        Operation: getCampaignAction
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/getCampaignAction/
        """
        return self._call(
            _GET, ActionAnswer, path={"campaign_id": campaign_id, "action_id": action_id}
        )

    def update(self, campaign_id: int, action_id: int, body: ActionFields) -> ActionAnswer:
        """Change the content of an action, or whether it is sent.

        Operation: updateCampaignAction
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/updateCampaignAction/
        """
        return self._call(
            _UPDATE,
            ActionAnswer,
            path={"campaign_id": campaign_id, "action_id": action_id},
            body=body,
        )

    def get_language(self, campaign_id: int, action_id: int, language: str) -> ActionAnswer:
        """Get an action in one language, such as `de-AT`.

        Operation: getCampaignActionTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/getCampaignActionTranslation/
        """
        return self._call(
            _GET_LANGUAGE,
            ActionAnswer,
            path={"campaign_id": campaign_id, "action_id": action_id, "language": language},
        )

    def update_language(
        self, campaign_id: int, action_id: int, language: str, body: ActionFields
    ) -> ActionAnswer:
        """Change an action in one language.

        Operation: updateCampaignActionTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/updateCampaignActionTranslation/
        """
        return self._call(
            _UPDATE_LANGUAGE,
            ActionAnswer,
            path={"campaign_id": campaign_id, "action_id": action_id, "language": language},
            body=body,
        )

    def metrics(
        self,
        campaign_id: int,
        action_id: int,
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
        """Get the metrics of one action.

        Version "2" takes a time range (`start`, `end`) and a resolution (`res`).

        Version "1" is deprecated. It takes `period` (days if absent) and `steps`, the number of
        periods: at least 2, at most 24 hours, 45 days, 12 weeks or 120 months. 0 is the maximum.
        If absent, `steps` is 12 for months, otherwise the maximum.

        Operation: campaignActionMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/campaignActionMetrics/
        """
        return self._call(
            _METRICS,
            MetricAnswer,
            path={"campaign_id": campaign_id, "action_id": action_id},
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
        action_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        unique: bool | None = None,
    ) -> LinksAnswer:
        """Count the clicks of each link; with `unique`, the people who clicked it.

        `period` and `steps` are as in version 1 of `metrics`.

        Operation: campaignActionLinks
        Page: https://docs.customer.io/integrations/api/app/tag/campaigns/campaignActionLinks/
        """
        return self._call(
            _LINK_METRICS,
            LinksAnswer,
            path={"campaign_id": campaign_id, "action_id": action_id},
            query={"period": period, "steps": steps, "unique": unique},
        )
