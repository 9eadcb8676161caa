"""Newsletter languages: the language versions of a newsletter without test groups.

The languages of a test group are in `core.app_api.newsletter_test_groups`.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.newsletters import (
    NewNewsletterLanguage,
    NewsletterAnswer,
    NewsletterContentAnswer,
    NewsletterContentFields,
)

_GET = declare(
    "getNewsletterVariantTranslation", "GET", "/v1/newsletters/{newsletter_id}/language/{language}"
)
_CREATE = declare(
    "createNewsletterLanguageVariant", "POST", "/v1/newsletters/{newsletter_id}/language"
)
_UPDATE = declare(
    "updateNewsletterVariantTranslation",
    "PUT",
    "/v1/newsletters/{newsletter_id}/language/{language}",
)
_DELETE = declare(
    "deleteNewsletterLanguage", "DELETE", "/v1/newsletters/{newsletter_id}/language/{language}"
)


class NewsletterLanguages(Noun):
    """Language versions of a newsletter."""

    def get(self, newsletter_id: int, language: str) -> NewsletterContentAnswer:
        """Get the content of a newsletter in one language, such as `de-AT`.

        Operation: getNewsletterVariantTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletterVariantTranslation/
        """
        return self._call(
            _GET,
            NewsletterContentAnswer,
            path={"newsletter_id": newsletter_id, "language": language},
        )

    def create(self, newsletter_id: int, body: NewNewsletterLanguage) -> NewsletterAnswer:
        """Add a language to a newsletter, except one made in Design Studio or by drag and drop.

        Uncertain: the documentation gives only an outline of the body.

        Operation: createNewsletterLanguageVariant
        Page: https://docs.customer.io/integrations/api/app/tag/newsletter-variants/createNewsletterLanguageVariant/
        """
        return self._call(
            _CREATE, NewsletterAnswer, path={"newsletter_id": newsletter_id}, body=body
        )

    def update(
        self, newsletter_id: int, language: str, body: NewsletterContentFields
    ) -> NewsletterContentAnswer:
        """Change the content of a newsletter in one language.

        Operation: updateNewsletterVariantTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/updateNewsletterVariantTranslation/
        """
        return self._call(
            _UPDATE,
            NewsletterContentAnswer,
            path={"newsletter_id": newsletter_id, "language": language},
            body=body,
        )

    def delete(self, newsletter_id: int, language: str) -> None:
        """Remove a language from a newsletter.

        Uncertain: no documentation gives the operation's name or its status codes.

        Operation: deleteNewsletterLanguage
        Page: https://docs.customer.io/integrations/api/app/tag/newsletter-variants/deleteNewsletterLanguage/
        """
        self._done(_DELETE, path={"newsletter_id": newsletter_id, "language": language})
