"""Languages of a Design Studio email.

Source: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.design_studio_languages import (
    NewTranslation,
    TranslationAnswer,
    TranslationChange,
    TranslationsAnswer,
)

_LIST = declare("listEmailTranslations", "GET", "/v1/design_studio/emails/{id}/languages")
_GET = declare("getEmailTranslation", "GET", "/v1/design_studio/emails/{id}/languages/{language}")
_CREATE = declare("createEmailTranslation", "POST", "/v1/design_studio/emails/{id}/languages")
_UPDATE = declare(
    "updateEmailTranslation", "PUT", "/v1/design_studio/emails/{id}/languages/{language}"
)
_DELETE = declare(
    "deleteEmailTranslation", "DELETE", "/v1/design_studio/emails/{id}/languages/{language}"
)


class DesignStudioLanguages(Noun):
    """Language versions of an email; `id` is the email's."""

    def list(self, id: str) -> TranslationsAnswer:
        """List all language versions of an email, in one answer.

        Uncertain: the operation's name.

        Operation: listEmailTranslations
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_LIST, TranslationsAnswer, path={"id": id})

    def get(self, id: str, language: str) -> TranslationAnswer:
        """Get one language version.

        Uncertain: the operation's name.

        Operation: getEmailTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_GET, TranslationAnswer, path={"id": id, "language": language})

    def create(self, id: str, body: NewTranslation) -> TranslationAnswer:
        """Add a language version to an email.

        Uncertain: the operation's name, the exact status of success, and what 409 means.

        Operation: createEmailTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        return self._call(_CREATE, TranslationAnswer, path={"id": id}, body=body)

    def update(self, id: str, language: str, body: TranslationChange) -> None:
        """Change one language version; fields that are absent stay unchanged.

        Uncertain: the operation's name, and the exact status of success.

        Operation: updateEmailTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_UPDATE, path={"id": id, "language": language}, body=body)

    def delete(self, id: str, language: str) -> None:
        """Delete one language version.

        Uncertain: the operation's name, and the exact status of success.

        Operation: deleteEmailTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/design-studio-emails/
        """
        self._done(_DELETE, path={"id": id, "language": language})
