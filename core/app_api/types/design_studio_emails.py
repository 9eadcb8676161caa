"""Bodies and answers of `core.app_api.design_studio_emails`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.app_api.types.design_studio import NodeQuery
from core.http.responses import Json

YesNoAny: TypeAlias = Literal["true", "false", "any"]


class EmailQuery(NodeQuery, total=False):
    """What `design_studio_emails.list` can be asked for."""

    is_template: YesNoAny
    has_translations: YesNoAny
    is_linked: YesNoAny


class EmailAnswer(TypedDict, total=False):
    """One email."""

    email: dict[str, Json]


class EmailContent(TypedDict, total=False):
    """What an email says."""

    subject: str
    preheader_text: str
    html: str
    amp: str
    text: str


class Envelope(TypedDict, total=False):
    """From whom and to whom; `headers` are pairs of `name` and `value`."""

    from_id: int
    reply_to_id: int
    recipient: str
    bcc: str
    fake_bcc: bool
    cc: str
    headers: list[dict[str, str]]


class DesignStudioEmailFields(TypedDict, total=False):
    """What an email is made of; `transformers` name steps such as `css_inliner`."""

    parent_folder_id: str | None
    is_template: bool
    content: EmailContent
    envelope: Envelope
    transformers: dict[str, Json]


class NewEmail(DesignStudioEmailFields, total=False):
    """An email to create."""

    name: Required[str]


class EmailChange(DesignStudioEmailFields, total=False):
    """At least one of them; no parent (None) is the top."""

    name: str


class EmailLink(TypedDict, total=False):
    """What to bind to: `target` has a `type`, such as `campaign_action`, and its id."""

    target: Required[dict[str, Json]]
    force: bool


class EmailLinkAnswer(TypedDict, total=False):
    """What is bound."""

    node_id: str
    template_id: int
    target: dict[str, Json]


class PublishedMapping(TypedDict, total=False):
    """Which version is live where."""

    node_id: str
    template_id: int
    version_id: str
    language: str


class PublishAnswer(TypedDict, total=False):
    """How far a publish is; `publish_id` if it is `pending`."""

    status: Literal["done", "pending"]
    publish_id: str
    mappings: list[PublishedMapping]


class PublishStatusAnswer(TypedDict, total=False):
    """How far a publish is."""

    status: str
    mappings: list[dict[str, Json]]


class UnpublishedChangesAnswer(TypedDict, total=False):
    """Whether there is something to publish."""

    has_unpublished_changes: bool


class RenderAnswer(TypedDict, total=False):
    """What an email compiles to."""

    html: str
    amp: str
    text: str


class SampleData(TypedDict, total=False):
    """What Liquid sees."""

    customer: dict[str, Json]
    event: dict[str, Json]
    trigger: dict[str, Json]
    campaign: dict[str, Json]
    journey: dict[str, Json]
    message: dict[str, Json]
    object: dict[str, Json]
    lax: bool


class PreviewAnswer(TypedDict, total=False):
    """What a recipient would see, and what Liquid could not do."""

    html: str
    errors: dict[str, Json]
