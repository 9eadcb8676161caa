"""Data index: descriptions of the attributes and events of the workspace.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.data_index import AttributeDescriptions, EventDescriptions

# Both set descriptions: a second call sets the same ones.
_ATTRIBUTES = declare(
    "updateAttributeMetadata", "POST", "/v1/data_index/attributes", is_repeatable=True
)
_EVENTS = declare("updateEventMetadata", "POST", "/v1/data_index/events", is_repeatable=True)


class DataIndex(Noun):
    """Descriptions of attributes and events."""

    def attributes(self, body: AttributeDescriptions) -> None:
        """Set the descriptions of up to 100 attributes; a second call does no harm.

        Operation: updateAttributeMetadata
        Page: https://docs.customer.io/integrations/api/app/tag/data-index/updateAttributeMetadata/
        """
        self._done(_ATTRIBUTES, body=body)

    def events(self, body: EventDescriptions) -> None:
        """Set the descriptions of up to 100 events; a second call does no harm.

        Operation: updateEventMetadata
        Page: https://docs.customer.io/integrations/api/app/tag/data-index/updateEventMetadata/
        """
        self._done(_EVENTS, body=body)
