"""Workspaces of the account.

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from core.app_api.declarations import declare
from core.app_api.noun import Noun
from core.app_api.types.workspaces import WorkspacesAnswer

_LIST = declare("listWorkspaces", "GET", "/v1/workspaces")


class Workspaces(Noun):
    """Workspaces of the account."""

    def list(self) -> WorkspacesAnswer:
        """List all workspaces of the account with their usage, in one answer.

        Operation: listWorkspaces
        Page: https://docs.customer.io/integrations/api/app/tag/workspaces/listWorkspaces/
        """
        return self._call(_LIST, WorkspacesAnswer)
