"""Live notifications: Live Activities (iOS) and live updates (Android).

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.live_notifications import (
    InstanceAnswer,
    LiveNotification,
    LiveNotificationEnd,
    LiveNotificationStart,
    LiveNotificationUpdate,
)

_START = declare("startLiveNotification", "POST", "/v1/live_notifications/start")
_UPDATE = declare("updateLiveNotification", "POST", "/v1/live_notifications/update")
_END = declare("endLiveNotification", "POST", "/v1/live_notifications/end")
_GET = declare("getLiveNotification", "GET", "/v1/live_notifications/{instance_id}")


class LiveNotifications(Noun):
    """Live notifications to people's devices."""

    def start(self, body: LiveNotificationStart) -> InstanceAnswer:
        """Start a live notification on the devices of a person.

        The answer means that it is accepted, not that it is shown. `get` can answer 404 for a short
        time after it.

        Operation: startLiveNotification
        Page: https://docs.customer.io/integrations/api/app/tag/live-notifications/startLiveNotification/
        """
        return self._call(_START, InstanceAnswer, body=body)

    def update(self, body: LiveNotificationUpdate) -> InstanceAnswer:
        """Replace the content of an active live notification.

        Operation: updateLiveNotification
        Page: https://docs.customer.io/integrations/api/app/tag/live-notifications/updateLiveNotification/
        """
        return self._call(_UPDATE, InstanceAnswer, body=body)

    def end(self, body: LiveNotificationEnd) -> InstanceAnswer:
        """End a live notification, with its last content.

        Uncertain: whether `content_state` is required.

        Operation: endLiveNotification
        Page: https://docs.customer.io/integrations/api/app/tag/live-notifications/endLiveNotification/
        """
        return self._call(_END, InstanceAnswer, body=body)

    def get(self, instance_id: str) -> LiveNotification:
        """Get the state of a live notification, and the result of its last push.

        Operation: getLiveNotification
        Page: https://docs.customer.io/integrations/api/app/tag/live-notifications/getLiveNotification/
        """
        return self._call(_GET, LiveNotification, path={"instance_id": instance_id})
