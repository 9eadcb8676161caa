"""Newsletters: messages sent once to many people.

The vendor's newer pages call them one-time sends.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.messages import Message
from core.app_api.types.metrics import LinksAnswer, MetricAnswer
from core.app_api.types.newsletters import (
    NewNewsletter,
    Newsletter,
    NewsletterAnswer,
    NewsletterRate,
    NewsletterSchedule,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.messages import Reached
    from core.app_api.types.metrics import Channel, Period
    from core.values import Moment

_LIST = declare("listNewsletters", "GET", "/v1/newsletters")
_LIST_PAGING = Paging("start", "newsletters")
_GET = declare("getNewsletters", "GET", "/v1/newsletters/{newsletter_id}")
_CREATE = declare("createNewsletter", "POST", "/v1/newsletters")
_DELETE = declare("deletetNewsletters", "DELETE", "/v1/newsletters/{newsletter_id}")
_SEND = declare("sendNewsletter", "POST", "/v1/newsletters/{newsletter_id}/send")
_SCHEDULE = declare("scheduleNewsletter", "POST", "/v1/newsletters/{newsletter_id}/schedule")
_METRICS = declare("getNewsletterMetrics", "GET", "/v1/newsletters/{newsletter_id}/metrics")
_LINK_METRICS = declare(
    "getNewsletterLinks", "GET", "/v1/newsletters/{newsletter_id}/metrics/links"
)
_MESSAGES = declare("getNewsletterMsgMeta", "GET", "/v1/newsletters/{newsletter_id}/messages")
_MESSAGES_PAGING = Paging("start", "messages")


class Newsletters(Noun):
    """Newsletters of the workspace."""

    def list(
        self,
        *,
        limit: int | None = None,
        sort: Literal["asc", "desc"] | None = None,
        start: str | None = None,
    ) -> Pages[Newsletter]:
        """Iterate over the newsletters.

        Operation: listNewsletters
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/listNewsletters/
        """
        return self._pages(
            _LIST, Newsletter, _LIST_PAGING, query={"limit": limit, "sort": sort, "start": start}
        )

    def get(self, newsletter_id: int) -> NewsletterAnswer:
        """Get one newsletter, without its content.

        Operation: getNewsletters
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletters/
        """
        return self._call(_GET, NewsletterAnswer, path={"newsletter_id": newsletter_id})

    def create(self, body: NewNewsletter) -> NewsletterAnswer:
        """Create a newsletter for one of six channels; `send_now` also sends it.

        Operation: createNewsletter
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/createNewsletter/
        """
        return self._call(_CREATE, NewsletterAnswer, body=body)

    def delete(self, newsletter_id: int) -> None:
        """Delete a newsletter.

        Operation: deletetNewsletters
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/deletetNewsletters/
        """
        self._done(_DELETE, path={"newsletter_id": newsletter_id})

    def send(self, newsletter_id: int, body: NewsletterRate) -> NewsletterAnswer:
        """Send a newsletter now; with an empty body, at the maximum speed.

        The client does not repeat it if it may have been sent: see `CallError.is_outcome_unknown`.

        Operation: sendNewsletter
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/sendNewsletter/
        """
        return self._call(_SEND, NewsletterAnswer, path={"newsletter_id": newsletter_id}, body=body)

    def schedule(self, newsletter_id: int, body: NewsletterSchedule) -> NewsletterAnswer:
        """Schedule a newsletter; `scheduled_at` 0 cancels the schedule.

        Operation: scheduleNewsletter
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/scheduleNewsletter/
        """
        return self._call(
            _SCHEDULE, NewsletterAnswer, path={"newsletter_id": newsletter_id}, body=body
        )

    def metrics(
        self,
        newsletter_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        type: Channel | None = None,
    ) -> MetricAnswer:
        """Get the metrics of a newsletter's messages by `period` (days if absent).

        `steps` is the number of periods, at least 2, at most 24 hours, 45 days, 12 weeks or 120
        months. 0 is the maximum. If absent, it is 12 for months, otherwise the maximum.

        Operation: getNewsletterMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletterMetrics/
        """
        return self._call(
            _METRICS,
            MetricAnswer,
            path={"newsletter_id": newsletter_id},
            query={"period": period, "steps": steps, "type": type},
        )

    def link_metrics(
        self,
        newsletter_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        unique: bool | None = None,
    ) -> LinksAnswer:
        """Count the clicks of each link; with `unique`, the people who clicked it.

        `period` and `steps` are as in `metrics`.

        Operation: getNewsletterLinks
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletterLinks/
        """
        return self._call(
            _LINK_METRICS,
            LinksAnswer,
            path={"newsletter_id": newsletter_id},
            query={"period": period, "steps": steps, "unique": unique},
        )

    def messages(
        self,
        newsletter_id: int,
        *,
        start: str | None = None,
        limit: int | None = None,
        metric: Reached | None = None,
        type: str | None = None,
        start_ts: Moment | None = None,
        end_ts: Moment | None = None,
        get_tracked_responses: bool | None = None,
    ) -> Pages[Message]:
        """Iterate over the deliveries of a newsletter.

        `start_ts` and `end_ts` are times or Unix seconds. By default they are the last 6 months, at
        most 12 months.

        Operation: getNewsletterMsgMeta
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletterMsgMeta/
        """
        return self._pages(
            _MESSAGES,
            Message,
            _MESSAGES_PAGING,
            path={"newsletter_id": newsletter_id},
            query={
                "start": start,
                "limit": limit,
                "metric": metric,
                "type": type,
                "start_ts": start_ts,
                "end_ts": end_ts,
                "get_tracked_responses": get_tracked_responses,
            },
        )
