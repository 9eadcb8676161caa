"""What Customer.io publishes about its reporting webhooks, as package data.

The facts themselves are in `reporting_webhooks.json` beside this module. The simulator, the command
line and the tests read them; receiving does not. Imports the standard library only and reads the
file at the first call.

Source: https://docs.customer.io/integrations/api/webhooks
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Origin: TypeAlias = Literal["broadcast", "campaign", "newsletter", "transactional"]

_FieldRow: TypeAlias = tuple[str, str, str, bool, list[str]]


class _EventFacts(TypedDict):
    subscribe: str | None
    note: str | None
    fields: list[_FieldRow]


class _ObjectFacts(TypedDict):
    metrics: dict[str, _EventFacts]
    subscribable_without_schema: dict[str, _EventFacts]


class _Facts(TypedDict):
    envelope: list[_FieldRow]
    objects: dict[str, _ObjectFacts]
    meanings: dict[str, str | dict[str, str]]
    subscription_names: list[str]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event, as the vendor's specification describes it.

    Attributes:
        path: Dot path under the event; `[]` stands for each item (`data.recipients[].device_id`).
        type: `string`, `integer`, `boolean`, `object`, `array` or `unspecified`.
        presence: `required`, `optional`, or `required:` and the origins that require it, joined by
            `|`. What is specified, not what arrives: any field may be missing.
        nullable: Whether null is specified as a value.
        origins: What may have caused a message that carries the field; `("*",)` is anything.
        meaning: One sentence in our words.
    """

    path: str
    type: str
    presence: str
    nullable: bool
    origins: tuple[str, ...]
    meaning: str

    def occurs(self, origin: Origin | None) -> bool:
        """Whether events of that origin carry it; None: no message caused the event."""
        return "*" in self.origins or origin in self.origins

    def is_required(self, origin: Origin | None) -> bool:
        """Whether the specification requires it of events of that origin."""
        presence, _, origins = self.presence.partition(":")
        return presence == "required" and (not origins or origin in origins.split("|"))


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind of event: a pair of object type and metric.

    Attributes:
        object_type: The vendor's name of what the event is about.
        metric: The vendor's name of what happened.
        subscribe: Its name in `events` of a reporting webhook; None: cannot be subscribed to.
        fields: What the payload holds beside the envelope, parents before children.
        has_schema: Whether the payload is published; otherwise `fields` are inferred from siblings.
        note: A peculiarity, in our words.
    """

    object_type: str
    metric: str
    subscribe: str | None
    fields: tuple[Field, ...]
    has_schema: bool
    note: str | None

    def fields_of(self, origin: Origin | None) -> tuple[Field, ...]:
        """Fields of an event of that origin; None: no message caused the event."""
        return tuple(field for field in self.fields if field.occurs(origin))


@cache
def events() -> tuple[EventKind, ...]:
    """All known kinds of events: those with a published payload first within each object type."""
    return tuple(_events(_facts()))


@cache
def metrics() -> frozenset[str]:
    """The metrics of all kinds of events."""
    return frozenset(event.metric for event in events())


@cache
def _by_name() -> Mapping[tuple[str, str], EventKind]:
    return MappingProxyType({(event.object_type, event.metric): event for event in events()})


def event(object_type: str, metric: str) -> EventKind:
    """One kind of event.

    Raises:
        KeyError: The pair is not known.
    """
    return _by_name()[object_type, metric]


@cache
def subscription_names() -> tuple[str, ...]:
    """Every name that `events` of a reporting webhook may hold, in the vendor's order."""
    return tuple(_facts()["subscription_names"])


@cache
def envelope_fields() -> tuple[Field, ...]:
    """The fields around every payload."""
    facts = _facts()
    return tuple(_field(row, "*", facts["meanings"]) for row in facts["envelope"])


@cache
def _facts() -> _Facts:
    text = resources.files("core.webhooks").joinpath("reporting_webhooks.json").read_text("utf-8")
    facts: _Facts = json.loads(text)
    return facts


def _events(facts: _Facts) -> Iterator[EventKind]:
    for object_type, known in facts["objects"].items():
        for has_schema, metrics in (
            (True, known["metrics"]),
            (False, known["subscribable_without_schema"]),
        ):
            for metric, row in metrics.items():
                fields = tuple(
                    _field(field, object_type, facts["meanings"]) for field in row["fields"]
                )
                yield EventKind(
                    object_type, metric, row["subscribe"], fields, has_schema, row["note"]
                )


def _field(
    row: _FieldRow, object_type: str, meanings: Mapping[str, str | Mapping[str, str]]
) -> Field:
    path, kind, presence, nullable, origins = row
    meaning = meanings[path]
    if not isinstance(meaning, str):
        meaning = meaning[object_type] if object_type in meaning else meaning["*"]
    return Field(path, kind, presence, nullable, tuple(origins), meaning)
