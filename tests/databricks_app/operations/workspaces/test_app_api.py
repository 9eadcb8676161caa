"""Which App API key and region serve which workspace."""

from __future__ import annotations

import pytest

from databricks_app.errors import SettingsError
from databricks_app.operations.workspaces.app_api import (
    AppApiOptions,
    NoAppApiKey,
    access,
    names,
)

TWO = {"CIO_WORKSPACES": "shop:11111111,shop:22222222,blog:33333333"}
KEYS = {"CIO_APP_API_KEYS": "shop:secret-of-shop,blog:secret-of-blog"}
SHOP = AppApiOptions(workspace="shop")


def test_without_names_there_is_one_workspace() -> None:
    """As before there were names."""
    found = access({"CIO_APP_API_KEY": " key\n"}, AppApiOptions())

    assert (found.workspace, found.key, found.region) == ("default", "key", "us")


def test_the_single_key_serves_the_only_named_workspace() -> None:
    """It is not clear of several whose key it is."""
    variables = {"CIO_WORKSPACES": "shop:11111111", "CIO_APP_API_KEY": "key"}

    assert access(variables, AppApiOptions()).workspace == "shop"
    with pytest.raises(NoAppApiKey, match="CIO_APP_API_KEYS=blog:<key>,shop:<key>"):
        access(TWO | {"CIO_APP_API_KEY": "key"}, SHOP)


def test_several_workspaces_need_a_choice() -> None:
    """The error lists the names."""
    with pytest.raises(SettingsError, match="blog, shop"):
        access(TWO | KEYS, AppApiOptions())
    with pytest.raises(SettingsError, match="only blog, shop"):
        access(TWO | KEYS, AppApiOptions(workspace="show"))


def test_each_workspace_has_its_key_and_region() -> None:
    """The option wins over the region of the workspace, and this over the region of all."""
    variables = TWO | KEYS | {"CIO_REGION": "eu", "CIO_REGIONS": "shop:us"}

    found = access(variables, SHOP)

    assert (found.key, found.region, found.variable) == ("secret-of-shop", "us", "CIO_APP_API_KEYS")
    assert access(variables, AppApiOptions("blog")).region == "eu"
    assert access(variables, AppApiOptions("shop", "eu")).region == "eu"


def test_a_workspace_that_is_being_set_up_has_an_app_api_key_alone() -> None:
    """Its signing key is not known yet."""
    assert names({"CIO_APP_API_KEYS": "shop:key"}) == ("shop",)


def test_a_region_of_an_unknown_workspace_is_refused() -> None:
    """A slip would ask the wrong host."""
    with pytest.raises(SettingsError, match="CIO_REGIONS names the workspace show"):
        names(TWO | {"CIO_REGIONS": "show:eu"})


@pytest.mark.parametrize("text", ["shop:secret-of-shop,secret-of-blog", "shop:a b"])
def test_keys_are_shown_nowhere(text: str) -> None:
    """Neither in an error nor in a repr."""
    with pytest.raises(SettingsError) as raised:
        access(TWO | {"CIO_APP_API_KEYS": text}, SHOP)

    assert "secret" not in f"{raised.value!r}{raised.value.__cause__!r}"
    assert "secret" not in repr(access(TWO | KEYS, SHOP))
