"""Every setting, in one table; read once, from the environment and a local `.env` file.

`SETTINGS` is the one place where a setting's name, default and meaning stand. `.env.example` and
the README's table are compared with it by a test.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from dotenv import dotenv_values

from core.webhooks.signature import SigningKey
from databricks_app import setting_values as read
from databricks_app.errors import SettingsError
from databricks_app.setting_values import Setting, Store

ENV_FILE = Path(".env")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

StalePolicy = Literal["second_sight", "reject", "accept"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the receiver was told; see `SETTINGS` for the meaning and unit of each field.

    `signing_keys` is None where the variable is unset and empty where it is set but blank: the
    second always means that nothing is accepted. So is `admin_token`: empty always means that
    nobody has it. `unverified_status` None means `auto`. `inbox_max_bytes` None means 80 % of what
    the disk has free at start, `inbox_floor_bytes` None 10 % of the disk, at least 1 GiB.
    """

    signing_keys: tuple[SigningKey, ...] | None
    workspaces: Mapping[str, str]
    app_api_key: str = field(repr=False)
    app_api_keys: Mapping[str, str] = field(repr=False)
    region: str
    regions: Mapping[str, str]
    tolerance_seconds: int
    stale_timestamps: StalePolicy
    unverified_status: int | None
    is_signature_in_query: bool
    store: Store
    data_dir: Path
    catalog: str
    schema: str
    volume: str
    warehouse_id: str
    flush_interval_seconds: float
    max_body_bytes: int
    inbox_max_bytes: int | None
    inbox_floor_bytes: int | None
    append_deadline_seconds: float
    uploads: int
    host: str
    port: int
    web_workers: int
    web_threads: int
    admin_token: str | None = field(repr=False)
    alert_url: str = field(repr=False)
    alert_look_seconds: float
    log_level: str
    is_databricks_app: bool

    @property
    def inbox_dir(self) -> Path:
        """Folder of the local inbox."""
        return self.data_dir / "inbox"

    @property
    def volume_path(self) -> str:
        """Path of the Unity Catalog volume in the workspace."""
        return f"/Volumes/{self.catalog}/{self.schema}/{self.volume}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the socket."""
        return self.host in LOOPBACK


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "CIO_WEBHOOK_SIGNING_KEYS",
        "signing_keys",
        "",
        read.keys,
        "Webhook signing keys, comma-separated; each is active. Unset on a loopback address: "
        "a development key is made and kept in `.env`. Empty: every request is answered 503.",
    ),
    Setting(
        "CIO_WORKSPACES",
        "workspaces",
        "",
        read.workspaces,
        "Names of workspaces, `name:fingerprint` of a signing key, comma-separated; keep those of "
        "retired keys. Events of a key that is not named belong to the workspace `default`.",
    ),
    Setting(
        "CIO_APP_API_KEY",
        "app_api_key",
        "",
        read.app_api_key,
        "App API key of the only workspace, for `ciolake webhooks` and `ciolake doctor`.",
    ),
    Setting(
        "CIO_APP_API_KEYS",
        "app_api_keys",
        "",
        read.app_api_keys,
        "App API keys of several workspaces, `name:key`, comma-separated.",
    ),
    Setting(
        "CIO_REGION",
        "region",
        "us",
        read.choice("us", "eu"),
        "Where the workspaces are, `us` or `eu`.",
    ),
    Setting(
        "CIO_REGIONS",
        "regions",
        "",
        read.regions,
        "Where single workspaces are, `name:us` or `name:eu`, comma-separated; over CIO_REGION.",
    ),
    Setting(
        "CIO_TIMESTAMP_TOLERANCE_SECONDS",
        "tolerance_seconds",
        "300",
        read.whole(1, 30 * 86400),
        "How far a request's timestamp may lie from now, either way.",
    ),
    Setting(
        "CIO_STALE_TIMESTAMPS",
        "stale_timestamps",
        "second_sight",
        read.choice(*get_args(StalePolicy)),
        "A right signature with a timestamp outside the window. `second_sight`: refused (401) "
        "the first time and accepted when the same body comes again, which proves a sender that "
        "repeats its timestamps or a wrong clock here; then accepted at once until a day passes "
        "without one; never older than 8 days. `reject`: always 401. `accept`: always accepted.",
    ),
    Setting(
        "CIO_UNVERIFIED_STATUS",
        "unverified_status",
        "auto",
        read.unverified_status,
        "Answer to a wrong signature. `auto`: 401 while every workspace with an active key has "
        "verified a request of Customer.io in the last 10 minutes, else 503, because Customer.io "
        "waits an hour after a 401; a missing or malformed header is 401. `401`, `503`: always "
        "this one, also for such a header.",
    ),
    Setting(
        "CIO_SIGNATURE_IN_QUERY",
        "is_signature_in_query",
        "off",
        read.switch,
        "`on`: where both headers are missing, signature and timestamp are taken from the query "
        "string, as a relay sends them with `CIO_RELAY_SIGNATURE=both`.",
    ),
    Setting(
        "CIO_STORE",
        "store",
        "local",
        read.choice(*get_args(Store)),
        "Where events are kept: `local`, real Delta tables in a folder, or `databricks`, a volume "
        "and tables of Unity Catalog.",
    ),
    Setting(
        "CIO_DATA_DIR",
        "data_dir",
        "./data",
        read.folder,
        "Folder of the local store: tables under `tables/`, unloaded events under `inbox/`.",
    ),
    Setting(
        "CIO_CATALOG",
        "catalog",
        "",
        read.optional_name,
        "Catalog of the store `databricks`, which needs it.",
    ),
    Setting(
        "CIO_SCHEMA", "schema", "customerio", read.name, "Its schema, of the tables and volume."
    ),
    Setting(
        "CIO_VOLUME",
        "volume",
        "ciolake",
        read.name,
        "Its volume: unloaded events lie there under `inbox/`.",
    ),
    Setting(
        "DATABRICKS_WAREHOUSE_ID",
        "warehouse_id",
        "",
        read.optional_name,
        "SQL warehouse that loads the tables of the store `databricks`.",
    ),
    Setting(
        "CIO_FLUSH_INTERVAL_SECONDS",
        "flush_interval_seconds",
        "2",
        read.seconds(0.05, 3600),
        "How often accepted events are loaded into the tables: the pause between two loads. "
        "Shorter is fresher and makes more commits. With the store `databricks` the default is "
        "900, so that the SQL warehouse can stop between loads: see docs/databricks-store.md.",
        databricks_default="900",
    ),
    Setting(
        "CIO_MAX_BODY_BYTES",
        "max_body_bytes",
        str(32 << 20),
        read.whole(1024, 1 << 30),
        "A larger verified body is kept as a raw row with its size, digest and first 64 KiB.",
    ),
    Setting(
        "CIO_INBOX_MAX_BYTES",
        "inbox_max_bytes",
        "",
        read.optional_bytes(1 << 20),
        "Most bytes of unloaded events; past it the receiver answers 503. Unset: 80 % of what the "
        "disk has free at start.",
    ),
    Setting(
        "CIO_INBOX_FLOOR_BYTES",
        "inbox_floor_bytes",
        "",
        read.optional_bytes(0),
        "Bytes that unloaded events leave free on the disk, so that the tables can take them in; "
        "with less the receiver answers 503. Unset: 10 % of the disk, at least 1 GiB.",
    ),
    Setting(
        "CIO_APPEND_DEADLINE_SECONDS",
        "append_deadline_seconds",
        "3",
        read.seconds(0.05, 60),
        "An event that is not durable by then is answered 503. Customer.io gives up after 4 s.",
    ),
    Setting(
        "CIO_UPLOADS",
        "uploads",
        "8",
        read.whole(1, 64),
        "Groups of events that a web process puts into the volume at once.",
    ),
    Setting(
        "CIO_HOST",
        "host",
        "127.0.0.1",
        read.not_blank,
        "Address to listen on. A Databricks App listens on 0.0.0.0 unless this is set.",
    ),
    Setting(
        "PORT",
        "port",
        "8000",
        read.whole(0, 65535),
        "Port; 0 takes a free one.",
        also=("DATABRICKS_APP_PORT",),
    ),
    Setting("CIO_WEB_WORKERS", "web_workers", "2", read.whole(1, 64), "Web processes."),
    Setting(
        "CIO_WEB_THREADS",
        "web_threads",
        "16",
        read.whole(1, 256),
        "Threads of a web process: requests that may wait for the disk at once.",
    ),
    Setting(
        "CIO_ADMIN_TOKEN",
        "admin_token",
        "",
        str.strip,
        "Token that shows `/metrics` and the detail of `/readyz`, sent as `Authorization: "
        "Bearer <token>`. Unset on a loopback address: a token is made and kept in `.env`. "
        "Unset elsewhere, or empty: both pages are off. A Databricks App shows them to "
        "signed-in users instead.",
    ),
    Setting(
        "CIO_ALERT_URL",
        "alert_url",
        "",
        read.http_url,
        "Where alerts are posted as JSON, one when it begins and one when it ends: feed silent, "
        "backlog, unrouted growth, stale timestamps, wrong signatures. Unset: nowhere.",
    ),
    Setting(
        "CIO_ALERT_LOOK_SECONDS",
        "alert_look_seconds",
        "10",
        read.seconds(0.1, 3600),
        "How often it is looked whether an alert begins or ends.",
    ),
    Setting(
        "CIO_LOG_LEVEL",
        "log_level",
        "info",
        read.choice("debug", "info", "warning", "error"),
        "Least level of a log line.",
    ),
)


