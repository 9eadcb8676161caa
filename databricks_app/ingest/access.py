"""Who may see more than that the receiver is alive. Pure.

- On a Databricks App the platform has signed the user in and names them in X-Forwarded-Email.
- Anywhere else, loopback included: who sends the admin token, and nobody without one.

Where a request comes from decides nothing. A proxy with its default settings, `ssh -R` and any TCP
tunnel on this machine connect from loopback, may send a loopback Host, and leave no header.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databricks_app.settings import Settings


def may_see_details(environ: Mapping[str, Any], settings: Settings) -> bool:
    """Decide for one request, given as a WSGI environ."""
    if settings.is_databricks_app:
        return bool(environ.get("HTTP_X_FORWARDED_EMAIL"))
    return bool(settings.admin_token) and _sends(environ, settings.admin_token or "")


def _sends(environ: Mapping[str, Any], token: str) -> bool:
    """Whether the header is `Authorization: Bearer <token>`."""
    scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    claimed = given.strip().encode("latin-1", "replace")
    return scheme.lower() == "bearer" and hmac.compare_digest(claimed, token.encode())
