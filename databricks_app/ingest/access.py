"""Decide who may see metrics and the detail of `/readyz`. Pure.

- On a Databricks App: every user. The platform has signed the user in and sends their address in
  X-Forwarded-Email.
- Anywhere else, also on loopback: every request with the admin token. Without a token, nobody.

The origin of a request does not matter. A proxy with default settings, `ssh -R` or a TCP tunnel on
this machine connects from loopback, can send a loopback Host, and adds no header.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databricks_app.settings import Settings


def may_see_details(environ: Mapping[str, Any], settings: Settings) -> bool:
    """Return whether a request, given as a WSGI environ, may see the details."""
    if settings.is_databricks_app:
        return bool(environ.get("HTTP_X_FORWARDED_EMAIL"))
    if not settings.admin_token:
        return False
    scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    # WSGI decodes header bytes as latin-1 (PEP 3333); compare the bytes that were sent.
    token = given.strip().encode("latin-1", "replace")
    expected = settings.admin_token.encode()
    # In constant time, so that the time of an answer tells nothing about the token.
    return scheme.lower() == "bearer" and hmac.compare_digest(token, expected)
