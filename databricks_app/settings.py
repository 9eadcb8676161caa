"""The values of the settings, and the functions that read them.

Settings come from environment variables and a local `.env` file. `setting_table` defines them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.webhooks.signature import SigningKey
from databricks_app import setting_values as read
from databricks_app.errors import SettingsError
from databricks_app.setting_table import SETTINGS, StalePolicy
from databricks_app.setting_values import Inbox, Setting, Store
from databricks_app.warehouse_hours import WarehouseHours

ENV_FILE = Path(".env")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all settings; `SETTINGS` has the meaning and unit of each field.

    `signing_keys` is None if the variable is not set, and empty if it is set but blank. Empty means
    that no request is accepted. `admin_token` works the same way: empty means that nobody gets
    access. If `unverified_status` is None, it is `auto`. If `inbox_max_bytes` is None, the limit is
    80 % of the free disk space at start. If `inbox_floor_bytes` is None, it is 10 % of the disk, at
    least 1 GiB.
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
    inbox: Inbox
    data_dir: Path
    catalog: str
    schema: str
    volume: str
    warehouse_id: str
    flush_interval_seconds: float
    freshness_seconds: float
    warehouse_hours: WarehouseHours | None
    warehouse_daily_seconds: float | None
    is_warehouse_stopped: bool
    max_body_bytes: int
    inbox_max_bytes: int | None
    inbox_floor_bytes: int | None
    append_deadline_seconds: float
    uploads: int
    files_calls: int
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


def environment(
    environ: Mapping[str, str] = os.environ, env_file: Path = ENV_FILE
) -> dict[str, str]:
    """Return the variables of the process and of the `.env` file; those of the process win.

    A Databricks App does not read the file: its variables are in app.yaml.

    Raises:
        SettingsError: The file exists and cannot be read, or a line of it is wrong.
    """
    if "DATABRICKS_APP_NAME" in environ:
        return dict(environ)
    try:
        return {**read.lines_of(env_file), **environ}
    except ValueError as error:
        raise SettingsError(str(error)) from None


def from_environment(variables: Mapping[str, str]) -> Settings:
    """Read all settings.

    Raises:
        SettingsError: A value is not valid. The text names the variable and what is wrong, but
            never the value, which may be a secret.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        # CIO_STORE comes before every setting whose default depends on the store.
        values[setting.field] = _value(setting, variables, values.get("store", "local"))
    if values["store"] == "databricks" and not values["catalog"]:
        raise SettingsError("CIO_STORE=databricks needs CIO_CATALOG: set it to a catalog's name")
    if "CIO_WEBHOOK_SIGNING_KEYS" not in variables:
        values["signing_keys"] = None
    if "CIO_ADMIN_TOKEN" not in variables:
        values["admin_token"] = None
    values["is_databricks_app"] = "DATABRICKS_APP_NAME" in variables
    if fault := _fault_of_inbox(values):
        raise SettingsError(fault)
    if values["is_databricks_app"] and "CIO_HOST" not in variables:
        values["host"] = "0.0.0.0"  # noqa: S104  # only the platform's proxy can reach the app
    return Settings(**values)


def _fault_of_inbox(values: Mapping[str, Any]) -> str:
    """Return why this inbox cannot be used with this store and what to do; empty if it can."""
    if values["store"] == "local" and values["inbox"] == "volume":
        return (
            "CIO_INBOX=volume needs CIO_STORE=databricks, because the volume is in Databricks: set "
            "CIO_STORE=databricks, or remove CIO_INBOX"
        )
    is_lost = values["is_databricks_app"] and values["store"] == "databricks"
    if is_lost and values["inbox"] == "local":
        return (
            "CIO_INBOX=local cannot be used in a Databricks App, whose disk is lost at every "
            "restart with the events on it: remove CIO_INBOX, so that events wait in the volume"
        )
    return ""


def value(variables: Mapping[str, str], name: str) -> Any:
    """Read one setting by the name of its variable; the others may be wrong.

    Raises:
        SettingsError: As `from_environment` does.
    """
    return _value(next(one for one in SETTINGS if one.name == name), variables, "local")


def data_folder(variables: Mapping[str, str]) -> Path:
    """Read the folder of the local store; the other settings may be wrong."""
    setting = next(one for one in SETTINGS if one.field == "data_dir")
    folder: Path = setting.read(variables.get(setting.name, "").strip() or setting.default)
    return folder


def _value(setting: Setting, variables: Mapping[str, str], store: Store) -> Any:
    names = (*setting.also, setting.name)
    name = next((name for name in names if name in variables), setting.name)
    try:
        return setting.read(variables.get(name, setting.default_of(store)))
    except ValueError as error:
        if isinstance(error, UnicodeError):
            reason = "it is not UTF-8 text"
        elif str(error).startswith("must"):  # our own readers; they never quote the value
            reason = str(error)
        else:
            reason = "it is not a number"
        # Without its cause: its text may quote the value.
        raise SettingsError(f"{name} cannot be used: {reason}") from None
