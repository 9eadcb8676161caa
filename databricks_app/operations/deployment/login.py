"""Checks which workspace a deployment logs in to, before databricks-sdk retries for minutes."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

import httpx2

from databricks_app.errors import DeploymentError

_SECONDS = 10.0
_DEFAULT = "DEFAULT"
_SETTINGS = "__settings__"


def require_host(profile: str | None, variables: Mapping[str, str]) -> str:
    """Return the URL of the workspace, as databricks-sdk finds it.

    Args:
        profile: Name of a profile in the configuration file, or None.
        variables: The environment.

    Raises:
        DeploymentError: There is no such profile, or nothing names a host.
    """
    file = Path(variables.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()
    host = _url(variables.get("DATABRICKS_HOST", ""))
    name = profile or variables.get("DATABRICKS_CONFIG_PROFILE")
    if name or not host:
        profiles, default = _profiles(file)
        if name and name not in profiles:
            known = ", ".join(profiles) or "none"
            raise DeploymentError(
                f"there is no profile {name} in {file} (its profiles: {known}): correct the name, "
                "or run `databricks auth login`"
            )
        there = _url(profiles.get(name or default, ""))
        if host and there and host != there:
            # databricks-sdk would take the variable, and deploy into the other workspace.
            raise DeploymentError(
                f"DATABRICKS_HOST is {host}, but the profile {name} is of {there}: unset one"
            )
        host = host or there
    if not host:
        raise DeploymentError(
            "no workspace is named: set DATABRICKS_HOST to its address, or use --profile"
        )
    return host


def _url(host: str) -> str:
    host = host.strip().rstrip("/")
    return host if not host or "://" in host else f"https://{host}"


def require_answer(host: str) -> None:
    """Check that a host answers, whatever it answers.

    Raises:
        DeploymentError: It does not answer within seconds; names the host.
    """
    try:
        httpx2.head(host, timeout=_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise DeploymentError(
            f"{host} does not answer ({error or type(error).__name__}): check DATABRICKS_HOST or "
            "--profile, and whether this machine reaches the workspace"
        ) from error


def _profiles(file: Path) -> tuple[dict[str, str], str]:
    """Return the host of each profile, empty if it has none; and the name of the default one."""
    parser = configparser.ConfigParser(default_section="", interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        raise DeploymentError(f"{file} cannot be read: it is not an INI file") from None
    hosts = {name: parser[name].get("host", "") for name in parser.sections() if name != _SETTINGS}
    return hosts, parser.get(_SETTINGS, "default_profile", fallback=_DEFAULT)
