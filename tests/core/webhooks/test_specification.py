"""The vendor facts that come with the package: complete, consistent, and covered by fixtures."""

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
    """Dot paths of all keys under a JSON value; the keys of headers are data."""
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
    """The fixture of an event."""
    path = WEBHOOK_FIXTURES / f"{event.object_type}_{event.metric}.json"
    payload: dict[str, object] = json.loads(path.read_text("utf-8"))
    return payload


def test_events_are_those_of_the_2026_specification() -> None:
    """There are 69 events with a published payload and four without."""
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
    """Each of the 72 names belongs to one event; only slack/undeliverable has none."""
    named = [event.subscribe for event in specification.events() if event.subscribe is not None]
    nameless = [event.metric for event in specification.events() if event.subscribe is None]

    assert len(specification.subscription_names()) == 72
    assert sorted(named) == sorted(specification.subscription_names())
    assert nameless == ["undeliverable"]


def test_event_is_found_by_its_two_names() -> None:
    """A known pair gives its event, with the vendor's different subscription name."""
    event = specification.event("customer", "cio_subscription_preferences_changed")

    assert event.subscribe == "customer_subscription_preferences_changed"


def test_event_refuses_an_unknown_pair() -> None:
    """A pair that is not known is an error."""
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
    """A recipient is an address, a number or a URL, depending on the channel."""
    meanings = {
        object_type: next(
            field.meaning
            for field in specification.event(object_type, "sent").fields
            if field.path == "data.recipient"
        )
        for object_type in ("email", "webhook")
    }

    assert meanings["email"] == "Address the email went to."
    assert meanings["webhook"] == "URL the campaign webhook was posted to."


def test_fields_without_a_meaning_of_their_own_share_one() -> None:
    """A meaning marked `*` serves every object type without its own."""
    content = next(
        field
        for field in specification.event("email", "sent").fields
        if field.path == "data.content"
    )

    assert content.meaning.startswith("Rendered message body")


def test_envelope_has_five_fields() -> None:
    """Every event has the same five fields around its payload."""
    assert [field.path for field in specification.envelope_fields()] == [
        "event_id",
        "object_type",
        "metric",
        "timestamp",
        "data",
    ]


def test_facts_are_no_payload_of_a_person() -> None:
    """The package's facts hold no address of anyone."""
    text = (Path(specification.__file__).parent / "reporting_webhooks.json").read_text("utf-8")

    assert "@" not in text


def test_there_is_one_fixture_for_each_event() -> None:
    """Fixtures and events with a published payload are the same set."""
    expected = {f"{event.object_type}_{event.metric}.json" for event in WITH_SCHEMA}

    assert {path.name for path in WEBHOOK_FIXTURES.iterdir()} == expected


def test_fixtures_have_ids_of_their_own() -> None:
    """No two fixtures share an event id."""
    assert len({load(event)["event_id"] for event in WITH_SCHEMA}) == 69


@pytest.mark.parametrize("event", WITH_SCHEMA, ids=lambda event: event.subscribe or event.metric)
def test_fixture_has_the_fields_of_its_event(event: specification.EventKind) -> None:
    """A fixture holds what is required of its origin, and nothing that is not specified."""
    payload = load(event)
    data = payload["data"]
    assert isinstance(data, dict)
    origin = next((name for key, name in ORIGIN_BY_KEY.items() if key in data), None)

    held = paths(payload) - {field.path for field in specification.envelope_fields()}

    assert held <= {field.path for field in event.fields_of(origin)}
    if origin is not None or event.metric in ("subscribed", "unsubscribed"):
        assert held >= {field.path for field in event.fields if field.is_required(origin)}
