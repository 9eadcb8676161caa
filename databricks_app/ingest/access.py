"""Who may see more than that the receiver is alive. Pure.

- On a Databricks App the platform has signed the user in and names them in X-Forwarded-Email.
- On loopback: if the address listened on is loopback, the Host header is a loopback name and no
  proxy left a mark (behind a tunnel the peer is loopback too).
- Anywhere else: with the admin token, and not at all without one.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databricks_app.settings import Settings

_PROXY_MARKS = ("HTTP_FORWARDED", "HTTP_VIA")
_PROXY_PREFIX = "HTTP_X_FORWARDED_"
_LOOPBACK_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.I | re.ASCII)


def may_see_details(environ: Mapping[str, Any], settings: Settings) -> bool:
    """Decide for one request, given as a WSGI environ."""
    if settings.is_databricks_app:
        return bool(environ.get("HTTP_X_FORWARDED_EMAIL"))
    if settings.admin_token and _bears(environ, settings.admin_token):
        return True
    return settings.is_loopback and _is_direct_loopback(environ)


def _bears(environ: Mapping[str, Any], token: str) -> bool:
    scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    claimed = given.strip().encode("latin-1", "replace")
    return scheme.lower() == "bearer" and hmac.compare_digest(claimed, token.encode())


def _is_direct_loopback(environ: Mapping[str, Any]) -> bool:
    if any(name in environ for name in _PROXY_MARKS):
        return False
    if any(name.startswith(_PROXY_PREFIX) for name in environ):
        return False
    return _LOOPBACK_HOST.fullmatch(str(environ.get("HTTP_HOST", ""))) is not None
