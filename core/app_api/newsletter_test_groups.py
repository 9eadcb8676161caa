"""Newsletter test groups: the groups of an A/B test, and their contents in each language.

In the specification, the id of a test group is a number in some places and text in others.
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
    NewsletterTestGroupsAnswer,
)

_LIST = declare("getNewsletterTestGroups", "GET", "/v1/newsletters/{newsletter_id}/test_groups")
_CREATE = declare(
    "createNewsletterTestGroup", "POST", "/v1/newsletters/{newsletter_id}/test_groups"
)
# From here on the vendor's paths contain `test_group`.
_GET_LANGUAGE = declare(
    "getNewsletterVariantTranslationTest",
    "GET",
    "/v1/newsletters/{newsletter_id}/test_group/{test_group_id}/language/{language}",
)
_CREATE_LANGUAGE = declare(
    "createNewsletterTestLanguageVariant",
    "POST",
    "/v1/newsletters/{newsletter_id}/test_group/{test_group_id}/language",
)
_UPDATE_LANGUAGE = declare(
    "updateNewsletterTestTranslation",
    "PUT",
    "/v1/newsletters/{newsletter_id}/test_group/{test_group_id}/language/{language}",
)
_DELETE_LANGUAGE = declare(
    "deleteNewsletterTestGroupLanguage",
    "DELETE",
    "/v1/newsletters/{newsletter_id}/test_group/{test_group_id}/language/{language}",
)


class NewsletterTestGroups(Noun):
    """Test groups of a newsletter."""

    def list(self, newsletter_id: int) -> NewsletterTestGroupsAnswer:
        """List the test groups of a newsletter, in one answer.

        Operation: getNewsletterTestGroups
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletterTestGroups/
        """
        return self._call(_LIST, NewsletterTestGroupsAnswer, path={"newsletter_id": newsletter_id})

    def create(self, newsletter_id: int) -> NewsletterAnswer:
        """Add a test group without content.

        Uncertain: no documentation gives the operation's name.

        Operation: createNewsletterTestGroup
        Page: https://docs.customer.io/integrations/api/app/tag/newsletter-variants/createNewsletterTestGroup/
        """
        return self._call(_CREATE, NewsletterAnswer, path={"newsletter_id": newsletter_id})

    def get_language(
        self, newsletter_id: int, test_group_id: int | str, language: str
    ) -> NewsletterContentAnswer:
        """Get the content of a test group in one language, such as `de-AT`.

        Operation: getNewsletterVariantTranslationTest
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/getNewsletterVariantTranslationTest/
        """
        return self._call(
            _GET_LANGUAGE,
            NewsletterContentAnswer,
            path=_path(newsletter_id, test_group_id, language),
        )

    def create_language(
        self, newsletter_id: int, test_group_id: int | str, body: NewNewsletterLanguage
    ) -> NewsletterAnswer:
        """Add a language to a test group, except one made in Design Studio or by drag and drop.

        Uncertain: the documentation gives only an outline of the body.

        Operation: createNewsletterTestLanguageVariant
        Page: https://docs.customer.io/integrations/api/app/tag/newsletter-variants/createNewsletterTestLanguageVariant/
        """
        return self._call(
            _CREATE_LANGUAGE,
            NewsletterAnswer,
            path={"newsletter_id": newsletter_id, "test_group_id": test_group_id},
            body=body,
        )

    def update_language(
        self,
        newsletter_id: int,
        test_group_id: int | str,
        language: str,
        body: NewsletterContentFields,
    ) -> NewsletterContentAnswer:
        """Change the content of a test group in one language.

        Operation: updateNewsletterTestTranslation
        Page: https://docs.customer.io/integrations/api/app/tag/newsletters/updateNewsletterTestTranslation/
        """
        return self._call(
            _UPDATE_LANGUAGE,
            NewsletterContentAnswer,
            path=_path(newsletter_id, test_group_id, language),
            body=body,
        )

    def delete_language(self, newsletter_id: int, test_group_id: int | str, language: str) -> None:
        """Remove a language from a test group.

        Uncertain: no documentation gives the operation's name or its status codes.

        Operation: deleteNewsletterTestGroupLanguage
        Page: https://docs.customer.io/integrations/api/app/tag/newsletter-variants/deleteNewsletterTestGroupLanguage/
        """
        self._done(_DELETE_LANGUAGE, path=_path(newsletter_id, test_group_id, language))


def _path(newsletter_id: int, test_group_id: int | str, language: str) -> dict[str, int | str]:
    return {"newsletter_id": newsletter_id, "test_group_id": test_group_id, "language": language}
