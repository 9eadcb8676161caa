"""Single events have the fields that the facts list, with values of the right kind."""

# seeded chance makes tests repeatable; it protects nothing

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from random import Random

import pytest

from core.webhooks import specification
from core.webhooks.specification import EventKind as Kind
from core.webhooks.specification import Origin
from databricks_app.simulator.events.payload import (
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
every_kind = pytest.mark.parametrize(
    "kind", specification.events(), ids=lambda kind: f"{kind.object_type}-{kind.metric}"
)


def values(event: dict[str, object], path: str) -> list[object]:
    """All values at a dot path of the facts; none where a part of the path is absent."""
    found: list[object] = [event]
    for name in path.split("."):
        key = name.removesuffix("[]")
        found = [value[key] for value in found if isinstance(value, dict) and key in value]
        if name.endswith("[]"):
            found = [item for value in found if isinstance(value, list) for item in value]
    return found


def paths(value: object, parent: str = "") -> set[str]:
    """Every dot path in a payload, spelled as the facts do."""
    found = set()
    if isinstance(value, list):
        for item in value:
            found |= {f"{parent}[]"} | paths(item, f"{parent}[]")
    elif isinstance(value, dict) and not parent.endswith("headers"):
        for key, item in value.items():
            path = f"{parent}.{key}" if parent else key
            found |= {path} | paths(item, path)
    return found


@every_kind
@pytest.mark.parametrize("origin", ORIGINS)
def test_make_event_gives_every_field_of_the_facts(kind: Kind, origin: Origin) -> None:
    """With content, an event has all fields of its kind and origin, and no other."""
    event = make_event(
        kind.object_type,
        kind.metric,
        random=Random(1),
        at=AT,
        origin=origin,
        with_content=True,
    )

    expected = {field.path for field in kind.fields_of(origin)}
    optional = set() if origin in {"campaign", "broadcast"} else {"data.parent_action_id"}
    extra = {"data.transactional_message_id"} if origin == "transactional" else set()
    envelope = {field.path for field in specification.envelope_fields()}
    assert paths(event) - envelope - extra == expected - optional - extra


@every_kind
def test_make_event_gives_values_of_the_type_that_the_facts_name(kind: Kind) -> None:
    """Every value has the JSON type of its field, or is null where that is specified."""
    event = make_event(kind.object_type, kind.metric, random=Random(2), at=AT, with_content=True)

    wrong = [
        field.path
        for field in (*specification.envelope_fields(), *kind.fields)
        for value in values(event, field.path)
        if not (value is None and field.nullable)
        and not isinstance(value, _TYPES.get(field.type.split()[0], object))
    ]
    assert wrong == []


@every_kind
def test_make_event_without_content_leaves_it_out(kind: Kind) -> None:
    """Content and headers are there only where they were asked for."""
    event = make_event(kind.object_type, kind.metric, random=Random(3), at=AT)

    assert {"content", "headers"} & event["data"].keys() == set()


def test_make_event_is_the_same_for_the_same_seed() -> None:
    """All chance comes from the generator that is passed in."""
    first, second, other = (
        make_event("email", "sent", random=Random(seed), at=AT) for seed in (7, 7, 8)
    )

    assert first == second
    assert first["event_id"] != other["event_id"]


def test_make_event_refuses_a_kind_that_the_facts_do_not_know() -> None:
    """A misspelled metric is an error, not an invention."""
    with pytest.raises(KeyError):
        make_event("email", "openend", random=Random(1), at=AT)


def test_make_event_cuts_its_time_to_whole_seconds() -> None:
    """The timestamp is Unix seconds, as Customer.io's."""
    event = make_event("email", "opened", random=Random(1), at=AT)

    assert event["timestamp"] == 1795177815


def test_make_event_takes_the_fields_that_are_given() -> None:
    """What the caller says about `data` stands."""
    event = make_event("email", "opened", random=Random(1), at=AT, own={"prefetched": True})

    assert event["data"]["prefetched"] is True
    assert event["data"]["proxied"] is False


def test_make_event_reports_a_customer_event_under_a_channel() -> None:
    """A customer event may carry the object type of the channel that caused it."""
    event = make_event("customer", "subscribed", random=Random(1), at=AT, reported_as="sms")

    assert event["object_type"] == "sms"
    assert "email_address" in event["data"]


def test_make_event_of_a_change_without_message_has_no_delivery() -> None:
    """Preferences that were changed by hand carry none of a message's fields."""
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
    """Customer.io sends changed topics as text that holds JSON."""
    event = make_event(
        "customer",
        "cio_subscription_preferences_changed",
        random=Random(1),
        at=AT,
        with_content=True,
    )

    assert json.loads(event["data"]["content"]).keys() == {"topics"}


def test_make_event_of_a_person_without_id_has_a_blank_customer_id() -> None:
    """People known by e-mail address alone have a null id and a blank `customer_id`."""
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
def test_make_event_addresses_people_who_do_not_exist(object_type: str, recipient: str) -> None:
    """Recipients suit their channel and lie in ranges reserved for examples."""
    event = make_event(object_type, "sent", random=Random(1), at=AT)

    assert re.fullmatch(recipient, event["data"]["recipient"])


def test_events_of_one_delivery_agree_on_whom_and_what() -> None:
    """Ids, person and cause are the delivery's, whatever happens to it."""
    delivery = make_sample_delivery(Random(4), "email", "newsletter", seconds=AT.timestamp())
    random = Random(5)

    sent, clicked = (
        make_event("email", metric, random=random, at=AT, delivery=delivery)["data"]
        for metric in ("sent", "clicked")
    )

    assert {name: clicked[name] for name in sent} == sent


def test_make_ulid_gives_26_characters_that_sort_by_time() -> None:
    """Ids look like the vendor's and order like their times."""
    random = Random(1)

    ids = [make_ulid(random, seconds) for seconds in (0.5, 1.0, 1.7e9, 4e9)]

    assert sorted(ids) == ids
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", each) for each in ids)


def test_mailbox_is_known_for_every_person() -> None:
    """Whoever is made up reads mail in one of the known kinds of mailbox."""
    kinds = {mailbox(make_person(Random(seed), seed)) for seed in range(200)}

    assert kinds == {"proxy", "prefetch", "plain", "scanner"}
