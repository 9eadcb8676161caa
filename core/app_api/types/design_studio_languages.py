"""Bodies and answers of `core.app_api.design_studio_languages`."""

from __future__ import annotations

from typing import Required, TypedDict

from core.app_api.types.design_studio_emails import EmailContent, Envelope
from core.http.responses import Json


class TranslationsAnswer(TypedDict, total=False):
    """All language versions."""

    email_translations: Required[list[dict[str, Json]]]


class TranslationAnswer(TypedDict, total=False):
    """One language version."""

    email_translation: Required[dict[str, Json]]


class NewTranslation(TypedDict, total=False):
    """A language version to add."""

    language: Required[str]
    content: EmailContent
    envelope: Envelope
    transformers: dict[str, Json]


class TranslationChange(TypedDict, total=False):
    """The changes, at least one field."""

    content: EmailContent
    envelope: Envelope
    transformers: dict[str, Json]
