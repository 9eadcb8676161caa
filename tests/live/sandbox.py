"""The permanent set of the sandbox workspace: created once, never changed by a test.

    python tests/live/sandbox.py create    create what is missing; can be repeated
    python tests/live/sandbox.py check     compare; exit status 1 and one line for each difference

The settings are those of the live tests, see docs/testing.md. No message can reach anyone:
addresses are at example.com, device tokens are invented, all people are unsubscribed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # run as a script: find the project's packages
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.live.workspace import VARIABLES, Settings, Workspace, eventually


@dataclass(frozen=True, slots=True)
class Person:
    """A permanent person with their objects, and their device if they have one."""

    id: str
    email: str
    plan: str
    objects: tuple[str, ...] = ()
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """A permanent object of type 1."""

    id: str
    name: str


OBJECTS = (
    Object("ciolake-permanent-acme", "Acme"),
    Object("ciolake-permanent-globex", "Globex"),
)
PEOPLE = (
    Person(
        "ciolake-permanent-ada",
        "ada@example.com",
        "pro",
        ("ciolake-permanent-acme", "ciolake-permanent-globex"),
        "ciolake-permanent-device-ada",
    ),
    Person(
        "ciolake-permanent-grace",
        "grace@example.com",
        "free",
        ("ciolake-permanent-acme",),
        "ciolake-permanent-device-grace",
    ),
    Person("ciolake-permanent-alan", "alan@example.com", "free"),
)


def create(workspace: Workspace) -> None:
    """Create or correct the set; a second call changes nothing."""
    send = workspace.send
    for thing in OBJECTS:
        send.objects.create(thing.id, {"name": thing.name})
    for person in PEOPLE:
        traits = {"email": person.email, "plan": person.plan, "unsubscribed": True}
        send.people.create(person.id, traits)
        if person.token is not None:
            send.devices.register(person.id, person.token, type="ios")
        for object_id in person.objects:
            send.relationships.create(person.id, object_id)


def differences(workspace: Workspace) -> list[str]:
    """Compare the workspace with the set; return a line for each difference."""
    return [
        *(line for thing in OBJECTS for line in _of_object(workspace, thing)),
        *(line for person in PEOPLE for line in _of_person(workspace, person)),
    ]


def _of_object(workspace: Workspace, thing: Object) -> Iterator[str]:
    found = workspace.object_attributes(thing.id)
    if found is None:
        yield f"{thing.id}: missing"
    elif found.get("name") != thing.name:
        yield f"{thing.id}: name differs"


def _of_person(workspace: Workspace, person: Person) -> Iterator[str]:
    found = workspace.traits(person.id)
    if found is None:
        yield f"{person.id}: missing"
        return
    for name in ("email", "plan"):
        if found.get(name) != getattr(person, name):
            yield f"{person.id}: {name} differs"
    if person.token is not None and person.token not in workspace.tokens(person.id):
        yield f"{person.id}: device missing"
    related = workspace.objects_of(person.id)
    for object_id in person.objects:
        if object_id not in related:
            yield f"{person.id}: not related to {object_id}"


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    settings = Settings.from_environment()
    if list(arguments) not in (["create"], ["check"]) or settings is None:
        sys.stderr.write(f"{__doc__}\nThe environment must have {' and '.join(VARIABLES)}.\n")
        return 2
    with Workspace(settings) as workspace:
        if arguments[0] == "create":
            create(workspace)
        # Customer.io needs some time until the App API shows new data.
        seconds = 120.0 if arguments[0] == "create" else 0.0
        lines = eventually(lambda: differences(workspace), lambda found: not found, seconds=seconds)
    sys.stdout.writelines(f"{line}\n" for line in lines or ["complete"])
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
