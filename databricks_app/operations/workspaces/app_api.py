"""Which App API key and region serve which workspace.

The keys are secrets: they stand in no `repr` and in no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from databricks_app.errors import SettingsError
from databricks_app.events.workspaces import DEFAULT
from databricks_app.settings import value

KEY_VARIABLE = "CIO_APP_API_KEY"
KEYS_VARIABLE = "CIO_APP_API_KEYS"
_MAKE = "Make an App API key in Customer.io under Account Settings, API Credentials"


class NoAppApiKey(SettingsError):  # noqa: N818  # a state, which some callers pass over
    """A workspace has no App API key in the settings; says which variable is to be set."""


@dataclass(frozen=True, slots=True)
class AppApiOptions:
    """What the options of a command say.

    Attributes:
        workspace: Of which workspace; None: the only one.
        region: Where it is; None: as the settings say.
        base_url: Another host of the App API.
    """

    workspace: str | None = None
    region: str | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class AppApiAccess:
    """How the App API of one workspace is asked; see `core.app_api.AppClient`.

    Attributes:
        workspace: Its name.
        key: Its App API key.
        region: Where it is; a key that carries its region goes before.
        variable: The setting that holds the key.
    """

    workspace: str
    key: str = field(repr=False)
    region: str
    variable: str


def names(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The workspaces that the settings name, ordered; `default` alone if they name none.

    Raises:
        SettingsError: CIO_REGIONS names one that neither CIO_WORKSPACES nor CIO_APP_API_KEYS names.
    """
    # One that is just being set up has an App API key, and no signing key yet.
    found = {*value(variables, "CIO_WORKSPACES").values(), *value(variables, KEYS_VARIABLE)}
    unknown = set(value(variables, "CIO_REGIONS")) - found - {DEFAULT}
    if unknown:
        raise SettingsError(
            f"CIO_REGIONS names the workspace {min(unknown)}, which neither CIO_WORKSPACES nor "
            f"{KEYS_VARIABLE} names"
        )
    return tuple(sorted(found)) or (DEFAULT,)


def one_of(known: tuple[str, ...], workspace: str | None) -> str:
    """The workspace that is meant; None means the only one.

    Raises:
        SettingsError: There are several, or none of this name; lists them.
    """
    if workspace is None and len(known) > 1:
        raise SettingsError(f"there are several workspaces, say --workspace: {', '.join(known)}")
    name = workspace or known[0]
    if name not in known:
        raise SettingsError(f"there is no workspace {name}; there are: {', '.join(known)}")
    return name


def access(variables: Mapping[str, str], options: AppApiOptions) -> AppApiAccess:
    """The App API of one workspace.

    Args:
        variables: The environment, see `settings.environment`.
        options: Which workspace.

    Raises:
        NoAppApiKey: It has no key.
        SettingsError: It is not clear which workspace is meant, or a setting cannot be used.
    """
    known = names(variables)
    name = one_of(known, options.workspace)
    key, variable = _key(variables, name, known)
    return AppApiAccess(name, key, options.region or region(variables, name), variable)


def region(variables: Mapping[str, str], workspace: str) -> str:
    """Where a workspace is, `us` or `eu`.

    Raises:
        SettingsError: A setting cannot be used.
    """
    single: Mapping[str, str] = value(variables, "CIO_REGIONS")
    return single.get(workspace) or str(value(variables, "CIO_REGION"))


def has_key(variables: Mapping[str, str], workspace: str) -> bool:
    """Whether a workspace has an App API key.

    Raises:
        SettingsError: A setting cannot be used.
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
            f"{KEY_VARIABLE} is neither in the environment nor in .env. {_MAKE}, and put it there."
        )
    why = f"{KEY_VARIABLE} serves an only workspace, and there are several. " if single else ""
    example = ",".join(f"{one}:<key>" for one in known)
    raise NoAppApiKey(
        f"{why}The workspace {name} has no App API key: set {KEYS_VARIABLE}={example}. {_MAKE}."
    )
