"""Read which principal has which privileges in Unity Catalog, with inherited ones.

A user who manages an object sees the privileges of everybody. Other users see only their own; for
the rest the platform refuses the call
(https://docs.databricks.com/sql/language-manual/security-show-grant.html). So a refused call does
not mean that the privilege is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.catalog import EffectivePrivilegeAssignment

from databricks_app.operations.deployment import plan
from databricks_app.operations.deployment.needs import EVERYONE
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, found

# ALL PRIVILEGES does not include MANAGE.
_NOT_IN_ALL = "MANAGE"


@dataclass(frozen=True, slots=True)
class EffectiveGrants:
    """The privileges on an object, as far as the platform shows them.

    Attributes:
        held: Privileges by principal.
        hidden: Principals whose privileges the platform does not show.
    """

    held: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    def allows(self, who: Iterable[str], right: str) -> bool:
        """Whether one of these principals visibly has the right."""
        enough = {right} if right == _NOT_IN_ALL else {right, "ALL_PRIVILEGES"}
        return any(self.held.get(one, frozenset()) & enough for one in who)


def effective(
    workspace: TargetWorkspace, kind: str, name: str, who: Iterable[str]
) -> EffectiveGrants:
    """Read the effective privileges on an object; none if it does not exist.

    Args:
        workspace: The target workspace.
        kind: `CATALOG`, `SCHEMA`, `VOLUME` or `TABLE`.
        name: Full name of the object.
        who: Principals; each is requested alone if the platform refuses to list all.
    """
    try:
        return EffectiveGrants(_held(workspace, kind, name))
    except PermissionDenied:
        pass
    held: dict[str, frozenset[str]] = {}
    hidden = set()
    for one in who:
        try:
            held |= _held(workspace, kind, name, one)
        except PermissionDenied:
            hidden.add(one)
    return EffectiveGrants(held, frozenset(hidden))


def _held(
    workspace: TargetWorkspace, kind: str, name: str, principal: str | None = None
) -> dict[str, frozenset[str]]:
    listed = found(lambda: list(_assignments(workspace, kind, name, principal))) or []
    return {
        str(one.principal): frozenset(
            each.privilege.value for each in one.privileges or () if each.privilege
        )
        for one in listed
    }


def _assignments(
    workspace: TargetWorkspace, kind: str, name: str, principal: str | None
) -> Iterator[EffectivePrivilegeAssignment]:
    page: str | None = None
    while True:
        answer = workspace.client.grants.get_effective(
            kind, name, principal=principal, max_results=0, page_token=page
        )
        yield from answer.privilege_assignments or ()
        page = answer.next_page_token
        if not page:
            return


def lacking(
    workspace: TargetWorkspace, grant: plan.Grant, principal: str
) -> tuple[str, ...] | None:
    """Return the privileges of a grant that the app lacks; None if the platform does not show it.

    Args:
        workspace: The target workspace.
        grant: The grant that the app needs.
        principal: Application id of the app's service principal; empty if there is no app yet.
    """
    # A new app has the privileges of everybody.
    who = [one for one in (principal, EVERYONE) if one]
    seen = effective(workspace, grant.kind, grant.name, who)
    missing = tuple(one for one in grant.privileges if not seen.allows(who, one))
    return None if missing and seen.hidden else missing
