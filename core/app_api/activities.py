"""Activities: the activity log of the workspace.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.activities import Activity

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.people import IdType
    from core.values import Id

_LIST = declare("listActivities", "GET", "/v1/activities")
_LIST_PAGING = Paging("start", "activities", max_limit=100)


class Activities(Noun):
    """The activity log of the workspace; `customers.activities` is the log of one person."""

    def list(
        self,
        *,
        start: str | None = None,
        limit: int | None = None,
        type: str | None = None,
        name: str | None = None,
        deleted: bool | None = None,
        customer_id: Id | None = None,
        id_type: IdType | None = None,
    ) -> Pages[Activity]:
        """Iterate over the activities of the last 30 days. A page has 10 by default, at most 100.

        There may be older activities, but the vendor does not guarantee them.

        Args:
            start: The token of the first page.
            limit: The number of activities in a page.
            type: As in `Activity`; an open list.
            name: The name of the event or attribute, for a `type` that has one.
            deleted: Whether to include activities of deleted people.
            customer_id: Only activities of this person.
            id_type: The kind of `customer_id`; `phone` works if phone numbers identify people.

        Operation: listActivities
        Page: https://docs.customer.io/integrations/api/app/tag/activities/listActivities/
        """
        return self._pages(
            _LIST,
            Activity,
            _LIST_PAGING,
            query={
                "start": start,
                "limit": limit,
                "type": type,
                "name": name,
                "deleted": deleted,
                "customer_id": customer_id,
                "id_type": id_type,
            },
        )
