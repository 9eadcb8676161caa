"""The keys of one workspace among those of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.webhooks.signature import SigningKey
from databricks_app.operations.webhooks.keys import (
    DatabricksSecret,
    EnvFile,
    KeyStoreError,
    WorkspaceKeys,
)


def fingerprint(key: str) -> str:
    """Of a key."""
    return SigningKey.from_text(key).fingerprint


SHOP, BLOG = "shop-key-1", "blog-key-1"
NAMES = {fingerprint(SHOP): "shop", fingerprint(BLOG): "blog"}


@pytest.fixture
def file(tmp_path: Path) -> EnvFile:
    """A file with a key of each of two workspaces."""
    store = EnvFile(tmp_path / ".env", {})
    store.put((BLOG, SHOP))
    store.put_names(NAMES)
    return store


def of_shop(store: Any, said: list[str] | None = None) -> WorkspaceKeys:
    """The keys of one of them."""
    return WorkspaceKeys(store, NAMES, "shop", [].append if said is None else said.append)


def test_a_workspace_sees_its_own_keys(file: EnvFile) -> None:
    """A rotation must not take another workspace's key for its old one."""
    assert of_shop(file).read() == (SHOP,)


def test_keys_of_other_workspaces_stay(file: EnvFile) -> None:
    """What is kept for one replaces nothing of the others."""
    of_shop(file).put(("shop-key-2",))

    assert set(file.read()) == {"shop-key-2", BLOG}


def test_a_new_key_is_listed_and_the_retired_one_stays_listed(file: EnvFile) -> None:
    """So that no event falls to default, whichever key it came with."""
    said: list[str] = []

    store = of_shop(file, said)
    store.put(("shop-key-2", SHOP))
    store.put(("shop-key-2",))

    text = file.path.read_text()
    new = fingerprint("shop-key-2")
    assert f"shop:{fingerprint(SHOP)}" in text
    assert f"blog:{fingerprint(BLOG)}" in text
    assert f"shop:{new}" in text
    assert said == [f"added shop:{new} to CIO_WORKSPACES"]
    assert store.read() == ("shop-key-2",)


def test_a_key_of_another_workspace_is_refused(file: EnvFile) -> None:
    """It would be known under two names."""
    with pytest.raises(KeyStoreError, match="for the workspace blog"):
        of_shop(file).put((BLOG, SHOP))


def test_names_of_the_environment_cannot_be_changed_in_the_file(tmp_path: Path) -> None:
    """The environment wins, so that the new name would have no effect: nothing is kept."""
    store = EnvFile(tmp_path / ".env", {"CIO_WORKSPACES": "shop:00000000"})

    with pytest.raises(KeyStoreError, match="CIO_WORKSPACES is set in the environment"):
        of_shop(store).put(("shop-key-2",))

    assert not store.path.exists()


def test_a_secret_is_told_what_to_set_before_the_key_is_kept() -> None:
    """Names of a Databricks App are in app.yaml, which a command cannot change."""

    class Kept(DatabricksSecret):
        def read(self) -> tuple[str, ...]:
            return (SHOP,)

    def connect() -> Any:
        raise AssertionError("nothing is written")

    with pytest.raises(KeyStoreError, match=r"app\.yaml") as raised:
        of_shop(Kept(connect, "scope", "key")).put(("shop-key-2", SHOP))

    assert f"shop:{fingerprint('shop-key-2')}" in str(raised.value)
    assert "shop-key-2" not in str(raised.value)
