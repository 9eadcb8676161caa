"""Snippets: named content that several messages share.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.snippets import SnippetAnswer, SnippetFields, SnippetsAnswer

_LIST = declare("listSnippets", "GET", "/v1/snippets")
_CREATE = declare("createSnippet", "POST", "/v1/snippets")
_UPDATE = declare("updateSnippets", "PUT", "/v1/snippets")
_DELETE = declare("deleteSnippet", "DELETE", "/v1/snippets/{snippet_name}")


class Snippets(Noun):
    """Snippets of the workspace."""

    def list(self) -> SnippetsAnswer:
        """List all snippets, in one answer.

        Operation: listSnippets
        Page: https://docs.customer.io/integrations/api/app/tag/snippets/listSnippets/
        """
        return self._call(_LIST, SnippetsAnswer)

    def create(self, body: SnippetFields) -> SnippetAnswer:
        """Create a snippet with a new name.

        Operation: createSnippet
        Page: https://docs.customer.io/integrations/api/app/tag/snippets/createSnippet/
        """
        return self._call(_CREATE, SnippetAnswer, body=body)

    def update(self, body: SnippetFields) -> SnippetAnswer:
        """Change the value of a snippet, or create the snippet if it does not exist.

        Operation: updateSnippets
        Page: https://docs.customer.io/integrations/api/app/tag/snippets/updateSnippets/
        """
        return self._call(_UPDATE, SnippetAnswer, body=body)

    def delete(self, snippet_name: str) -> None:
        """Delete a snippet that no message uses.

        Raises:
            BadRequestError: A message uses it.

        Operation: deleteSnippet
        Page: https://docs.customer.io/integrations/api/app/tag/snippets/deleteSnippet/
        """
        self._done(_DELETE, path={"snippet_name": snippet_name})
