"""Single events have the fields that the specification lists, with values of the right type."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import product
from random import Random

import pytest

from core.webhooks import specification
from core.webhooks.specification import EventKind, Origin
from databricks_app.simulator.events.payload import (
    Event,
    SimulatedDelivery,
    make_event,
    make_sample_delivery,
    make_ulid,
)
from databricks_app.simulator.events.sample_workspace import mailbox, make_person

AT = datetime(2026, 11, 20, 12, 30, 15, 750_000, tzinfo=UTC)
ORIGINS: tuple[Origin, ...] = ("broadcast", "campaign", "newsletter", "transactional")
_TYPES = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "unspecified": (int, str),
}


def values(event: dict[str, object], path: str) -> list[object]:
    """Return all values at a dot path of the specification; none if the path is missing."""
    found: list[object] = [event]
    for name in path.split("."):
        key = name.removesuffix("[]")
        found = [value[key] for value in found if isinstance(value, dict) and key in value]
        if name.endswith("[]"):
            found = [item for value in found if isinstance(value, list) for item in value]
    return found


def paths(value: object, parent: str = "") -> set[str]:
    """Return every dot path in a payload, in the notation of the specification."""
    found = set()
    if isinstance(value, list):
        for item in value:
            found |= {f"{parent}[]"} | paths(item, f"{parent}[]")
    elif isinstance(value, dict) and not parent.endswith("headers"):
        for key, item in value.items():
            path = f"{parent}.{key}" if parent else key
            found |= {path} | paths(item, path)
    return found


def sample_of(kind: EventKind, *, origin: Origin | None = None, content: bool = True) -> Event:
    """Make an event of a kind."""
    return make_event(
        kind.object_type, kind.metric, random=Random(1), at=AT, origin=origin, with_content=content
    )


def test_make_event_gives_every_specified_field_and_no_other() -> None:
    """This holds for each kind of event and each origin, with content."""
    envelope = {field.path for field in specification.envelope_fields()}
    differences = {}
    for kind, origin in product(specification.events(), ORIGINS):
        expected = {field.path for field in kind.fields_of(origin)}
        optional = set() if origin in {"campaign", "broadcast"} else {"data.parent_action_id"}
        extra = {"data.transactional_message_id"} if origin == "transactional" else set()
        actual = paths(sample_of(kind, origin=origin)) - envelope - extra
        difference = actual ^ (expected - optional - extra)
        if difference:
            differences[kind.object_type, kind.metric, origin] = difference

    assert differences == {}


def test_make_event_gives_values_of_the_specified_type() -> None:
    """Every value has the JSON type of its field, or is null where the specification allows it."""
    wrong = [
        (kind.object_type, kind.metric, field.path, value)
        for kind in specification.events()
        for event in [sample_of(kind)]
        for field in (*specification.envelope_fields(), *kind.fields)
        for value in values(event, field.path)
        if not (value is None and field.nullable)
        and not isinstance(value, _TYPES.get(field.type.split()[0], object))
    ]

    assert wrong == []


def test_make_event_without_content_leaves_it_out() -> None:
    """No kind of event has content or headers unless they are requested."""
    with_content = [
        (kind.object_type, kind.metric)
        for kind in specification.events()
        if {"content", "headers"} & sample_of(kind, content=False)["data"].keys()
    ]

    assert with_content == []


def test_make_event_is_the_same_for_the_same_seed() -> None:
    """All randomness comes from the generator that is passed in."""
    first, second, other = (
        make_event("email", "sent", random=Random(seed), at=AT) for seed in (7, 7, 8)
    )

    assert first == second
    assert first["event_id"] != other["event_id"]


def test_make_event_refuses_an_unknown_kind() -> None:
    """A misspelled metric raises KeyError."""
    with pytest.raises(KeyError):
        make_event("email", "openend", random=Random(1), at=AT)


def test_make_event_truncates_its_time_to_whole_seconds() -> None:
    """The timestamp is in whole Unix seconds, as Customer.io's."""
    event = make_event("email", "opened", random=Random(1), at=AT)

    assert event["timestamp"] == 1795177815


