"""Settings of the relay: some settings of the receiver, and settings that only the relay has.

`RELAY_SETTINGS` defines them all. The shared rows are the receiver's own, so that both mean the
same. A test compares docs/deployment.md with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from core.webhooks.signature import SigningKey
from databricks_app.endpoint import WEBHOOK_PATH, is_webhook_path
from databricks_app.errors import SettingsError
from databricks_app.setting_table import SETTINGS, StalePolicy
from databricks_app.setting_values import Setting
from databricks_app.settings import LOOPBACK

SignaturePlace = Literal["headers", "both"]

_SHARED = frozenset(
    (
        "CIO_WEBHOOK_SIGNING_KEYS",
        "CIO_TIMESTAMP_TOLERANCE_SECONDS",
        "CIO_STALE_TIMESTAMPS",
        "CIO_UNVERIFIED_STATUS",
        "CIO_MAX_BODY_BYTES",
        "CIO_LOG_LEVEL",
    )
)


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The values of the settings; `RELAY_SETTINGS` explains the fields and their units.

    `app_url` and `workspace_url` have a scheme, a host and perhaps a port, but no path.
    `unverified_status` None means `auto`.
    """

    signing_keys: tuple[SigningKey, ...]
    tolerance_seconds: int
    stale_timestamps: StalePolicy
    unverified_status: int | None
    max_body_bytes: int
    log_level: str
    app_url: str
    workspace_url: str
    client_id: str
    client_secret: str = field(repr=False)
    signature_place: SignaturePlace
    deadline_seconds: float
    most_requests: int


def _origin(text: str) -> str:
    """Return scheme, host and port of an address; the scheme is `https` if it is missing."""
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port
    except ValueError:
        raise ValueError("must be an address like https://host.example.com") from None
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an address like https://host.example.com")
    if parts.path.strip("/") and not is_webhook_path(unquote(parts.path)):
        raise ValueError(f"must be an address without a path, or with {WEBHOOK_PATH}")
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in LOOPBACK):
        raise ValueError("must begin with https://, because a token is sent there")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _credential(text: str) -> str:
    if not text.strip():
        raise ValueError("must be set")
    if not text.strip().isascii() or not text.strip().isprintable():
        raise ValueError("must be printable ASCII text")
    return text.strip()


def _deadline(text: str) -> float:
    value = float(text)
    if not 0.5 <= value <= 3.7:  # Customer.io gives up after 4 s
        raise ValueError("must be between 0.5 and 3.7 seconds")
    return value


def _number(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise ValueError("must be between 1 and 1000")
    return value


def _place(text: str) -> str:
    if text not in get_args(SignaturePlace):
        raise ValueError(f"must be one of: {', '.join(get_args(SignaturePlace))}")
    return text


RELAY_SETTINGS: tuple[Setting, ...] = (
    *(setting for setting in SETTINGS if setting.name in _SHARED),
    Setting(
        "CIO_RELAY_APP_URL",
        "app_url",
        "",
        _origin,
        "Address of the Databricks App: `https://<app>-<workspace id>.<region>"
        ".databricksapps.com`.",
    ),
    Setting(
        "DATABRICKS_HOST",
        "workspace_url",
        "",
        _origin,
        "Host of the workspace that issues the tokens.",
    ),
    Setting(
        "DATABRICKS_CLIENT_ID",
        "client_id",
        "",
        _credential,
        "Application id of a service principal that has CAN USE on the app.",
    ),
    Setting(
        "DATABRICKS_CLIENT_SECRET",
        "client_secret",
        "",
        _credential,
        "An OAuth secret of that service principal.",
    ),
    Setting(
        "CIO_RELAY_SIGNATURE",
        "signature_place",
        "headers",
        _place,
        "Where the relay puts signature and timestamp: in `headers`, or in `both` headers and "
        "query string, if the platform drops the headers.",
    ),
    Setting(
        "CIO_RELAY_DEADLINE_SECONDS",
        "deadline_seconds",
        "3.5",
        _deadline,
        "Longest time until the answer to Customer.io, which is 503 if the app has not answered "
        "by then. Customer.io gives up after 4 s.",
    ),
    Setting(
        "CIO_RELAY_MAX_REQUESTS",
        "most_requests",
        "32",
        _number,
        "Most requests of a process at the same time, and most connections to the app; further "
        "requests are answered 503.",
    ),
)


def from_environment(variables: Mapping[str, str]) -> RelaySettings:
    """Read all settings of the relay.

    Raises:
        SettingsError: A setting is missing or cannot be used. The text names the variable and the
            fault, but not the value, which may be a secret.
    """
    values: dict[str, Any] = {}
    for setting in RELAY_SETTINGS:
        try:
            values[setting.field] = setting.read(variables.get(setting.name, setting.default))
        except ValueError as error:
            # Only our own texts, which begin with "must": those of `int` and `float` quote the
            # value. `from None` for the same reason.
            text = str(error)
            reason = text if text.startswith("must") else "it cannot be read"
            raise SettingsError(f"{setting.name} cannot be used: {reason}") from None
    return RelaySettings(**values)
