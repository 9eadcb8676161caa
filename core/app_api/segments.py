"""Segments: groups of people, defined by rules or maintained manually.

Neither the App API nor the Data Pipelines API changes the people of a manual segment. The Track API
does it (`add_customers`, `remove_customers`). It is not part of this client.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.paging import Paging
from core.app_api.types.people import Identifiers
from core.app_api.types.segments import (
    CountAnswer,
    NewSegment,
    SegmentAnswer,
    SegmentsAnswer,
    UsedByAnswer,
)

if TYPE_CHECKING:
    from core.app_api.paging import Pages

_LIST = declare("listSegments", "GET", "/v1/segments")
_GET = declare("getSegment", "GET", "/v1/segments/{segment_id}")
_CREATE = declare("createManSegment", "POST", "/v1/segments")
_DELETE = declare("deleteManSegment", "DELETE", "/v1/segments/{segment_id}")
_USED_BY = declare("getSegmentDependencies", "GET", "/v1/segments/{segment_id}/used_by")
_CUSTOMER_COUNT = declare("getSegmentCount", "GET", "/v1/segments/{segment_id}/customer_count")
_MEMBERSHIP = declare("getSegmentMembership", "GET", "/v1/segments/{segment_id}/membership")
_MEMBERSHIP_PAGING = Paging("start", "identifiers", max_limit=30_000)


class Segments(Noun):
    """Segments of the workspace."""

    def list(self) -> SegmentsAnswer:
        """List all segments, in one answer.

        Operation: listSegments
        Page: https://docs.customer.io/integrations/api/app/tag/segments/listSegments/
        """
        return self._call(_LIST, SegmentsAnswer)

    def get(self, segment_id: int) -> SegmentAnswer:
        """Get one segment.

        Operation: getSegment
        Page: https://docs.customer.io/integrations/api/app/tag/segments/getSegment/
        """
        return self._call(_GET, SegmentAnswer, path={"segment_id": segment_id})

    def create(self, body: NewSegment) -> SegmentAnswer:
        """Create an empty manual segment.

        Operation: createManSegment
        Page: https://docs.customer.io/integrations/api/app/tag/segments/createManSegment/
        """
        return self._call(_CREATE, SegmentAnswer, body=body)

    def delete(self, segment_id: int) -> None:
        """Delete a manual segment.

        Operation: deleteManSegment
        Page: https://docs.customer.io/integrations/api/app/tag/segments/deleteManSegment/
        """
        self._done(_DELETE, path={"segment_id": segment_id})

    def used_by(self, segment_id: int) -> UsedByAnswer:
        """List the ids of the campaigns and newsletters that use a segment.

        Operation: getSegmentDependencies
        Page: https://docs.customer.io/integrations/api/app/tag/segments/getSegmentDependencies/
        """
        return self._call(_USED_BY, UsedByAnswer, path={"segment_id": segment_id})

    def customer_count(self, segment_id: int) -> CountAnswer:
        """Count the people in a segment.

        Operation: getSegmentCount
        Page: https://docs.customer.io/integrations/api/app/tag/segments/getSegmentCount/
        """
        return self._call(_CUSTOMER_COUNT, CountAnswer, path={"segment_id": segment_id})

    def membership(
        self, segment_id: int, *, start: str | None = None, limit: int | None = None
    ) -> Pages[Identifiers]:
        """Iterate over the people in a segment. A page has 1,000 by default, at most 30,000.

        The `body` of each page also has `ids`, a list of the plain ids.

        Operation: getSegmentMembership
        Page: https://docs.customer.io/integrations/api/app/tag/segments/getSegmentMembership/
        """
        return self._pages(
            _MEMBERSHIP,
            Identifiers,
            _MEMBERSHIP_PAGING,
            path={"segment_id": segment_id},
            query={"start": start, "limit": limit},
        )
