"""Bodies and answers of the nouns whose names start with `newsletter`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.filters import Filter
from core.http.responses import Json
from core.values import Moment


class Newsletter(TypedDict, total=False):
    """A newsletter, without its content; times are Unix seconds.

    `type` is `email`, `webhook`, `twilio`, `push`, `in_app` or `inbox`.
    """

    id: Required[int]
    deduplicate_id: str
    name: Required[str]
    type: str
    content_ids: list[int]
    recipient_segment_ids: list[int]
    subscription_topic_id: int
    tags: list[str]
    created: int
    updated: int
    sent_at: int


class NewsletterAnswer(TypedDict, total=False):
    """One newsletter."""

    newsletter: Required[Newsletter]


class NewsletterRate(TypedDict, total=False):
    """The sending rate of a newsletter.

    Attributes:
        rate_limit_email_rate: The number of messages in each period, at least 1.
        rate_limit_time_period: The period in seconds.
        rate_limit_spread: Whether the messages are spread evenly over the period.
    """

    rate_limit_email_rate: int
    rate_limit_time_period: Literal[60, 3600, 86400]
    rate_limit_spread: bool


class NewsletterSchedule(NewsletterRate, total=False):
    """The schedule of a newsletter.

    Attributes:
        scheduled_at: a time or Unix seconds; 0 cancels the schedule.
        timezone: An IANA name; required unless the schedule is cancelled.
        tz_match_enabled: Whether to send at that hour in the time zone of each person. Then the
            period of the rate is at most 3600.
    """

    scheduled_at: Required[Moment]
    timezone: str
    tz_match_enabled: bool


class NewsletterFields(NewsletterRate, total=False):
    """The fields of every new newsletter.

    Attributes:
        name: At most 190 characters.
        recipients: The filter of the people who get it.
        send_now: Whether to send it immediately; not with `scheduled_at`.
        scheduled_at: When to send it: a time or Unix seconds.
        subscription_topic_id: Required if the workspace has a subscription center.
    """

    name: Required[str]
    recipients: Required[Filter]
    send_now: bool
    scheduled_at: Moment
    subscription_topic_id: int


_MayHaveFrom = TypedDict("_MayHaveFrom", {"from": str}, total=False)


class EmailNewsletter(NewsletterFields, _MayHaveFrom, total=False):
    """A newsletter by e-mail; `body` is HTML. Use either `from` or `from_id`."""

    type: Required[Literal["email"]]
    subject: Required[str]
    body: Required[str]
    preheader_text: str
    body_plain: str
    layout_id: int
    from_id: int


class TextNewsletter(NewsletterFields, total=False):
    """A newsletter by text message."""

    type: Required[Literal["twilio"]]
    body: Required[str]


class PushNewsletter(NewsletterFields, total=False):
    """A newsletter by push notification; it needs `subject` or `body`, or both."""

    type: Required[Literal["push"]]
    subject: str
    body: str


class InAppNewsletter(NewsletterFields, total=False):
    """A newsletter in the app; `body_json` is the text of a JSON object."""

    type: Required[Literal["in_app"]]
    body_json: Required[str]


class WebhookNewsletter(NewsletterFields, total=False):
    """A newsletter that calls a URL for each person."""

    type: Required[Literal["webhook"]]
    body: Required[str]
    request_method: Required[Literal["DELETE", "GET", "POST", "PUT", "PATCH"]]
    url: Required[str]


class InboxNewsletter(NewsletterFields, total=False):
    """A newsletter in the inbox of the vendor's JavaScript SDK.

    `body_json` is the text of a JSON object of `topics`, `type`, `properties` and `expiration`
    (`type`, `unit` and `value`).
    """

    type: Required[Literal["inbox"]]
    body_json: Required[str]


NewNewsletter: TypeAlias = (
    EmailNewsletter
    | TextNewsletter
    | PushNewsletter
    | InAppNewsletter
    | WebhookNewsletter
    | InboxNewsletter
)


# `from` is a keyword of Python, so the class syntax cannot declare it.
NewsletterContent = TypedDict(
    "NewsletterContent",
    {
        "id": int,
        "newsletter_id": int,
        "deduplicate_id": str,
        "name": str,
        "layout": str,
        "body": str,
        "body_amp": str,
        "language": str,
        "type": str,
        "from": str,
        "from_id": int,
        "reply_to": str,
        "reply_to_id": int | None,
        "preprocessor": str,
        "recipient": str,
        "subject": str,
        "bcc": str,
        "fake_bcc": bool,
        "preheader_text": str,
        "headers": dict[str, Json],
    },
    total=False,
)


class NewsletterContentAnswer(TypedDict, total=False):
    """The content of a newsletter in one language for one test group."""

    content: Required[NewsletterContent]


class NewsletterContentsAnswer(TypedDict, total=False):
    """All contents of a newsletter."""

    contents: Required[list[NewsletterContent]]


class NewsletterContentFields(TypedDict, total=False):
    """The changes; fields that are absent stay unchanged.

    `from_id` and `reply_to_id` are sender identities. `recipient` is the address or its Liquid.
    """

    body: str
    body_amp: str
    recipient: str
    subject: str
    preheader_text: str
    from_id: int
    reply_to_id: int | None
    headers: dict[str, Json]


class NewNewsletterLanguage(_MayHaveFrom, total=False):
    """A language to add, such as `de-AT`, with the content fields of the newsletter's channel."""

    language: Required[str]
    body: str
    body_plain: str
    body_json: str
    subject: str
    preheader_text: str
    layout_id: int
    from_id: int
    request_method: Literal["DELETE", "GET", "POST", "PUT", "PATCH"]
    url: str


class NewsletterTestGroup(TypedDict, total=False):
    """A test group; `winner` is true for the group that won."""

    id: int
    name: str
    label: str
    winner: bool
    content_ids: list[str]


class NewsletterTestGroupsAnswer(TypedDict, total=False):
    """The test groups of a newsletter."""

    test_groups: Required[list[NewsletterTestGroup]]
