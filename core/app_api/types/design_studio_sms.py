"""Bodies and answers of `core.app_api.design_studio_sms`."""

from __future__ import annotations

from typing import Required, TypedDict


class NewSms(TypedDict, total=False):
    """An SMS message to create.

    `content` is `x-sms` markup, `name` has 1 to 191 characters, `recipient` may contain Liquid.
    """

    content: Required[str]
    name: Required[str]
    parent_folder_id: str | None
    recipient: str


class SmsPublishAnswer(TypedDict, total=False):
    """The version that is live now."""

    template_ids: list[int]
    version_id: str
