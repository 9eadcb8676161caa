"""Find the App API key and the region of a workspace.

The keys are secrets: no `repr` and no error text contains one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from databricks_app.errors import SettingsError
from databricks_app.events.workspaces import DEFAULT
from databricks_app.settings import value

KEY_VARIABLE = "CIO_APP_API_KEY"
KEYS_VARIABLE = "CIO_APP_API_KEYS"
_CREATE = "Create an App API key in Customer.io under Account Settings, API Credentials"


class NoAppApiKey(SettingsError):  # noqa: N818  # some callers do not treat it as an error
    """The settings have no App API key for a workspace; the text says which variable to set."""


@dataclass(frozen=True, slots=True)
class AppApiOptions:
    """The options of a command that choose a workspace and its App API.

    Attributes:
        workspace: Name of the workspace; None means the only one.
        region: Its region; None means the one in the settings.
        base_url: Another host of the App API, such as a simulator.
    """

    workspace: str | None = None
    region: str | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class AppApiAccess:
    """Key and region for the App API of one workspace; see `core.app_api.AppClient`.

    Attributes:
        workspace: Its name.
        key: Its App API key.
        region: Its region; a region in the key overrides it.
        variable: The setting that has the key.
    """

    workspace: str
    key: str = field(repr=False)
    region: str
    variable: str


def names(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of all workspaces in the settings, sorted; without any, only `default`.

    Raises:
        SettingsError: CIO_REGIONS has a name that is neither in CIO_WORKSPACES nor in
            CIO_APP_API_KEYS.
    """
    # CIO_APP_API_KEYS too: a workspace that is being set up has no signing key yet.
    found = {*value(variables, "CIO_WORKSPACES").values(), *value(variables, KEYS_VARIABLE)}
    unknown = set(value(variables, "CIO_REGIONS")) - found - {DEFAULT}
    if unknown:
        raise SettingsError(
            f"CIO_REGIONS names the workspace {min(unknown)}, which is neither in CIO_WORKSPACES "
            f"nor in {KEYS_VARIABLE}: correct the name"
        )
    return tuple(sorted(found)) or (DEFAULT,)


def one_of(known: tuple[str, ...], workspace: str | None) -> str:
    """Return the workspace with this name; None means the only one.

    Raises:
        SettingsError: There are several, or none has this name; the text lists them.
    """
    if workspace is None and len(known) > 1:
        raise SettingsError(
            f"there are several workspaces: choose one with --workspace ({', '.join(known)})"
        )
    name = workspace or known[0]
    if name not in known:
        raise SettingsError(
            f"there is no workspace {name} in the settings, only {', '.join(known)}"
        )
    return name


def access(variables: Mapping[str, str], options: AppApiOptions) -> AppApiAccess:
    """Find the App API key and the region of one workspace.

    Args:
        variables: The environment, see `settings.environment`.
        options: Choose the workspace.

    Raises:
        NoAppApiKey: It has no key.
        SettingsError: The options do not choose one workspace, or a setting is not valid.
    """
    known = names(variables)
    name = one_of(known, options.workspace)
    key, variable = _key(variables, name, known)
    return AppApiAccess(name, key, options.region or region(variables, name), variable)


def region(variables: Mapping[str, str], workspace: str) -> str:
    """Return the region of a workspace, `us` or `eu`.

    Raises:
        SettingsError: A setting is not valid.
    """
    single: Mapping[str, str] = value(variables, "CIO_REGIONS")
    return single.get(workspace) or str(value(variables, "CIO_REGION"))


def has_key(variables: Mapping[str, str], workspace: str) -> bool:
    """Whether a workspace has an App API key.

    Raises:
        SettingsError: A setting is not valid.
    """
    known = names(variables)
    try:
        return workspace in known and bool(_key(variables, workspace, known)[0])
    except NoAppApiKey:
        return False


def _key(variables: Mapping[str, str], name: str, known: tuple[str, ...]) -> tuple[str, str]:
    keys: Mapping[str, str] = value(variables, KEYS_VARIABLE)
    if name in keys:
        return keys[name], KEYS_VARIABLE
    single: str = value(variables, KEY_VARIABLE)
    if len(known) == 1 and single:
        return single, KEY_VARIABLE
    if len(known) == 1:
        raise NoAppApiKey(
            f"{KEY_VARIABLE} is set neither in the environment nor in .env. {_CREATE}, and set "
            f"{KEY_VARIABLE} to it."
        )
    why = f"{KEY_VARIABLE} is for one workspace, but there are several. " if single else ""
    example = ",".join(f"{one}:<key>" for one in known)
    raise NoAppApiKey(
        f"{why}The workspace {name} has no App API key: set {KEYS_VARIABLE}={example}. {_CREATE}."
    )
