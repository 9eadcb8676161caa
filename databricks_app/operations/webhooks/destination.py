"""The address that test events are posted to, and the key that signs them.

This module reads no environment: its arguments come from `settings.environment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.errors import ConfigurationError
from core.webhooks.sender import Destination, destination
from core.webhooks.signature import SigningKey
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import SettingsError
from databricks_app.settings import from_environment

KEY_VARIABLE = "CIO_WEBHOOK_SIGNING_KEYS"
URL_VARIABLE = "CIO_RELAY_URL"
"""Names the address that Customer.io posts to."""


def parse(url: str) -> Destination:
    """Parse a URL; without a path it gets the path of the receiver.

    Raises:
        SettingsError: It is not an absolute http or https URL.
    """
    try:
        found = destination(url)
    except ConfigurationError as error:
        raise SettingsError(str(error)) from error
    path, mark, query = found.path.partition("?")
    return replace(found, path=f"{WEBHOOK_PATH}{mark}{query}") if path == "/" else found


def local(variables: Mapping[str, str]) -> Destination:
    """Return the address of the receiver on this machine, with the port from these variables.

    Raises:
        SettingsError: A setting is not valid, or the port is 0 and therefore unknown.
    """
    port = from_environment(variables).port
    if port == 0:
        raise SettingsError(
            "PORT is 0, so the receiver listens on any free port: name its address with --url"
        )
    return Destination(False, "127.0.0.1", port, WEBHOOK_PATH)


def signing_key(variables: Mapping[str, str], name: str = KEY_VARIABLE) -> SigningKey:
    """Return the first key in a variable with comma-separated keys.

    Raises:
        SettingsError: The variable is not set or blank.
    """
    for part in variables.get(name, "").split(","):
        if part.strip():
            return SigningKey.from_text(part)
    raise SettingsError(
        f"there is no signing key: {name} is set neither in the environment nor in .env. Set it, "
        "or run this in the folder where `ciolake serve` created a development key"
    )