def test_make_event_sets_the_overrides() -> None:
    """The fields of `data` that the caller gives replace the made-up values."""
    event = make_event("email", "opened", random=Random(1), at=AT, overrides={"prefetched": True})

    assert event["data"]["prefetched"] is True
    assert event["data"]["proxied"] is False


def test_make_event_reports_a_customer_event_under_a_channel() -> None:
    """A customer event may carry the object type of the channel that caused it."""
    event = make_event("customer", "subscribed", random=Random(1), at=AT, reported_as="sms")

    assert event["object_type"] == "sms"
    assert "email_address" in event["data"]


def test_make_event_of_a_change_without_message_has_no_delivery() -> None:
    """Preferences that a person changed without a message have no field of a message."""
    delivery = SimulatedDelivery(make_person(Random(1), 1))

    event = make_event(
        "customer",
        "cio_subscription_preferences_changed",
        random=Random(1),
        at=AT,
        delivery=delivery,
    )

    assert event["data"].keys() == {"customer_id", "identifiers", "email_address"}
    assert "delivery_type" not in event


def test_make_event_writes_preferences_as_json_in_a_string() -> None:
    """Customer.io sends changed topics as JSON in a string."""
    event = make_event(
        "customer",
        "cio_subscription_preferences_changed",
        random=Random(1),
        at=AT,
        with_content=True,
    )

    assert json.loads(event["data"]["content"]).keys() == {"topics"}


def test_make_event_of_a_person_without_id_has_a_blank_customer_id() -> None:
    """People known only by e-mail address have a null id and a blank `customer_id`."""
    people = (make_person(Random(seed), seed) for seed in range(1000))
    person = next(person for person in people if person.id is None)

    event = make_event("email", "sent", random=Random(1), at=AT, delivery=SimulatedDelivery(person))

    assert event["data"]["customer_id"] == ""
    assert event["data"]["identifiers"]["id"] is None


@pytest.mark.parametrize(
    ("object_type", "recipient"),
    [
        ("email", r"[a-z.]+\d+@[a-z]+\.example\.(com|net|org)"),
        ("sms", r"\+1\d{3}55501\d\d"),
        ("whatsapp", r"\+1\d{3}55501\d\d"),
        ("slack", r"#general"),
        ("webhook", r"https://crm\.example\.com/.+"),
    ],
)
def test_make_event_uses_recipients_that_do_not_exist(object_type: str, recipient: str) -> None:
    """Recipients fit their channel and are in ranges reserved for examples."""
    event = make_event(object_type, "sent", random=Random(1), at=AT)

    assert re.fullmatch(recipient, event["data"]["recipient"])


def test_events_of_one_delivery_share_their_ids_and_person() -> None:
    """The fields of a `sent` event have the same values in a later `clicked` event."""
    delivery = make_sample_delivery(Random(4), "email", "newsletter", seconds=AT.timestamp())
    random = Random(5)

    sent, clicked = (
        make_event("email", metric, random=random, at=AT, delivery=delivery)["data"]
        for metric in ("sent", "clicked")
    )

    assert {name: clicked[name] for name in sent} == sent


def test_make_ulid_gives_26_characters_that_sort_by_time() -> None:
    """The ids have the form of the vendor's, and sort by their times."""
    random = Random(1)

    ids = [make_ulid(random, seconds) for seconds in (0.5, 1.0, 1.7e9, 4e9)]

    assert sorted(ids) == ids
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", each) for each in ids)


def test_made_up_people_have_all_kinds_of_mailbox() -> None:
    """Each person has one of the known kinds, and each kind occurs."""
    kinds = {mailbox(make_person(Random(seed), seed)) for seed in range(200)}

    assert kinds == {"proxy", "prefetch", "plain", "scanner"}
