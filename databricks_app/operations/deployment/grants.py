"""Who holds which privilege on a thing of Unity Catalog, inherited ones included.

The platform shows everybody's privileges to those who manage a thing; to others only what they ask
about themselves, and refuses the rest (https://docs.databricks.com/sql/language-manual/security-show-grant.html).
So what is refused is not taken for missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.catalog import EffectivePrivilegeAssignment

from databricks_app.operations.deployment import plan
from databricks_app.operations.deployment.needs import EVERYONE
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, found

# Not part of ALL PRIVILEGES: who holds those may still not hand them on.
_APART = "MANAGE"


@dataclass(frozen=True, slots=True)
class EffectiveGrants:
    """What could be seen of a thing.

    Attributes:
        held: Privileges by principal.
        hidden: Principals whose privileges the platform does not show.
    """

    held: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    def allows(self, who: Iterable[str], right: str) -> bool:
        """Whether one of these principals is seen to hold the right."""
        enough = {right} if right == _APART else {right, "ALL_PRIVILEGES"}
        return any(self.held.get(one, frozenset()) & enough for one in who)


def effective(
    workspace: TargetWorkspace, kind: str, name: str, who: Iterable[str]
) -> EffectiveGrants:
    """Look at what these principals effectively hold; nothing where there is no such thing.

    Args:
        workspace: Where.
        kind: `CATALOG`, `SCHEMA`, `VOLUME` or `TABLE`.
        name: Its full name.
        who: Asked about one by one, should the platform not show them all.
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
    """What of a grant the app's service principal does not have yet; None if that is not shown.

    Args:
        workspace: Where.
        grant: What it needs.
        principal: Its application id; empty while there is no app, which will then have what
            everybody has.
    """
    who = [one for one in (principal, EVERYONE) if one]
    seen = effective(workspace, grant.kind, grant.name, who)
    missing = tuple(one for one in grant.privileges if not seen.allows(who, one))
    return None if missing and seen.hidden else missing
