"""Subscription center: topics and channels, and the page where people choose them.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.subscription_center import ChannelsAnswer, TokenAnswer, TopicsAnswer

if TYPE_CHECKING:
    from core.values import Id

_TOPICS = declare("getTopics", "GET", "/v1/subscription_topics")
_CHANNELS = declare("listSubscriptionChannels", "GET", "/v1/subscription_channels")
_TOKEN = declare("getSubscriptionCenterToken", "GET", "/v1/subscription_center/{customer_id}/token")


class SubscriptionCenter(Noun):
    """Topics and channels that people choose from."""

    def topics(self) -> TopicsAnswer:
        """List all topics, in one answer.

        Operation: getTopics
        Page: https://docs.customer.io/integrations/api/app/tag/subscription-center/getTopics/
        """
        return self._call(_TOPICS, TopicsAnswer)

    def channels(self) -> ChannelsAnswer:
        """List all channels that people can subscribe to, in one answer.

        Uncertain: the operation's name.

        Operation: listSubscriptionChannels
        Page: https://docs.customer.io/integrations/api/app/tag/subscription-center/listSubscriptionChannels/
        """
        return self._call(_CHANNELS, ChannelsAnswer)

    def token(self, customer_id: Id) -> TokenAnswer:
        """Get a signed token and the URL of a person's page; both are valid for 24 hours.

        Anyone with the URL can change the subscriptions of the person: keep it out of logs.

        Operation: getSubscriptionCenterToken
        Page: https://docs.customer.io/integrations/api/app/tag/subscription-center/getSubscriptionCenterToken/
        """
        return self._call(_TOKEN, TokenAnswer, path={"customer_id": customer_id})
