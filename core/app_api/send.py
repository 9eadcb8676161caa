"""Send transactional messages to one person each, from a template or with their content.

A success means that the message is queued, not delivered. The vendor has no idempotency key, so the
client does not repeat a send that may have been executed: see `CallError.is_outcome_unknown`. All
sends share one rate limit with the Data Pipelines API.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.send import (
    Email,
    InAppMessage,
    InboxMessage,
    Push,
    SendAnswer,
    TextMessage,
    WhatsAppMessage,
)

# None of these may be repeated: the vendor has no idempotency key.
_EMAIL = declare("sendEmail", "POST", "/v1/send/email", rate="transactional")
_PUSH = declare("sendPush", "POST", "/v1/send/push", rate="transactional")
_SMS = declare("sendSMS", "POST", "/v1/send/sms", rate="transactional")
_WHATSAPP = declare("sendWhatsApp", "POST", "/v1/send/whatsapp", rate="transactional")
_IN_APP = declare("sendInApp", "POST", "/v1/send/in_app", rate="transactional")
_INBOX_MESSAGE = declare("sendInboxMessage", "POST", "/v1/send/inbox_message", rate="transactional")


class Send(Noun):
    """Transactional messages to one person each."""

    def email(self, body: Email) -> SendAnswer:
        """Send an e-mail, from a template or with `body`, `subject` and `from`.

        At most 1 MB without attachments, 2 MB of attachments, and 15 recipients in `to`, `cc` and
        `bcc` together.

        Raises:
            BadRequestError: A field is missing, or an attachment is not base64.
            ForbiddenError: The workspace may not send e-mails.
            ContentTooLargeError: The attachments are larger than the limit.

        Operation: sendEmail
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/sendEmail/
        """
        return self._call(_EMAIL, SendAnswer, body=body)

    def push(self, body: Push) -> SendAnswer:
        """Send a push notification to all devices of a person, or to one of them.

        Raises:
            BadRequestError: A field is missing or not valid.

        Operation: sendPush
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/sendPush/
        """
        return self._call(_PUSH, SendAnswer, body=body)

    def sms(self, body: TextMessage) -> SendAnswer:
        """Send a text message.

        Raises:
            ForbiddenError: The workspace may not send text messages.

        Operation: sendSMS
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/sendSMS/
        """
        return self._call(_SMS, SendAnswer, body=body)

    def whatsapp(self, body: WhatsAppMessage) -> SendAnswer:
        """Send a WhatsApp message from a template that WhatsApp has approved.

        Raises:
            ForbiddenError: The workspace may not send WhatsApp messages.

        Operation: sendWhatsApp
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/sendWhatsApp/
        Source: https://docs.customer.io/integrations/api/app/tag/send-messages/sendWhatsApp/
        """
        return self._call(_WHATSAPP, SendAnswer, body=body)

    def in_app(self, body: InAppMessage) -> SendAnswer:
        """Send an in-app message.

        Raises:
            ForbiddenError: The workspace may not send in-app messages.

        Operation: sendInApp
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/sendInApp/
        """
        return self._call(_IN_APP, SendAnswer, body=body)

    def inbox_message(self, body: InboxMessage) -> SendAnswer:
        """Send an inbox message: JSON for the vendor's JavaScript SDK.

        Raises:
            ForbiddenError: The workspace may not send inbox messages.

        Operation: sendInboxMessage
        Page: https://docs.customer.io/integrations/api/app/tag/send-messages/sendinboxmessage/
        Source: https://docs.customer.io/integrations/api/app/tag/send-messages/sendinboxmessage/
        """
        return self._call(_INBOX_MESSAGE, SendAnswer, body=body)
