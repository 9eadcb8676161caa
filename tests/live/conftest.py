"""Live tests: they run only if `-m` selects them, and are skipped without credentials."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.live.workspace import VARIABLES, Settings, Workspace


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; deselect them if `-m` does not name them."""
    # Credentials in the environment must not be enough: a plain run must change no workspace.
    here = [item for item in items if item.path.parent == config.rootpath / "tests" / "live"]
    for item in here:
        item.add_marker("live")
        item.add_marker(pytest.mark.timeout(900))  # several waits of two minutes each
    if "live" not in config.option.markexpr.replace("not live", ""):
        config.hook.pytest_deselected(items=here)
        items[:] = [item for item in items if item not in here]


@pytest.fixture(scope="session")
def workspace() -> Iterator[Workspace]:
    """The sandbox workspace."""
    settings = Settings.from_environment()
    if settings is None:
        missing = [name for name in VARIABLES if not os.environ.get(name)]
        pytest.skip(f"no credentials: set {' and '.join(missing)}, see docs/testing.md")
    with Workspace(settings) as made:
        yield made


@pytest.fixture
def new_id(workspace: Workspace) -> Iterator[Callable[[], str]]:
    """Create unique ids of people; these people are deleted at the end."""
    made: list[str] = []

    def new() -> str:
        made.append(f"ciolake-test-{uuid.uuid4()}")
        return made[-1]

    yield new
    for user_id in made:
        workspace.send.people.delete(user_id)


@pytest.fixture
def person(workspace: Workspace, new_id: Callable[[], str]) -> str:
    """The id of a new person, who is unsubscribed and deleted at the end."""
    user_id = new_id()
    workspace.send.people.create(user_id, {"plan": "free", "unsubscribed": True})
    return user_id


@pytest.fixture
def object_id(workspace: Workspace) -> Iterator[str]:
    """The id of an object that a test may create; it is deleted at the end."""
    made = f"ciolake-test-{uuid.uuid4()}"
    yield made
    workspace.send.objects.delete(made)
