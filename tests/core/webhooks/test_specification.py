"""The vendor's specification in the package: complete, consistent, and covered by fixtures."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from core.webhooks import specification
from tests.support.paths import WEBHOOK_FIXTURES

ORIGIN_BY_KEY: dict[str, specification.Origin] = {
    "broadcast_id": "broadcast",
    "campaign_id": "campaign",
    "newsletter_id": "newsletter",
    "transactional_message_id": "transactional",
}
WITH_SCHEMA = [event for event in specification.events() if event.has_schema]


def paths(value: object, prefix: str = "") -> set[str]:
    """Return the dot paths of all keys in a JSON value; keys of headers are data."""
    found: set[str] = set()
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                found |= {f"{prefix}[]"} | paths(item, f"{prefix}[]")
    elif isinstance(value, dict) and prefix != "data.headers":
        for key, inner in value.items():
            path = f"{prefix}.{key}" if prefix else key
            found |= {path} | paths(inner, path)
    return found


def load(event: specification.EventKind) -> dict[str, object]:
    """Return the fixture of an event."""
    path = WEBHOOK_FIXTURES / f"{event.object_type}_{event.metric}.json"
    payload: dict[str, object] = json.loads(path.read_text("utf-8"))
    return payload


def test_events_are_those_of_the_2026_specification() -> None:
    """69 events with a published payload, and four without."""
    counts = Counter(event.object_type for event in WITH_SCHEMA)
    without = {
        f"{event.object_type}_{event.metric}"
        for event in specification.events()
        if not event.has_schema
    }

    assert counts == {
        "customer": 3,
        "email": 13,
        "push": 11,
        "sms": 10,
        "whatsapp": 12,
        "in_app": 8,
        "slack": 6,
        "webhook": 6,
    }
    assert without == {"email_deferred", "slack_converted", "sms_dropped", "webhook_converted"}


def test_subscription_names_are_those_of_the_events() -> None:
    """Each of the 72 names belongs to one event; slack/undeliverable has no name."""
    named = [event.subscribe for event in specification.events() if event.subscribe is not None]
    nameless = [event.metric for event in specification.events() if event.subscribe is None]

    assert len(specification.subscription_names()) == 72
    assert sorted(named) == sorted(specification.subscription_names())
    assert nameless == ["undeliverable"]


def test_event_is_found_by_its_two_names() -> None:
    """Object type and metric; here the vendor's subscription name is different."""
    event = specification.event("customer", "cio_subscription_preferences_changed")

    assert event.subscribe == "customer_subscription_preferences_changed"


def test_event_refuses_an_unknown_pair() -> None:
    """An unknown pair is an error."""
    with pytest.raises(KeyError):
        specification.event("email", "teleported")


def test_field_knows_its_origins_and_presence() -> None:
    """A broadcast requires a trigger id; a campaign has none."""
    fields = {field.path: field for field in specification.event("email", "sent").fields}

    trigger = fields["data.trigger_id"]
    assert trigger.occurs("broadcast")
    assert trigger.is_required("broadcast")
    assert not trigger.occurs("campaign")
    assert not trigger.is_required("campaign")
    assert fields["data.identifiers"].is_required(None)
    assert not fields["data.headers"].is_required("campaign")


def test_field_meaning_follows_the_object_type() -> None:
    """A recipient is an address or a URL, depending on the channel."""
    meanings = {
        object_type: next(
            field.meaning
            for field in specification.event(object_type, "sent").fields
            if field.path == "data.recipient"
        )
        for object_type in ("email", "webhook")
    }

    assert "Address" in meanings["email"]
    assert "URL" in meanings["webhook"]


def test_object_types_without_a_meaning_use_the_default() -> None:
    """The default is the meaning with the key `*`."""
    content = next(
        field
        for field in specification.event("email", "sent").fields
        if field.path == "data.content"
    )

    assert "message body" in content.meaning


def test_envelope_has_five_fields() -> None:
    """Every event has the same five top-level fields."""
    assert [field.path for field in specification.envelope_fields()] == [
        "event_id",
        "object_type",
        "metric",
        "timestamp",
        "data",
    ]


def test_specification_contains_no_personal_data() -> None:
    """It has no e-mail address."""
    text = (Path(specification.__file__).parent / "reporting_webhooks.json").read_text("utf-8")

    assert "@" not in text


def test_there_is_one_fixture_for_each_event() -> None:
    """Each event with a published payload has one fixture, and there are no others."""
    expected = {f"{event.object_type}_{event.metric}.json" for event in WITH_SCHEMA}

    assert {path.name for path in WEBHOOK_FIXTURES.iterdir()} == expected


def test_fixtures_have_unique_event_ids() -> None:
    """No two fixtures share an event id."""
    assert len({load(event)["event_id"] for event in WITH_SCHEMA}) == 69


def test_fixtures_have_the_fields_of_their_event() -> None:
    """A fixture has all fields that its origin requires, and no field that is not specified."""
    envelope = {field.path for field in specification.envelope_fields()}
    missing, unspecified = {}, {}
    for event in WITH_SCHEMA:
        payload = load(event)
        data = payload["data"]
        assert isinstance(data, dict)
        origin = next((name for key, name in ORIGIN_BY_KEY.items() if key in data), None)
        name = f"{event.object_type}_{event.metric}"
        fields = paths(payload) - envelope
        unspecified[name] = fields - {field.path for field in event.fields_of(origin)}
        # Without a message that caused the event, only these two have reliable requirements.
        if origin is not None or event.metric in ("subscribed", "unsubscribed"):
            required = {field.path for field in event.fields if field.is_required(origin)}
            missing[name] = required - fields

    assert {name: fields for name, fields in unspecified.items() if fields} == {}
    assert {name: fields for name, fields in missing.items() if fields} == {}
