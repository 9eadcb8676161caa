"""SMS messages of Design Studio.

Source: https://docs.customer.io/integrations/api/design-studio/tag/sms/createSms/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.design_studio_sms import NewSms, SmsPublishAnswer

if TYPE_CHECKING:
    from core.http.responses import Json

_CREATE = declare("createSms", "POST", "/v1/design_studio/sms")
_PUBLISH = declare("publishSms", "POST", "/v1/design_studio/sms/{id}/publish", rate="design_studio")


class DesignStudioSms(Noun):
    """SMS messages of Design Studio."""

    def create(self, body: NewSms) -> dict[str, Json]:
        """Create an SMS message.

        Uncertain: the fields of the answer; it is empty if there is no body.

        Operation: createSms
        Page: https://docs.customer.io/integrations/api/design-studio/tag/sms/createSms/
        """
        return self._call(_CREATE, dict[str, "Json"], body=body)

    def publish(self, id: str) -> SmsPublishAnswer:
        """Make a linked SMS message live.

        Uncertain: whether it shares the rate limit for publishing emails.

        Operation: publishSms
        Page: https://docs.customer.io/integrations/api/design-studio/tag/sms-link-and-publish/publishsms/
        """
        return self._call(_PUBLISH, SmsPublishAnswer, path={"id": id})
