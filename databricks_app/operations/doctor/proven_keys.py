"""The check that the signing keys are right: each workspace has one that Customer.io signs with.

The canary proves nothing here, because we sign it with the same key.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import httpx2

from databricks_app.errors import QueryError
from databricks_app.events.workspaces import DEFAULT
from databricks_app.operations.doctor.endpoint import ask, counts
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.runtime.env_file import DEVELOPMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from databricks_app.operations.doctor.context import DoctorContext

_STORED = """SELECT key_fingerprint, count(*) AS events FROM webhook_raw_events
WHERE coalesce(object_type, '') <> 'ciolake' GROUP BY key_fingerprint"""
_FIX = (
    "Customer.io has several keys: each reporting webhook has its own signing key, and there are "
    "the App API key, the Track API key and the key of webhook actions. On the page Reporting "
    "Webhooks, open the webhook that posts here, compare its signing key with "
    "CIO_WEBHOOK_SIGNING_KEYS, and correct that; then send a test event from that page"
)


def proven(context: DoctorContext) -> CheckResult:
    """Check that a key of each workspace has verified a request that is not ours."""
    keys = [
        one.fingerprint
        for one in context.settings.signing_keys or ()
        if not one.secret.startswith(DEVELOPMENT.encode())
    ]
    if not keys:
        return skipped("there is no signing key of Customer.io to prove")
    by_workspace = defaultdict[str, list[str]](list)
    for key in keys:
        by_workspace[context.settings.workspaces.get(key, DEFAULT)].append(key)
    seen = _seen(context)
    unproven = {
        name: ours for name, ours in by_workspace.items() if not any(seen.get(one) for one in ours)
    }
    if not unproven:
        newest = max(str(seen[key]) for key in keys if seen.get(key))
        return ok(f"a request of Customer.io was verified by {_words(by_workspace)}, at {newest}")
    return _of_unproven(unproven, context)


def _of_unproven(unproven: Mapping[str, Sequence[str]], context: DoctorContext) -> CheckResult:
    stored, wrong = _stored(context), _wrong_signatures(context)
    never = {
        name: keys for name, keys in unproven.items() if not any(stored.get(one, 0) for one in keys)
    }
    if never and wrong:
        return failure(
            f"{wrong:,.0f} requests had a wrong signature, and no request of Customer.io was ever "
            f"verified by {_words(never)}",
            _FIX,
        )
    if never:
        says = f"no request of Customer.io was ever verified by {_words(never)}"
        return warning(f"{says}: nothing proves yet that it is the right key", _FIX)
    says = f"no request of Customer.io is known since the start, verified by {_words(unproven)}"
    if wrong:
        return warning(f"{says}, but {wrong:,.0f} with a wrong signature", _FIX)
    number = sum(stored.get(one, 0) for keys in unproven.values() for one in keys)
    return ok(f"{says}; {number:,} stored events have that key")


def _words(keys: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(
        f"key {' or '.join(ours)} of the workspace {name}" for name, ours in sorted(keys.items())
    )


def _seen(context: DoctorContext) -> Mapping[str, object]:
    """Return when each key last verified a request, as /readyz shows it; empty if unknown."""
    if context.destination is None:
        return {}
    try:
        found = ask(context, "/readyz").json()["verified_keys"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return {}  # a relay has no such page; the checks endpoint and ready report other faults
    return found if isinstance(found, dict) else {}


def _wrong_signatures(context: DoctorContext) -> float:
    """Return how many requests had a wrong signature since the start; 0 if unknown."""
    if context.destination is None:
        return 0.0
    try:
        found = counts(context, "ciolake_rejected_requests_total")
    except httpx2.HTTPError:
        return 0.0
    return sum(value for labels, value in found if labels.get("reason") == "wrong_signature")


def _stored(context: DoctorContext) -> dict[str, int]:
    """Return the number of stored events by key, without our own; empty if there are no tables."""
    try:
        rows = context.tables().run(_STORED).rows
    except QueryError:
        return {}  # the checks of the tables report it
    return {str(key): int(str(number)) for key, number in rows}
