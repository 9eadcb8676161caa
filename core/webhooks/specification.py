"""The vendor's specification of the events of reporting webhooks.

The data is in `reporting_webhooks.json` beside this module; it is read at the first call. The
simulator, the command line and the tests use it. Receiving does not. Imports the standard library
only.

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
    """One field of an event, as specified.

    Attributes:
        path: Dot path in the event; `[]` is each item (`data.recipients[].device_id`).
        type: `string`, `integer`, `boolean`, `object`, `array` or `unspecified`.
        presence: `required`, `optional`, or `required:` with the origins that require the field,
            joined by `|`. In practice any field may be missing.
        nullable: Whether the specification allows null.
        origins: The origins of events that have the field; `("*",)` is any origin.
        meaning: One sentence.
    """

    path: str
    type: str
    presence: str
    nullable: bool
    origins: tuple[str, ...]
    meaning: str

    def occurs(self, origin: Origin | None) -> bool:
        """Whether events of an origin have the field. None: no message caused the event."""
        return "*" in self.origins or origin in self.origins

    def is_required(self, origin: Origin | None) -> bool:
        """Whether the specification requires the field for events of an origin."""
        presence, _, origins = self.presence.partition(":")
        return presence == "required" and (not origins or origin in origins.split("|"))


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind of event: a pair of object type and metric.

    Attributes:
        object_type: The vendor's name of the kind of object.
        metric: The vendor's name of the event.
        subscribe: Its name in `events` of a reporting webhook; None if it has none.
        fields: The fields of the payload without the envelope, parents before children.
        has_schema: Whether the vendor publishes the payload. If not, `fields` are inferred from
            similar events.
        note: A special case, in one sentence.
    """

    object_type: str
    metric: str
    subscribe: str | None
    fields: tuple[Field, ...]
    has_schema: bool
    note: str | None

    def fields_of(self, origin: Origin | None) -> tuple[Field, ...]:
        """Return the fields of an event of an origin. None: no message caused the event."""
        return tuple(field for field in self.fields if field.occurs(origin))


@cache
def events() -> tuple[EventKind, ...]:
    """Return all known kinds of events; within an object type, those with a schema first."""
    return tuple(_events(_facts()))


@cache
def metrics() -> frozenset[str]:
    """Return the metrics of all kinds of events."""
    return frozenset(event.metric for event in events())


@cache
def _by_name() -> Mapping[tuple[str, str], EventKind]:
    return MappingProxyType({(event.object_type, event.metric): event for event in events()})


def event(object_type: str, metric: str) -> EventKind:
    """Return one kind of event.

    Raises:
        KeyError: The pair is unknown.
    """
    return _by_name()[object_type, metric]


@cache
def subscription_names() -> tuple[str, ...]:
    """Return all names that `events` of a reporting webhook may contain, in the vendor's order."""
    return tuple(_facts()["subscription_names"])


@cache
def envelope_fields() -> tuple[Field, ...]:
    """Return the fields of the envelope, which every event has."""
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
