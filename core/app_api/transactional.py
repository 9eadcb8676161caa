"""Transactional messages: their templates, contents, languages and metrics.

`core.app_api.send` sends them.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.messages import Message
from core.app_api.types.metrics import LinksAnswer, MetricAnswer
from core.app_api.types.transactional import (
    ContentAnswer,
    ContentFields,
    ContentListAnswer,
    ContentsAnswer,
    TransactionalMessageAnswer,
    TransactionalMessagesAnswer,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.messages import Reached, State
    from core.app_api.types.metrics import Period
    from core.values import Moment

_LIST = declare("listTransactional", "GET", "/v1/transactional")
_GET = declare("getTransactional", "GET", "/v1/transactional/{transactional_id}")
_CONTENTS = declare(
    "listTransactionalVariants", "GET", "/v1/transactional/{transactional_id}/contents"
)
_GET_CONTENT = declare(
    "getTransactionalContent", "GET", "/v1/transactional/{transactional_id}/contents/{content_id}"
)
# The vendor's path has `content` here, but `contents` in the operation that reads it.
_UPDATE_CONTENT = declare(
    "updateTransactional", "PUT", "/v1/transactional/{transactional_id}/content/{content_id}"
)
_GET_LANGUAGE = declare(
    "getTransactionalVariant", "GET", "/v1/transactional/{transactional_id}/language/{language}"
)
_UPDATE_LANGUAGE = declare(
    "updateTransactionalVariant", "PUT", "/v1/transactional/{transactional_id}/language/{language}"
)
_METRICS = declare("transactionalMetrics", "GET", "/v1/transactional/{transactional_id}/metrics")
_LINK_METRICS = declare(
    "transactionalLinks", "GET", "/v1/transactional/{transactional_id}/metrics/links"
)
_MESSAGES = declare("transactionalMessages", "GET", "/v1/transactional/{transactional_id}/messages")
_MESSAGES_PAGING = Paging("start", "messages")


class Transactional(Noun):
    """Templates of transactional messages."""

    def list(self) -> TransactionalMessagesAnswer:
        """List all templates, in one answer.

        Operation: listTransactional
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/listTransactional/
        """
        return self._call(_LIST, TransactionalMessagesAnswer)

    def get(self, transactional_id: int) -> TransactionalMessageAnswer:
        """Get one template, without its content.

        Operation: getTransactional
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/getTransactional/
        """
        path = {"transactional_id": transactional_id}
        return self._call(_GET, TransactionalMessageAnswer, path=path)

    def contents(self, transactional_id: int) -> ContentsAnswer:
        """List the contents of a template, one for each language.

        Operation: listTransactionalVariants
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/listTransactionalVariants/
        """
        return self._call(_CONTENTS, ContentsAnswer, path={"transactional_id": transactional_id})

    def get_content(self, transactional_id: int, content_id: int) -> ContentAnswer:
        """Get the content of a template in one language, by the id of the content.

        Uncertain: no documentation gives the operation's name or the fields of its answer.

        Operation: getTransactionalContent
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/getTransactionalContent/
        """
        return self._call(
            _GET_CONTENT,
            ContentAnswer,
            path={"transactional_id": transactional_id, "content_id": content_id},
        )

    def update_content(
        self, transactional_id: int, content_id: int, body: ContentFields
    ) -> ContentListAnswer:
        """Change the content of a template in one language, by the id of the content.

        Operation: updateTransactional
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/updateTransactional/
        """
        return self._call(
            _UPDATE_CONTENT,
            ContentListAnswer,
            path={"transactional_id": transactional_id, "content_id": content_id},
            body=body,
        )

    def get_language(self, transactional_id: int, language: str) -> ContentListAnswer:
        """Get the content of a template in one language, such as `de-AT`.

        Operation: getTransactionalVariant
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/getTransactionalVariant/
        """
        return self._call(
            _GET_LANGUAGE,
            ContentListAnswer,
            path={"transactional_id": transactional_id, "language": language},
        )

    def update_language(
        self, transactional_id: int, language: str, body: ContentFields
    ) -> ContentListAnswer:
        """Change the content of a template in one language, which must exist.

        Operation: updateTransactionalVariant
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/updateTransactionalVariant/
        """
        return self._call(
            _UPDATE_LANGUAGE,
            ContentListAnswer,
            path={"transactional_id": transactional_id, "language": language},
            body=body,
        )

    def metrics(
        self, transactional_id: int, *, period: Period | None = None, steps: int | None = None
    ) -> MetricAnswer:
        """Get the metrics of a template's messages by `period` (days if absent).

        `steps` is the number of periods, at least 2, at most 24 hours, 45 days, 12 weeks or 120
        months. 0 is the maximum. If absent, it is 12 for months, otherwise the maximum.

        Operation: transactionalMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/transactionalMetrics/
        """
        return self._call(
            _METRICS,
            MetricAnswer,
            path={"transactional_id": transactional_id},
            query={"period": period, "steps": steps},
        )

    def link_metrics(
        self,
        transactional_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        unique: bool | None = None,
    ) -> LinksAnswer:
        """Count the clicks of each link; with `unique`, the people who clicked it.

        `period` and `steps` are as in `metrics`.

        Operation: transactionalLinks
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/transactionalLinks/
        """
        return self._call(
            _LINK_METRICS,
            LinksAnswer,
            path={"transactional_id": transactional_id},
            query={"period": period, "steps": steps, "unique": unique},
        )

    def messages(
        self,
        transactional_id: int,
        *,
        start: str | None = None,
        limit: int | None = None,
        metric: Reached | None = None,
        state: State | None = None,
        start_ts: Moment | None = None,
        end_ts: Moment | None = None,
        get_tracked_responses: bool | None = None,
    ) -> Pages[Message]:
        """Iterate over the deliveries of a template.

        `start_ts` and `end_ts` are times or Unix seconds. By default they are the last 6 months, at
        most 12 months.

        Operation: transactionalMessages
        Page: https://docs.customer.io/integrations/api/app/tag/transactional/transactionalMessages/
        """
        return self._pages(
            _MESSAGES,
            Message,
            _MESSAGES_PAGING,
            path={"transactional_id": transactional_id},
            query={
                "start": start,
                "limit": limit,
                "metric": metric,
                "state": state,
                "start_ts": start_ts,
                "end_ts": end_ts,
                "get_tracked_responses": get_tracked_responses,
            },
        )
