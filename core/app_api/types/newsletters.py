"""Bodies and answers of the nouns that begin with `newsletter`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.filters import Filter
from core.app_api.types.messages import Reached
from core.http.responses import Json


class Newsletter(TypedDict, total=False):
    """A newsletter, without its content; times in seconds since 1970.

    `type` is `email`, `webhook`, `twilio`, `push`, `in_app` or `inbox`.
    """

    id: int
    deduplicate_id: str
    name: str
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

    newsletter: Newsletter


class NewsletterRate(TypedDict, total=False):
    """How fast a newsletter is sent.

    Attributes:
        rate_limit_email_rate: So many messages in each period, at least 1.
        rate_limit_time_period: The period in seconds.
        rate_limit_spread: Whether they are spread evenly over it.
    """

    rate_limit_email_rate: int
    rate_limit_time_period: Literal[60, 3600, 86400]
    rate_limit_spread: bool


class NewsletterSchedule(NewsletterRate, total=False):
    """When a newsletter is sent.

    Attributes:
        scheduled_at: The second since 1970; 0 takes the schedule back.
        timezone: An IANA name; required, unless the schedule is taken back.
        tz_match_enabled: Sends at that hour of everyone's own time zone; the period of the rate
            is then 3600 at most.
    """

    scheduled_at: Required[int]
    timezone: str
    tz_match_enabled: bool


class NewsletterFields(NewsletterRate, total=False):
    """What every new newsletter has.

    Attributes:
        name: At most 190 characters.
        recipients: Who gets it.
        send_now: Sends it at once; not with `scheduled_at`.
        scheduled_at: The second since 1970 at which to send it.
        subscription_topic_id: Required if the workspace has a subscription center.
    """

    name: Required[str]
    recipients: Required[Filter]
    send_now: bool
    scheduled_at: int
    subscription_topic_id: int


_MayHaveFrom = TypedDict("_MayHaveFrom", {"from": str}, total=False)


class EmailNewsletter(NewsletterFields, _MayHaveFrom, total=False):
    """A newsletter by e-mail; `body` is HTML, and `from` and `from_id` exclude each other."""

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
    """A newsletter by push notification; needs `subject` or `body`, or both."""

    type: Required[Literal["push"]]
    subject: str
    body: str


class InAppNewsletter(NewsletterFields, total=False):
    """A newsletter in the app; `body_json` is the text of a JSON object."""

    type: Required[Literal["in_app"]]
    body_json: Required[str]


class WebhookNewsletter(NewsletterFields, total=False):
    """A newsletter that calls an address for each person."""

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


class NewsletterDeliveryQuery(TypedDict, total=False):
    """What `newsletters.messages` can be asked for; no page lists the words of `type`."""

    start: str
    limit: int
    metric: Reached
    type: str
    start_ts: int
    end_ts: int
    get_tracked_responses: bool


# A class cannot have a field `from`.
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
    """What a newsletter says in one language, to one test group."""

    content: NewsletterContent


class NewsletterContentsAnswer(TypedDict, total=False):
    """All that a newsletter says."""

    contents: list[NewsletterContent]


class NewsletterContentFields(TypedDict, total=False):
    """What can be changed; what is absent stays.

    `from_id` and `reply_to_id` are sender identities.
    """

    body: str
    body_amp: str
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
    """A test group; `winner` is true of the one that won."""

    id: int
    name: str
    label: str
    winner: bool
    content_ids: list[str]


class NewsletterTestGroupsAnswer(TypedDict, total=False):
    """The test groups of a newsletter."""

    test_groups: list[NewsletterTestGroup]
