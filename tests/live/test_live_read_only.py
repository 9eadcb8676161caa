"""Live: the permanent set is there. These tests change nothing."""

from __future__ import annotations

import pytest

from tests.live.sandbox import OBJECTS, PEOPLE, Object, Person, differences
from tests.live.workspace import Workspace


def test_permanent_set_is_complete(workspace: Workspace) -> None:
    """Otherwise run `python tests/live/sandbox.py create`."""
    assert differences(workspace) == []


@pytest.mark.parametrize("permanent", PEOPLE, ids=lambda one: one.id)
def test_people_are_read_by_id(workspace: Workspace, permanent: Person) -> None:
    """Identify and App API mean the same id; nobody of the set can be sent a message."""
    found = workspace.person(permanent.id)

    assert found is not None
    assert found["attributes"]["email"] == permanent.email
    assert found["unsubscribed"] is True


@pytest.mark.parametrize("permanent", OBJECTS, ids=lambda one: one.id)
def test_objects_are_read_by_type_and_id(workspace: Workspace, permanent: Object) -> None:
    """The type that `objects.create` takes by default is the workspace's first."""
    found = workspace.object_attributes(permanent.id)

    assert found is not None
    assert found["name"] == permanent.name


def test_devices_are_read_with_their_person(workspace: Workspace) -> None:
    """A device event puts the token where push looks for it."""
    for permanent in PEOPLE:
        tokens = workspace.tokens(permanent.id)
        assert tokens == ([permanent.token] if permanent.token else [])


def test_unknown_person_is_told_from_a_known_one(workspace: Workspace) -> None:
    """What is not there is None, not an error."""
    assert workspace.person("ciolake-permanent-nobody") is None
