"""Where signed events go and which key signs them.

Reads nothing by itself: the variables come from `settings.environment`.
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


def parse(url: str) -> Destination:
    """Take a URL apart; without a path it means the receiver's own.

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
    """The receiver on this machine, at the port that it would take from the same variables.

    Raises:
        SettingsError: A setting cannot be used, or the port is 0 and so not known.
    """
    port = from_environment(variables).port
    if port == 0:
        raise SettingsError("PORT is 0, any free port: say --url")
    return Destination(False, "127.0.0.1", port, WEBHOOK_PATH)


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
