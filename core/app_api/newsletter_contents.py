"""Newsletter contents: one content for each language and test group.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.metrics import LinksAnswer, MetricAnswer
from core.app_api.types.newsletters import (
    NewsletterContentAnswer,
    NewsletterContentFields,
    NewsletterContentsAnswer,
)

if TYPE_CHECKING:
    from core.app_api.types.metrics import Channel, Period

_LIST = declare("listNewsletterVariants", "GET", "/v1/newsletters/{newsletter_id}/contents")
_GET = declare(
    "getNewsletterVariant", "GET", "/v1/newsletters/{newsletter_id}/contents/{content_id}"
)
_UPDATE = declare(
    "updateNewsletterVariant", "PUT", "/v1/newsletters/{newsletter_id}/contents/{content_id}"
)
_METRICS = declare(
    "getVariantMetrics", "GET", "/v1/newsletters/{newsletter_id}/contents/{content_id}/metrics"
)
_LINK_METRICS = declare(
    "getVariantLinks", "GET", "/v1/newsletters/{newsletter_id}/contents/{content_id}/metrics/links"
)


class NewsletterContents(Noun):
    """Contents of a newsletter."""

    def list(self, newsletter_id: int) -> NewsletterContentsAnswer:
        """List all contents of a newsletter, in one answer.

        Operation: listNewsletterVariants
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/listNewsletterVariants/
        """
        return self._call(_LIST, NewsletterContentsAnswer, path={"newsletter_id": newsletter_id})

    def get(self, newsletter_id: int, content_id: int) -> NewsletterContentAnswer:
        """Get one content of a newsletter.

        Operation: getNewsletterVariant
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletterVariant/
        """
        return self._call(
            _GET,
            NewsletterContentAnswer,
            path={"newsletter_id": newsletter_id, "content_id": content_id},
        )

    def update(
        self, newsletter_id: int, content_id: int, body: NewsletterContentFields
    ) -> NewsletterContentAnswer:
        """Change one content of a newsletter.

        Operation: updateNewsletterVariant
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/updateNewsletterVariant/
        """
        return self._call(
            _UPDATE,
            NewsletterContentAnswer,
            path={"newsletter_id": newsletter_id, "content_id": content_id},
            body=body,
        )

    def metrics(
        self,
        newsletter_id: int,
        content_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        type: Channel | None = None,
    ) -> MetricAnswer:
        """Get the metrics of the messages with one content by `period` (days if absent).

        `steps` is the number of periods, at least 2, at most 24 hours, 45 days, 12 weeks or 120
        months. 0 is the maximum. If absent, it is 12 for months, otherwise the maximum.

        Operation: getVariantMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getVariantMetrics/
        """
        return self._call(
            _METRICS,
            MetricAnswer,
            path={"newsletter_id": newsletter_id, "content_id": content_id},
            query={"period": period, "steps": steps, "type": type},
        )

    def link_metrics(
        self,
        newsletter_id: int,
        content_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        unique: bool | None = None,
    ) -> LinksAnswer:
        """Count the clicks of each link; with `unique`, the people who clicked it.

        `period` and `steps` are as in `metrics`.

        Operation: getVariantLinks
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getVariantLinks/
        """
        return self._call(
            _LINK_METRICS,
            LinksAnswer,
            path={"newsletter_id": newsletter_id, "content_id": content_id},
            query={"period": period, "steps": steps, "unique": unique},
        )
