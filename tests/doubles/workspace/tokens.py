"""OAuth of a workspace: discovery, client credentials, and tokens that expire or are revoked.

A personal access token never expires. The answers to an invalid token are those seen from the
platform (n8n 34147, databricks-sdk-py 362, databricks-vscode 583): 401 after it has expired, 403
"Invalid access token" if it was never valid or is revoked, and 403 "Token is expiring within 30
seconds" shortly before it expires.

Not simulated: user login, federation, scopes, account-level hosts, JWTs (tokens are opaque).
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tests.doubles.messages import Json, Refused, Request
from tests.doubles.routing import Routes

_EXPIRING_SECONDS = 30.0

if TYPE_CHECKING:
    from tests.doubles.workspace.state import Workspace

routes = Routes()


@dataclass(slots=True)
class Tokens:
    """The clients and their tokens.

    Attributes:
        clients: Secret by client id; each client is a service principal.
        personal: User name by personal access token.
        seconds: Lifetime of new tokens.
        issued: Number of tokens issued.
        clock: Returns seconds of a monotonic clock.
    """

    clients: dict[str, str] = field(default_factory=dict)
    personal: dict[str, str] = field(default_factory=dict)
    seconds: float = 3600.0
    issued: int = 0
    clock: Callable[[], float] = time.monotonic
    _valid: dict[str, tuple[str, float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, client_id: str) -> str:
        """Issue a new token to a client."""
        token = f"double-{secrets.token_hex(16)}"
        with self._lock:
            self.issued += 1
            self._valid[token] = (client_id, self.clock() + self.seconds, self.seconds)
        return token

    def revoke_all(self) -> None:
        """Revoke every token issued so far."""
        with self._lock:
            self._valid.clear()

    def principal(self, authorization: str | None) -> str:
        """Return the user name or client id for a header `Authorization`.

        Raises:
            Refused: The header has no valid token.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "UNAUTHENTICATED", "Credential was not sent or was unsupported.")
        if token in self.personal:
            return self.personal[token]
        with self._lock:
            found = self._valid.get(token)
        if found is None:
            raise Refused(403, "PERMISSION_DENIED", "Invalid access token.")
        client_id, until, seconds = found
        left = until - self.clock()
        if left <= 0:
            raise Refused(401, "UNAUTHENTICATED", "Access token expired.")
        # Only tests use tokens shorter than two minutes: their last quarter counts.
        if left < min(_EXPIRING_SECONDS, seconds / 4):
            raise Refused(403, "PERMISSION_DENIED", "Token is expiring within 30 seconds.")
        return client_id


@routes.on("GET", "/.well-known/databricks-config", "auth.config", is_open=True)
def config(workspace: Workspace, request: Request) -> Json:
    """Return the address of the identity provider."""
    base = _base(request)
    return {"oidc_endpoint": f"{base}/oidc", "workspace_id": workspace.workspace_id}


@routes.on("GET", "/oidc/.well-known/oauth-authorization-server", "auth.discovery", is_open=True)
def discovery(_workspace: Workspace, request: Request) -> Json:
    """Return the address of the token endpoint."""
    base = _base(request)
    return {
        "issuer": f"{base}/oidc",
        "authorization_endpoint": f"{base}/oidc/v1/authorize",
        "token_endpoint": f"{base}/oidc/v1/token",
    }


@routes.on("POST", "/oidc/v1/token", "auth.token", is_open=True)
def token(workspace: Workspace, request: Request) -> Json:
    """Issue a token to a client that sends its secret."""
    form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
    client_id, secret = _client(request, form)
    if form.get("grant_type") != "client_credentials":
        raise Refused(400, "unsupported_grant_type", "Only client_credentials is supported.")
    tokens = workspace.tokens
    if not secret or not secrets.compare_digest(tokens.clients.get(client_id, ""), secret):
        raise Refused(401, "invalid_client", "Client authentication failed")
    return {
        "access_token": tokens.issue(client_id),
        "token_type": "Bearer",
        "expires_in": max(1, round(tokens.seconds)),
        "scope": form.get("scope", "all-apis"),
    }


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret


def _base(request: Request) -> str:
    return f"http://{request.headers['host']}"
