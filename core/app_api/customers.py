"""Customers: the people of the workspace, read only.

People are changed through the Data Pipelines API, not here. `id_type` is the kind of the
`customer_id`; by default it is the `id` of the person. `phone` is in E.164 format, and works only
if the workspace identifies people by it.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.arguments import check_names
from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.activities import Activity
from core.app_api.types.customers import (
    PeopleAnswer,
    PeopleAttributesAnswer,
    PeopleIds,
    PeopleSearch,
    PersonAnswer,
    PersonMessage,
    PersonSegmentsAnswer,
    PreferencesAnswer,
    Relationship,
)
from core.app_api.types.people import Identifiers

if TYPE_CHECKING:
    from core.app_api.paging import Pages
    from core.app_api.types.people import IdType
    from core.values import Id, Moment

_BY_EMAIL = declare("getPeopleEmail", "GET", "/v1/customers")
# These two only read. They are POST because their arguments are in the body.
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
        """Find the people with exactly this email address: several, one or none.

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
        """Iterate over the people who match a filter. A page has at most 1,000.

        The filter has conditions on segments and attributes.

        The `body` of each page also has `ids`, a list of the plain ids.

        Operation: getPeopleFilter
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPeopleFilter/
        """
        check_names(body, PeopleSearch)
        return self._pages(
            _SEARCH, Identifiers, _SEARCH_PAGING, query={"start": start, "limit": limit}, body=body
        )

    def get_many(self, body: PeopleIds) -> PeopleAttributesAnswer:
        """Get the attributes and devices of 1 to 100 people, by `id`.

        Operation: getPeopleById
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPeopleById/
        """
        return self._call(_GET_MANY, PeopleAttributesAnswer, body=body)

    def attributes(self, customer_id: Id, *, id_type: IdType | None = None) -> PersonAnswer:
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
        customer_id: Id,
        *,
        start: str | None = None,
        limit: int | None = None,
        id_type: IdType | None = None,
    ) -> Pages[Relationship]:
        """Iterate over the objects that a person is related to.

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

    def segments(self, customer_id: Id, *, id_type: IdType | None = None) -> PersonSegmentsAnswer:
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
        self,
        customer_id: Id,
        *,
        id_type: IdType | None = None,
        start: str | None = None,
        limit: int | None = None,
        start_ts: Moment | None = None,
        end_ts: Moment | None = None,
    ) -> Pages[PersonMessage]:
        """Iterate over the deliveries to a person. A page has 50 by default, at most 1,000.

        `start_ts` and `end_ts` are times or Unix seconds. By default they are the last six months,
        which is also the maximum.

        Operation: getPersonMessages
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonMessages/
        """
        return self._pages(
            _MESSAGES,
            PersonMessage,
            _MESSAGES_PAGING,
            path={"customer_id": customer_id},
            query={
                "id_type": id_type,
                "start": start,
                "limit": limit,
                "start_ts": start_ts,
                "end_ts": end_ts,
            },
        )

    def activities(
        self,
        customer_id: Id,
        *,
        id_type: IdType | None = None,
        start: str | None = None,
        limit: int | None = None,
        type: str | None = None,
        name: str | None = None,
    ) -> Pages[Activity]:
        """Iterate over the activity log of a person. A page has at most 100.

        The vendor guarantees 30 days. `type` is an open list; `_o:1:create`, for example, is about
        objects of type 1.

        Operation: getPersonActivities
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonActivities/
        """
        return self._pages(
            _ACTIVITIES,
            Activity,
            _ACTIVITIES_PAGING,
            path={"customer_id": customer_id},
            query={"id_type": id_type, "start": start, "limit": limit, "type": type, "name": name},
        )

    def subscription_preferences(
        self,
        customer_id: Id,
        *,
        id_type: IdType | None = None,
        language: str | None = None,
    ) -> PreferencesAnswer:
        """Get the topics that a person is subscribed to, in `language` if translated.

        `language` is sent as the header `Accept-Language`, as the vendor documents it, and in the
        query.

        Operation: getPersonSubscriptionPreferences
        Page: https://docs.customer.io/integrations/api/app/tag/customers/getPersonSubscriptionPreferences/
        """
        return self._call(
            _SUBSCRIPTION_PREFERENCES,
            PreferencesAnswer,
            path={"customer_id": customer_id},
            query={"id_type": id_type, "language": language},
            headers={} if language is None else {"accept-language": language},
        )
