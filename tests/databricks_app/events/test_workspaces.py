"""Which name an event gets, from the settings and from the rows that are there."""

from __future__ import annotations

import pytest

from databricks_app.events.workspaces import with_rows

NAMES = {"a": "shop", "b": "shop", "c": "blog"}


@pytest.mark.parametrize(
    ("rows", "key", "name"),
    [
        ([], "a", "shop"),
        ([], "z", "default"),
        ([("a", "shop")], "a", "shop"),
        ([("a", "default")], "a", "default"),
        ([("a", "brand")], "a", "brand"),
        ([("a", "default"), ("a", "shop")], "a", "default"),
        ([("a", "default")], "b", "default"),
        ([("a", "default")], "c", "blog"),
        ([("a", "shop"), ("b", "default")], "a", "shop"),
        ([("a", "shop"), ("b", "default")], "b", "default"),
        ([("a", "shop")], "b", "shop"),
    ],
    ids=[
        "first event of a named key",
        "a key that is not listed",
        "rows have the name",
        "rows are default",
        "rows have another name",
        "a rename was interrupted",
        "a new key, rows of the old one are default",
        "another workspace",
        "another key of the name has rows of default",
        "a key with rows of default, the name is in use",
        "a new key, the name is in use",
    ],
)
def test_events_have_the_name_that_rows_of_their_delivery_have(
    rows: list[tuple[str, str]], key: str, name: str
) -> None:
    """A name of the settings is used as soon as no row of its keys has another one."""
    assert with_rows(NAMES, rows).of(key) == name


def test_renames_that_are_due_are_named_once() -> None:
    """However many keys they are about."""
    found = with_rows(NAMES, [("a", "default"), ("b", "default"), ("c", "news")])

    assert found.renames == [("default", "shop"), ("news", "blog")]
