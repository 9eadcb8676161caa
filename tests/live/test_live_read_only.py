"""Live: the permanent set exists. These tests change nothing."""

from __future__ import annotations

import pytest

from tests.live.sandbox import OBJECTS, PEOPLE, Object, Person, differences
from tests.live.workspace import Workspace


def test_permanent_set_is_complete(workspace: Workspace) -> None:
    """Otherwise run `python tests/live/sandbox.py create`."""
    assert differences(workspace) == []


@pytest.mark.parametrize("permanent", PEOPLE, ids=lambda one: one.id)
def test_people_are_read_by_id(workspace: Workspace, permanent: Person) -> None:
    """`identify` and the App API use the same id; all people of the set are unsubscribed."""
    found = workspace.person(permanent.id)

    assert found is not None
    assert found["attributes"]["email"] == permanent.email
    assert found["unsubscribed"] is True


@pytest.mark.parametrize("permanent", OBJECTS, ids=lambda one: one.id)
def test_objects_are_read_by_type_and_id(workspace: Workspace, permanent: Object) -> None:
    """The default type of `objects.create` is the first type of the workspace."""
    found = workspace.object_attributes(permanent.id)

    assert found is not None
    assert found["name"] == permanent.name


def test_devices_are_read_with_their_person(workspace: Workspace) -> None:
    """A device event adds the token to the devices of the person."""
    for permanent in PEOPLE:
        tokens = workspace.tokens(permanent.id)
        assert tokens == ([permanent.token] if permanent.token else [])


def test_unknown_person_is_none(workspace: Workspace) -> None:
    """A missing person is no error."""
    assert workspace.person("ciolake-permanent-nobody") is None
