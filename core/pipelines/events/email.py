"""Events of e-mails that another system sent.

Not for e-mails that Customer.io sent: it records their events itself (see `reporting` for events
that only a device knows). The address goes into the context:
`context={"traits": {"email": "ada@example.com"}}`.
Source: https://docs.customer.io/integrations/data-in/semantic-events/email/
"""

from __future__ import annotations

from typing import Required, TypedDict

from core.pipelines.events.event import Event, Family


class Mail(TypedDict, total=False):
    """An e-mail."""

    email_id: Required[str]
    email_subject: str
    campaign_id: str
    campaign_name: str


class ClickedMail(Mail, total=False):
    """An e-mail and the link that was clicked."""

    link_id: str
    link_url: str


class UnsubscribedMail(Mail, total=False):
    """An e-mail and the list that the person unsubscribed from."""

    list_id: str
    list_name: str


class Email(Family):
    """E-mail events."""

    __slots__ = ()

    bounced = Event("Email Bounced", Mail)
    delivered = Event("Email Delivered", Mail)
    opened = Event("Email Opened", Mail)
    link_clicked = Event("Email Link Clicked", ClickedMail)
    marked_as_spam = Event("Email Marked as Spam", Mail)
    unsubscribed = Event("Email Unsubscribed", UnsubscribedMail)
