"""The command `ciolake workspaces`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from databricks_app.cli import ciolake
from databricks_app.events.decoding import Reading, read
from databricks_app.events.record import Record
from databricks_app.lake.local.lock import FolderLock
from databricks_app.lake.local.store import LocalLake
from tests.support.lake_events import EMAIL, NOON, RAW, body, load, rows

SHOP, BLOG = "0a1b2c3d", "ffffffff"
Run = Callable[..., Result]


def reading(event_id: str, key: str) -> Reading:
    """An event of a key."""
    content = body(event_id, "email/sent")
    return read(Record(content, NOON, "0", key, len(content)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three events of one key and two of another, all of the workspace default."""
    lake = LocalLake(tmp_path)
    lake.start()
    load(lake, *(reading(one, SHOP) for one in "abc"), *(reading(one, BLOG) for one in "de"))
    lake.close()
    return tmp_path


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a subcommand on these tables."""
    monkeypatch.chdir(tmp_path)

    def run(
        *words: str, names: str = f"shop:{SHOP}", text: str | None = None, **more: str
    ) -> Result:
        env = more | {
            "CIO_STORE": "local",
            "CIO_DATA_DIR": str(folder),
            "CIO_WORKSPACES": names,
            "CIO_WEBHOOK_SIGNING_KEYS": "a-signing-key",
        }
        return CliRunner().invoke(ciolake, ["workspaces", *words], input=text, env=env)

    return run


def test_list_shows_keys_and_rows_of_each_workspace(run: Run) -> None:
    """Those that are active, those that are retired, and those that are not listed."""
    result = run("list", "--format", "jsonl")

    found = {one["fingerprint"]: one for one in map(json.loads, result.stdout.splitlines())}
    active = next(one for one in found if one not in {SHOP, BLOG})
    assert result.exit_code == 0
    assert (found[SHOP]["workspace"], found[SHOP]["listed_as"]) == ("default", "shop")
    assert [found[one]["events"] for one in (SHOP, BLOG, active)] == [3, 2, 0]
    assert [found[one]["key"] for one in (SHOP, BLOG, active)] == ["retired", "retired", "active"]
    assert found[SHOP]["newest_received_at"] == "2026-11-22T12:00:00Z"


def test_list_says_which_workspace_has_an_app_api_key_and_where_it_is(run: Run) -> None:
    """The key itself is not shown."""
    settings = {"CIO_APP_API_KEYS": "shop:api-secret", "CIO_REGIONS": "shop:eu"}

    result = run("list", "--format", "jsonl", **settings)

    found = {one["fingerprint"]: one for one in map(json.loads, result.stdout.splitlines())}
    assert (found[SHOP]["app_api_key"], found[SHOP]["region"]) == (True, "eu")
    assert (found[BLOG]["app_api_key"], found[BLOG]["region"]) == (False, "us")
    assert "api-secret" not in result.output


def test_list_says_what_to_do(run: Run) -> None:
    """Rows that wait for a rename, keys that are found and not listed."""
    said = run().stderr

    assert "ciolake workspaces rename default shop" in said
    assert f"does not list the retired key {BLOG} (2 rows)" in said


def test_list_without_names_asks_for_nothing(run: Run) -> None:
    """One workspace needs no name."""
    assert run(names="").stderr == ""


def test_rename_shows_the_plan_and_asks(run: Run, folder: Path) -> None:
    """Nothing is changed by a no."""
    result = run("rename", "default", "shop", text="n\n")

    assert result.exit_code == 1
    assert f"{RAW}: 3 rows" in result.output
    assert rows(folder, RAW, "DISTINCT workspace") == [("default",)]


def test_rename_lists_the_rows_that_are_not_renamed(run: Run, folder: Path) -> None:
    """With their key and how many they are, so that it can be listed."""
    result = run("rename", "default", "shop", "--yes")

    assert result.exit_code == 0
    assert f"2 rows of default not renamed, because they have the key {BLOG}" in result.output
    assert rows(folder, EMAIL, "workspace") == [
        *[("default",)] * 2,
        *[("shop",)] * 3,
    ]


def test_rename_again_after_listing_another_key_completes_it(run: Run, folder: Path) -> None:
    """As the first run said."""
    run("rename", "default", "shop", "--yes")

    run("rename", "default", "shop", "--yes", names=f"shop:{SHOP},shop:{BLOG}")

    assert rows(folder, RAW, "DISTINCT workspace") == [("shop",)]


def test_rename_without_such_rows_changes_nothing(run: Run) -> None:
    """And is no failure, so that it can be repeated."""
    run("rename", "default", "shop", "--yes")

    result = run("rename", "default", "shop")

    assert result.exit_code == 0
    assert "No rows of default have a key that CIO_WORKSPACES lists for shop" in result.output


def test_rename_is_refused_while_a_receiver_runs(run: Run, folder: Path) -> None:
    """Its loader has the lock of the tables."""
    lock = FolderLock(folder / "tables")
    lock.acquire()

    result = run("rename", "default", "shop", "--yes")

    lock.release()
    assert result.exit_code == 1
    assert "Stop it" in result.output
    assert rows(folder, RAW, "DISTINCT workspace") == [("default",)]


@pytest.mark.parametrize(
    ("old", "new", "word", "code"),
    [
        ("default", "brand", "lists no key for brand (its workspaces: shop)", 1),
        ("shop", "shop", "the same name", 2),
    ],
)
def test_rename_to_a_name_that_is_not_listed_is_refused(
    run: Run, old: str, new: str, word: str, code: int
) -> None:
    """A slip in a name would make a third workspace."""
    result = run("rename", old, new)

    assert (result.exit_code, word in result.output) == (code, True)


def test_rename_in_a_folder_without_tables_is_refused(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    """It makes none."""
    (folder / "tables").rename(tmp_path / "elsewhere")

    result = run("rename", "default", "shop")

    assert result.exit_code == 1
    assert "There are no tables" in result.output
    assert not (folder / "tables").exists()
