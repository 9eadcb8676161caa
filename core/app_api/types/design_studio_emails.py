"""Bodies and answers of `core.app_api.design_studio_emails`."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias, TypedDict

from core.http.responses import Json

YesNoAny: TypeAlias = Literal["true", "false", "any"]


class EmailAnswer(TypedDict, total=False):
    """One email."""

    email: Required[dict[str, Json]]


class EmailContent(TypedDict, total=False):
    """The content of an email."""

    subject: str
    preheader_text: str
    html: str
    amp: str
    text: str


class Envelope(TypedDict, total=False):
    """Sender and recipients; `headers` are pairs of `name` and `value`."""

    from_id: int
    reply_to_id: int
    recipient: str
    bcc: str
    fake_bcc: bool
    cc: str
    headers: list[dict[str, str]]


class DesignStudioEmailFields(TypedDict, total=False):
    """The fields of an email; `transformers` are processing steps such as `css_inliner`."""

    parent_folder_id: str | None
    is_template: bool
    content: EmailContent
    envelope: Envelope
    transformers: dict[str, Json]


class NewEmail(DesignStudioEmailFields, total=False):
    """An email to create."""

    name: Required[str]


class EmailChange(DesignStudioEmailFields, total=False):
    """The changes, at least one field; the parent None is the top level."""

    name: str


class EmailLink(TypedDict, total=False):
    """The target of a link: `target` has a `type`, such as `campaign_action`, and its id."""

    target: Required[dict[str, Json]]
    force: bool


class EmailLinkAnswer(TypedDict, total=False):
    """The link that was created."""

    node_id: str
    template_id: int
    target: dict[str, Json]


class PublishedMapping(TypedDict, total=False):
    """The version that is live for a target."""

    node_id: str
    template_id: int
    version_id: str
    language: str


class PublishAnswer(TypedDict, total=False):
    """The state of a publish; it has `publish_id` if it is `pending`."""

    status: Literal["done", "pending"]
    publish_id: str
    mappings: list[PublishedMapping]


class PublishStatusAnswer(TypedDict, total=False):
    """The state of a publish."""

    status: str
    mappings: list[dict[str, Json]]


class UnpublishedChangesAnswer(TypedDict, total=False):
    """Whether the draft differs from the live version."""

    has_unpublished_changes: Required[bool]


class RenderAnswer(TypedDict, total=False):
    """The compiled email."""

    html: str
    amp: str
    text: str


class SampleData(TypedDict, total=False):
    """The data for Liquid."""

    customer: dict[str, Json]
    event: dict[str, Json]
    trigger: dict[str, Json]
    campaign: dict[str, Json]
    journey: dict[str, Json]
    message: dict[str, Json]
    object: dict[str, Json]
    lax: bool


class PreviewAnswer(TypedDict, total=False):
    """The email as a recipient would see it, and the errors of Liquid."""

    html: str
    errors: dict[str, Json]
