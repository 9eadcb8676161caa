"""Live: what is sent arrives in the workspace. Each test removes what it created."""

from __future__ import annotations

from collections.abc import Callable
from operator import not_

import pytest

from core.errors import BadRequestError
from core.pipelines import PipelinesQueue
from tests.live.workspace import Workspace, eventually

pytestmark = pytest.mark.mutating

NewId = Callable[[], str]


def trait_of(workspace: Workspace, user_id: str, name: str, value: object) -> object:
    """Wait for a person's attribute to have a value; return what it has then."""
    traits = eventually(
        lambda: workspace.traits(user_id) or {}, lambda found: found.get(name) == value
    )
    return traits.get(name)


def arrives(workspace: Workspace, user_id: str, event: str) -> bool:
    """Wait for an event among a person's activities."""
    return eventually(lambda: workspace.has_event(user_id, event), bool)


def is_gone(workspace: Workspace, user_id: str) -> bool:
    """Wait for a person to be deleted."""
    return eventually(lambda: workspace.person(user_id), not_) is None


def test_people_are_created_and_updated(workspace: Workspace, person: str) -> None:
    """Other traits stay unchanged."""
    assert trait_of(workspace, person, "plan", "free") == "free"

    workspace.send.people.update(person, {"seats": "5"})

    assert trait_of(workspace, person, "seats", "5") == "5"
    assert trait_of(workspace, person, "plan", "free") == "free"


def test_people_are_unsubscribed_and_resubscribed(workspace: Workspace, person: str) -> None:
    """The workspace uses this trait."""
    workspace.send.people.resubscribe(person)
    found = eventually(
        lambda: workspace.person(person), lambda one: one is not None and not one["unsubscribed"]
    )
    assert found is not None
    assert found["unsubscribed"] is False

    workspace.send.people.unsubscribe(person)
    found = eventually(
        lambda: workspace.person(person), lambda one: one is not None and one["unsubscribed"]
    )
    assert found is not None
    assert found["unsubscribed"] is True


def test_events_arrive_under_their_name(workspace: Workspace, person: str) -> None:
    """A custom event is in the activities of the person."""
    workspace.send.track(person, event="ciolake live test", properties={"number": 1})

    assert arrives(workspace, person, "ciolake live test")


def test_batch_of_several_types_arrives(workspace: Workspace, new_id: NewId) -> None:
    """In one request: a person, an event of the person, and another person."""
    first, second = new_id(), new_id()

    workspace.send.batch(
        [
            {"type": "identify", "userId": first, "traits": {"unsubscribed": True, "n": "1"}},
            {"type": "track", "userId": first, "event": "ciolake live batch"},
            {"type": "identify", "userId": second, "traits": {"unsubscribed": True, "n": "2"}},
        ]
    )

    assert trait_of(workspace, first, "n", "1") == "1"
    assert trait_of(workspace, second, "n", "2") == "2"
    assert arrives(workspace, first, "ciolake live batch")


def test_queue_delivers(workspace: Workspace, person: str) -> None:
    """In the background, without failed items."""
    with PipelinesQueue(workspace.send) as queue:
        queue.people.update(person, {"via": "queue"})
        assert queue.flush(60)

    assert queue.stats().failed == 0
    assert trait_of(workspace, person, "via", "queue") == "queue"


def test_objects_are_created_related_and_deleted(
    workspace: Workspace, person: str, object_id: str
) -> None:
    """Created, related to a person, unrelated, deleted."""
    workspace.send.objects.create(object_id, {"name": "Initech"})
    found = eventually(lambda: workspace.object_attributes(object_id), bool)
    assert found is not None
    assert found["name"] == "Initech"

    workspace.send.relationships.create(person, object_id)
    related = eventually(lambda: workspace.objects_of(person), bool)
    assert related == [object_id]

    workspace.send.relationships.delete(person, object_id)
    assert eventually(lambda: workspace.objects_of(person), not_) == []

    workspace.send.objects.delete(object_id)
    assert eventually(lambda: workspace.object_attributes(object_id), not_) is None


def test_devices_are_registered_and_deleted(workspace: Workspace, person: str) -> None:
    """The events add and remove the token."""
    assert trait_of(workspace, person, "plan", "free") == "free"
    token = f"{person}-device"

    workspace.send.devices.register(person, token, type="android", attributes={"app": "4.2"})
    assert eventually(lambda: workspace.tokens(person), bool) == [token]

    workspace.send.devices.delete(person, token)
    assert eventually(lambda: workspace.tokens(person), not_) == []


def test_ecommerce_events_arrive(workspace: Workspace, person: str) -> None:
    """Under the vendor's exact name, in strict mode, with products."""
    workspace.send.ecommerce.order_completed(
        person,
        {"order_id": "o-1", "total": 9.75, "products": [{"product_id": "p-1", "price": 9.75}]},
    )

    assert arrives(workspace, person, "Order Completed")


def test_video_events_arrive(workspace: Workspace, person: str) -> None:
    """Also the event whose name the vendor's page spells in two ways."""
    workspace.send.video.playback_started(person, {"session_id": "s-1", "total_length": 60})
    workspace.send.video.playback_interrupted(person, {"session_id": "s-1", "method": "call"})

    assert arrives(workspace, person, "Video Playback Started")
    assert arrives(workspace, person, "Video Playback Interrupted")


def test_gdpr_deletion_deletes(workspace: Workspace, person: str) -> None:
    """The person does not exist afterwards."""
    assert trait_of(workspace, person, "plan", "free") == "free"

    workspace.send.people.delete(person)

    assert is_gone(workspace, person)


def test_gdpr_suppression_ends_with_unsuppress(workspace: Workspace, person: str) -> None:
    """A suppressed person is deleted; after `unsuppress` the id can be created again."""
    assert trait_of(workspace, person, "plan", "free") == "free"

    workspace.send.people.suppress(person)
    try:
        assert is_gone(workspace, person)
    finally:
        workspace.send.people.unsuppress(person)

    def again() -> object:
        # `unsuppress` takes some time. Until then the vendor ignores data with this id.
        workspace.send.people.create(person, {"plan": "again", "unsubscribed": True})
        return (workspace.traits(person) or {}).get("plan")

    assert eventually(again, lambda plan: plan == "again") == "again"


def test_aliases_merge_an_earlier_id(workspace: Workspace, new_id: NewId) -> None:
    """The person has the traits of the earlier person, who is deleted."""
    earlier, present = new_id(), new_id()
    workspace.send.people.create(earlier, {"from_earlier": "yes", "unsubscribed": True})
    workspace.send.people.create(present, {"unsubscribed": True})
    assert trait_of(workspace, earlier, "from_earlier", "yes") == "yes"
    assert eventually(lambda: workspace.person(present), bool)

    workspace.send.alias(present, previous_id=earlier)

    assert trait_of(workspace, present, "from_earlier", "yes") == "yes"
    assert is_gone(workspace, earlier)


def test_strict_mode_rejects_invalid_items(workspace: Workspace, person: str) -> None:
    """An item without a type. Without strict mode, the vendor answers 200 and drops it."""
    with pytest.raises(BadRequestError):
        workspace.send.send_encoded([b'{"userId":"' + person.encode() + b'"}'])
