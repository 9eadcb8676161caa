"""Broadcast actions: the messages of a broadcast, their languages and metrics.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.actions import ActionAnswer, ActionFields, ActionsAnswer
from core.app_api.types.metrics import LinksAnswer, MetricAnswer

if TYPE_CHECKING:
    from core.app_api.types.metrics import Channel, Period

_LIST = declare("broadcastActions", "GET", "/v1/broadcasts/{broadcast_id}/actions")
_GET = declare("getBroadcastAction", "GET", "/v1/broadcasts/{broadcast_id}/actions/{action_id}")
_UPDATE = declare(
    "updateBroadcastAction", "PUT", "/v1/broadcasts/{broadcast_id}/actions/{action_id}"
)
_GET_LANGUAGE = declare(
    "getBroadcastActionLanguage",
    "GET",
    "/v1/broadcasts/{broadcast_id}/actions/{action_id}/language/{language}",
)
_UPDATE_LANGUAGE = declare(
    "updateBroadcastActionLanguage",
    "PUT",
    "/v1/broadcasts/{broadcast_id}/actions/{action_id}/language/{language}",
)
_METRICS = declare(
    "broadcastActionMetrics", "GET", "/v1/broadcasts/{broadcast_id}/actions/{action_id}/metrics"
)
_LINK_METRICS = declare(
    "broadcastActionLinks", "GET", "/v1/broadcasts/{broadcast_id}/actions/{action_id}/metrics/links"
)


class BroadcastActions(Noun):
    """Messages of a broadcast."""

    def list(self, broadcast_id: int) -> ActionsAnswer:
        """List the messages of a broadcast, in one answer.

        Operation: broadcastActions
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastActions/
        """
        return self._call(_LIST, ActionsAnswer, path={"broadcast_id": broadcast_id})

    def get(self, broadcast_id: int, action_id: int) -> ActionAnswer:
        """Get one message of a broadcast.

        Operation: getBroadcastAction
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/getBroadcastAction/
        """
        return self._call(
            _GET, ActionAnswer, path={"broadcast_id": broadcast_id, "action_id": action_id}
        )

    def update(self, broadcast_id: int, action_id: int, body: ActionFields) -> ActionAnswer:
        """Change the content of a message, or whether it is sent.

        Operation: updateBroadcastAction
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/updateBroadcastAction/
        """
        return self._call(
            _UPDATE,
            ActionAnswer,
            path={"broadcast_id": broadcast_id, "action_id": action_id},
            body=body,
        )

    def get_language(self, broadcast_id: int, action_id: int, language: str) -> ActionAnswer:
        """Get a message in one language, such as `de-AT`.

        Operation: getBroadcastActionLanguage
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/getBroadcastActionLanguage/
        """
        return self._call(
            _GET_LANGUAGE,
            ActionAnswer,
            path={"broadcast_id": broadcast_id, "action_id": action_id, "language": language},
        )

    def update_language(
        self, broadcast_id: int, action_id: int, language: str, body: ActionFields
    ) -> ActionAnswer:
        """Change a message in one language.

        Operation: updateBroadcastActionLanguage
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/updateBroadcastActionLanguage/
        """
        return self._call(
            _UPDATE_LANGUAGE,
            ActionAnswer,
            path={"broadcast_id": broadcast_id, "action_id": action_id, "language": language},
            body=body,
        )

    def metrics(
        self,
        broadcast_id: int,
        action_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        type: Channel | None = None,
    ) -> MetricAnswer:
        """Get the metrics of one message by `period` (days if absent).

        `steps` is the number of periods, at least 2, at most 24 hours, 45 days, 12 weeks or 120
        months. 0 is the maximum. If absent, it is 12 for months, otherwise the maximum.

        Operation: broadcastActionMetrics
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastActionMetrics/
        """
        return self._call(
            _METRICS,
            MetricAnswer,
            path={"broadcast_id": broadcast_id, "action_id": action_id},
            query={"period": period, "steps": steps, "type": type},
        )

    def link_metrics(
        self,
        broadcast_id: int,
        action_id: int,
        *,
        period: Period | None = None,
        steps: int | None = None,
        unique: bool | None = None,
    ) -> LinksAnswer:
        """Count the clicks of each link; with `unique`, the people who clicked it.

        `period` and `steps` are as in `metrics`.

        Operation: broadcastActionLinks
        Page: https://docs.customer.io/integrations/api/app/tag/broadcasts/broadcastActionLinks/
        """
        return self._call(
            _LINK_METRICS,
            LinksAnswer,
            path={"broadcast_id": broadcast_id, "action_id": action_id},
            query={"period": period, "steps": steps, "unique": unique},
        )
