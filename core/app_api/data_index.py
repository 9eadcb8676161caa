"""Data index: what the attributes and events of the workspace mean.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.data_index import AttributeDescriptions, EventDescriptions

_ATTRIBUTES = declare(
    "updateAttributeMetadata", "POST", "/v1/data_index/attributes", is_repeatable=True
)
_EVENTS = declare("updateEventMetadata", "POST", "/v1/data_index/events", is_repeatable=True)


class DataIndex(Noun):
    """Descriptions of attributes and events."""

    def attributes(self, body: AttributeDescriptions) -> None:
        """Describe up to 100 attributes; doing it twice does no harm.

        Operation: updateAttributeMetadata
        Page: https://docs.customer.io/integrations/api/app/tag/data-index/updateAttributeMetadata/
        """
        self._done(_ATTRIBUTES, body=body)

    def events(self, body: EventDescriptions) -> None:
        """Describe up to 100 events; doing it twice does no harm.

        Operation: updateEventMetadata
        Page: https://docs.customer.io/integrations/api/app/tag/data-index/updateEventMetadata/
        """
        self._done(_EVENTS, body=body)
