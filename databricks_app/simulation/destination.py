"""Where signed events go and which key signs them.

Reads nothing by itself: the variables come from `settings.environment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from databricks_app.errors import SettingsError
from databricks_app.settings import from_environment
from databricks_app.signature import SigningKey

KEY_VARIABLE = "CIO_WEBHOOK_SIGNING_KEYS"
PATH = "/api/webhooks/customerio"


@dataclass(frozen=True, slots=True)
class Destination:
    """The parts of a URL that a connection needs; `path` includes the query."""

    is_tls: bool
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The whole URL again."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.path}"


def exactly(url: str) -> Destination:
    """Take a URL apart; without a path it means the root.

    Raises:
        SettingsError: It is not an absolute http or https URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError("the URL cannot be read") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("the URL must begin with http:// or https:// and name a host")
    if parts.username is not None or not f"{parts.path}{parts.query}".isascii():
        raise SettingsError("the URL must hold neither a user name nor characters beyond ASCII")
    is_tls = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    path = (parts.path or "/") + query
    return Destination(is_tls, parts.hostname, port or (443 if is_tls else 80), path)


def parse(url: str) -> Destination:
    """Take a URL apart; without a path it means the receiver's own.

    Raises:
        SettingsError: It is not an absolute http or https URL.
    """
    found = exactly(url)
    path, mark, query = found.path.partition("?")
    return replace(found, path=f"{PATH}{mark}{query}") if path == "/" else found


def local(variables: Mapping[str, str]) -> Destination:
    """The receiver on this machine, at the port that it would take from the same variables.

    Raises:
        SettingsError: A setting cannot be used, or the port is 0 and so not known.
    """
    port = from_environment(variables).port
    if port == 0:
        raise SettingsError("PORT is 0, any free port: say --url")
    return Destination(False, "127.0.0.1", port, PATH)


def signing_key(variables: Mapping[str, str], name: str = KEY_VARIABLE) -> SigningKey:
    """The first key of a variable that may hold several, comma-separated.

    Raises:
        SettingsError: The variable is not set or blank.
    """
    for part in variables.get(name, "").split(","):
        if part.strip():
            return SigningKey.from_text(part)
    raise SettingsError(
        f"no signing key: {name} is neither in the environment nor in .env; set it, or run this "
        "where `ciolake serve` made a development key"
    )