def environment(
    environ: Mapping[str, str] = os.environ, env_file: Path = ENV_FILE
) -> dict[str, str]:
    """Return the variables in force: those of the process over those of the local `.env` file.

    A Databricks App reads no file: its variables are in app.yaml.

    Raises:
        SettingsError: The file is there and cannot be read.
    """
    if "DATABRICKS_APP_NAME" in environ:
        return dict(environ)
    try:
        # Values are not expanded: a key may contain what a shell would take for a variable.
        found = dotenv_values(env_file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{env_file} cannot be read ({reason})") from None  # may quote it
    kept = {name: value for name, value in found.items() if value is not None}
    return {**kept, **environ}


def from_environment(variables: Mapping[str, str]) -> Settings:
    """Read all settings.

    Raises:
        SettingsError: A value cannot be used; the text names the variable and what is wrong,
            never the value, which may be a secret.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        # The store stands in the table before every setting whose default depends on it.
        values[setting.field] = _value(setting, variables, values.get("store", "local"))
    if values["store"] == "databricks" and not values["catalog"]:
        raise SettingsError("CIO_CATALOG is needed where CIO_STORE is databricks")
    if "CIO_WEBHOOK_SIGNING_KEYS" not in variables:
        values["signing_keys"] = None
    if "CIO_ADMIN_TOKEN" not in variables:
        values["admin_token"] = None
    values["is_databricks_app"] = "DATABRICKS_APP_NAME" in variables
    if values["is_databricks_app"] and "CIO_HOST" not in variables:
        values["host"] = "0.0.0.0"  # noqa: S104  # the platform's proxy is the only way in
    return Settings(**values)


def value(variables: Mapping[str, str], name: str) -> Any:
    """One setting alone, by its variable: a fault in another one does not matter.

    Raises:
        SettingsError: As `from_environment` does.
    """
    return _value(next(one for one in SETTINGS if one.name == name), variables, "local")


def data_folder(variables: Mapping[str, str]) -> Path:
    """Folder of the local store alone: a fault in another setting keeps nobody from looking."""
    setting = next(one for one in SETTINGS if one.field == "data_dir")
    folder: Path = setting.read(variables.get(setting.name, "").strip() or setting.default)
    return folder


def _value(setting: Setting, variables: Mapping[str, str], store: Store) -> Any:
    names = (*setting.also, setting.name)
    name = next((name for name in names if name in variables), setting.name)
    try:
        return setting.read(variables.get(name, setting.default_of(store)))
    except ValueError as error:
        # Without its cause: the text of that quotes the value.
        raise SettingsError(f"{name} cannot be used: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeError):
        return "it is not UTF-8 text"
    text = str(error)
    return text if text.startswith("must") else "it is not a number"
