"""Customers: the people of the workspace, read only.

People are changed through the Data Pipelines API, not here. A `customer_id` is what `id_type`
says, or the person's `id` if it is absent; `phone` is E.164, and only where the workspace
identifies people by it.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.activities import Activity
from core.app_api.types.customers import (
    PeopleAnswer,
    PeopleAttributesAnswer,
    PeopleIds,
    PeopleSearch,
    PersonActivitiesQuery,
    PersonAnswer,
    PersonMessage,
    PersonMessagesQuery,
    PersonSegmentsAnswer,
    PreferencesAnswer,
    Relationship,
)
from core.app_api.types.people import Identifiers

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.people import IdType

_BY_EMAIL = declare("getPeopleEmail", "GET", "/v1/customers")
_SEARCH = declare("getPeopleFilter", "POST", "/v1/customers", is_repeatable=True)
_SEARCH_PAGING = Paging("start", "identifiers", max_limit=1_000)
_GET_MANY = declare("getPeopleById", "POST", "/v1/customers/attributes", is_repeatable=True)
_ATTRIBUTES = declare("getPersonAttributes", "GET", "/v1/customers/{customer_id}/attributes")
_RELATIONSHIPS = declare(
    "getPersonRelationships", "GET", "/v1/customers/{customer_id}/relationships"
)
_RELATIONSHIPS_PAGING = Paging("start", "cio_relationships")
_SEGMENTS = declare("getPersonSegments", "GET", "/v1/customers/{customer_id}/segments")
_MESSAGES = declare("getPersonMessages", "GET", "/v1/customers/{customer_id}/messages")
_MESSAGES_PAGING = Paging("start", "messages", max_limit=1_000)
_ACTIVITIES = declare("getPersonActivities", "GET", "/v1/customers/{customer_id}/activities")
_ACTIVITIES_PAGING = Paging("start", "activities", max_limit=100)
_SUBSCRIPTION_PREFERENCES = declare(
    "getPersonSubscriptionPreferences",
    "GET",
    "/v1/customers/{customer_id}/subscription_preferences",
)


class Customers(Noun):
    """People of the workspace."""

    def by_email(self, *, email: str) -> PeopleAnswer:
        """Find the people with exactly this email address; there can be several, or none.

        Operation: getPeopleEmail
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPeopleEmail/
        """
        return self._call(_BY_EMAIL, PeopleAnswer, query={"email": email})

    def search(
        self,
        body: PeopleSearch,
        *,
        start: str | None = None,
        limit: int | None = None,
    ) -> Pages[Identifiers]:
        """Walk the people that a filter of segments and attributes finds; 1,000 a page at most.

        The plain `ids` stand beside the identifiers in the `body` of each page.

        Operation: getPeopleFilter
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPeopleFilter/
        """
        return self._pages(
            _SEARCH, Identifiers, _SEARCH_PAGING, query={"start": start, "limit": limit}, body=body
        )

    def get_many(self, body: PeopleIds) -> PeopleAttributesAnswer:
        """Get the attributes and devices of 1 to 100 people by their `id`.

        Operation: getPeopleById
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPeopleById/
        """
        return self._call(_GET_MANY, PeopleAttributesAnswer, body=body)

    def attributes(self, customer_id: str, *, id_type: IdType | None = None) -> PersonAnswer:
        """Get the attributes, devices and identifiers of a person.

        Operation: getPersonAttributes
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonAttributes/
        """
        return self._call(
            _ATTRIBUTES,
            PersonAnswer,
            path={"customer_id": customer_id},
            query={"id_type": id_type},
        )

    def relationships(
        self,
        customer_id: str,
        *,
        start: str | None = None,
        limit: int | None = None,
        id_type: IdType | None = None,
    ) -> Pages[Relationship]:
        """Walk the objects that a person is related to.

        Operation: getPersonRelationships
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonRelationships/
        """
        return self._pages(
            _RELATIONSHIPS,
            Relationship,
            _RELATIONSHIPS_PAGING,
            path={"customer_id": customer_id},
            query={"start": start, "limit": limit, "id_type": id_type},
        )

    def segments(self, customer_id: str, *, id_type: IdType | None = None) -> PersonSegmentsAnswer:
        """List the segments that a person is in, in one answer.

        Operation: getPersonSegments
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonSegments/
        """
        return self._call(
            _SEGMENTS,
            PersonSegmentsAnswer,
            path={"customer_id": customer_id},
            query={"id_type": id_type},
        )

    def messages(
        self, customer_id: str, **query: Unpack[PersonMessagesQuery]
    ) -> Pages[PersonMessage]:
        """Walk the deliveries to a person; a page holds 50 of them, at most 1,000.

        Without `start_ts` and `end_ts` (seconds since 1970) the last six months, which is also
        the longest window.

        Operation: getPersonMessages
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonMessages/
        """
        return self._pages(
            _MESSAGES,
            PersonMessage,
            _MESSAGES_PAGING,
            path={"customer_id": customer_id},
            query=query,
        )

    def activities(
        self, customer_id: str, **query: Unpack[PersonActivitiesQuery]
    ) -> Pages[Activity]:
        """Walk the activity log of a person; a page holds 100 entries at most.

        The vendor promises 30 days of it. `type` is no closed list: `_o:1:create` is about objects
        of type 1.

        Operation: getPersonActivities
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonActivities/
        """
        return self._pages(
            _ACTIVITIES,
            Activity,
            _ACTIVITIES_PAGING,
            path={"customer_id": customer_id},
            query=query,
        )

    def subscription_preferences(
        self,
        customer_id: str,
        *,
        id_type: IdType | None = None,
        language: str | None = None,
    ) -> PreferencesAnswer:
        """Get the topics a person is subscribed to, named in `language` where it is translated.

        Operation: getPersonSubscriptionPreferences
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonSubscriptionPreferences/
        """
        return self._call(
            _SUBSCRIPTION_PREFERENCES,
            PreferencesAnswer,
            path={"customer_id": customer_id},
            query={"id_type": id_type, "language": language},
        )
