"""Activities: the activity log of the workspace.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.activities import Activity, ActivityQuery

if TYPE_CHECKING:
    from core.app_api.paging import Pages

_LIST = declare("listActivities", "GET", "/v1/activities")
_LIST_PAGING = Paging("start", "activities", max_limit=100)


class Activities(Noun):
    """The activity log of the workspace; `customers.activities` is the log of one person."""

    def list(self, **query: Unpack[ActivityQuery]) -> Pages[Activity]:
        """Iterate over the activities of the last 30 days. A page has 10 by default, at most 100.

        There may be older activities, but the vendor does not guarantee them.

        Operation: listActivities
        Page: https://docs.customer.io/integrations/api/app/tag/activities/listActivities/
        """
        return self._pages(_LIST, Activity, _LIST_PAGING, query=query)
