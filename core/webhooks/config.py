"""Reporting webhooks as configuration: compare a file with a workspace and plan the changes.

Pure: `plan` compares the webhooks of a file (`core.webhooks.yaml_file`) with the webhooks of the
workspace. `core.webhooks.apply` applies the plan.

A plan changes only webhooks that the file names. It finds a webhook by `id` if the file gives one,
otherwise by name.

Source: https://docs.customer.io/integrations/data-out/connections/webhooks/
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Action: TypeAlias = Literal["create", "update", "delete", "keep"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The settings of a reporting webhook.

    Attributes:
        name: Shown in Customer.io. It connects an entry of the file with a webhook.
        endpoint: The URL that events are posted to.
        events: The names of the subscribed events, without duplicates, in the vendor's order.
        full_resolution: Whether every open and click is sent, not only the first of a delivery.
        with_content: Whether `sent` events contain the body of the message.
        enabled: Whether events are sent.
    """

    name: str
    endpoint: str
    events: tuple[str, ...]
    full_resolution: bool = False
    with_content: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry of the file.

    Attributes:
        name: The name of the webhook.
        webhook: Its settings; None if it should not exist.
        id: The id of the webhook in the workspace; None if the file gives none.
    """

    name: str
    webhook: WebhookSettings | None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A reporting webhook of the workspace."""

    id: int
    webhook: WebhookSettings


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """The change of one webhook.

    Attributes:
        action: `keep` changes nothing.
        before: The webhook in the workspace now; None if it is created.
        after: Its settings after the change; None if it is deleted.
    """

    action: Action
    before: Live | None
    after: WebhookSettings | None

    @property
    def name(self) -> str:
        """The name of the webhook; the new name if it changes."""
        webhook = self.after or (self.before.webhook if self.before else None)
        return webhook.name if webhook else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes, in the order of the file.

    Attributes:
        changes: One for each webhook that the file names.
        others: The webhooks of the workspace that the file does not name; they are not changed.
        warnings: Sentences about probable mistakes.
    """

    changes: tuple[WebhookChange, ...]
    others: tuple[Live, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def due(self) -> tuple[WebhookChange, ...]:
        """The changes without action `keep`."""
        return tuple(change for change in self.changes if change.action != "keep")


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a file; `line` counts from 1, 0 means no line."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class WebhookConfigError(ConfigurationError):
    """A file with reporting webhooks has mistakes, or does not match the workspace.

    Attributes:
        problems: All mistakes.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


def live(webhooks: Iterable[Mapping[str, Any]], known_events: Sequence[str]) -> tuple[Live, ...]:
    """Convert webhooks of the App API; webhooks written in JavaScript are left out.

    Raises:
        WebhookConfigError: A webhook is not as the API documents it.
    """
    return tuple(
        _live(webhook, known_events) for webhook in webhooks if webhook.get("type") != "js"
    )


def all_events(known_events: Sequence[str], held: Sequence[Live]) -> tuple[str, ...]:
    """Return the known events, then the events of a workspace that this code does not know.

    The vendor adds events without notice. With these names, `events: all` of a file includes them,
    and a plan does not unsubscribe them.
    """
    subscribed = {event for one in held for event in one.webhook.events}
    return (*known_events, *sorted(subscribed.difference(known_events)))


def shown(endpoint: str) -> str:
    """Return an endpoint for plans, errors and logs: without user and query, maybe secrets."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return "(not a valid URL)"
    if not parts.netloc:
        return "(not a complete URL)"
    host = parts.netloc.rpartition("@")[2]
    # Of a password with a slash, the end stands in the path.
    path = "/..." if "@" in parts.path else parts.path
    return f"{parts.scheme}://{host}{path}{'?...' if parts.query else ''}"


def plan(
    wanted: Sequence[Wanted], held: Sequence[Live], known_events: Sequence[str] | None = None
) -> Plan:
    """Compare a file with a workspace.

    Args:
        wanted: The entries of the file.
        held: The webhooks of the workspace.
        known_events: To warn about all other events; None warns about none.

    Raises:
        WebhookConfigError: An entry matches no webhook, or more than one.
    """
    problems: list[Problem] = []
    changes, named = [], set()
    for entry in wanted:
        found = _matching(entry, held, problems)
        # Otherwise the second entry would overwrite the changes of the first entry.
        if found is not None and found.id in named:
            problems.append(Problem(0, f"two entries match the webhook {found.id}"))
        named |= {found.id} if found else set()
        after = entry.webhook
        if found is not None and after is not None:
            action: Action = "keep" if found.webhook == after else "update"
            changes.append(WebhookChange(action, found, after))
        elif after is not None:
            changes.append(WebhookChange("create", None, after))
        elif found is not None:
            changes.append(WebhookChange("delete", found, None))
    if problems:
        raise WebhookConfigError(problems)
    others = tuple(webhook for webhook in held if webhook.id not in named)
    return Plan(tuple(changes), others, tuple(_warnings(changes, others, known_events)))


def differences(change: WebhookChange) -> Iterator[tuple[str, object, object]]:
    """Yield each field that an update changes: name, value before, value after."""
    if change.before is None or change.after is None:
        return
    for field in fields(WebhookSettings):
        before = getattr(change.before.webhook, field.name)
        after = getattr(change.after, field.name)
        if before != after:
            yield field.name, before, after


def endpoint_problem(endpoint: str) -> str:
    """Return why an endpoint cannot be used, to follow its name in a sentence; empty if it can."""
    try:
        parts = urlsplit(endpoint)
        host, is_port = parts.hostname or "", parts.port != 0
    except ValueError:
        return "is not a valid URL"
    if not host or not is_port or not endpoint.isascii() or any(map(str.isspace, endpoint)):
        return "is not a valid URL"
    if parts.username is not None or parts.password is not None:
        # They would be shown in every plan.
        return "must not contain a user name or a password"
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return ""
    return "must begin with https:// (http:// only on this machine)"


def _live(webhook: Mapping[str, Any], known_events: Sequence[str]) -> Live:
    number, subscribed = webhook.get("id"), webhook.get("events")
    if not isinstance(number, int) or not isinstance(subscribed, list):
        raise WebhookConfigError(
            [Problem(0, "the App API returned a webhook without id or events")]
        )
    # Events that this code does not know are kept, after the known ones. They are sorted, so that
    # the same events in another order are no difference.
    order = [*known_events, *sorted({*map(str, subscribed)}.difference(known_events))]
    return Live(
        number,
        WebhookSettings(
            name=str(webhook.get("name", "")),
            endpoint=str(webhook.get("endpoint", "")),
            events=tuple(name for name in order if name in subscribed),
            full_resolution=bool(webhook.get("full_resolution")),
            with_content=bool(webhook.get("with_content")),
            enabled=not webhook.get("disabled"),
        ),
    )


def _matching(entry: Wanted, held: Sequence[Live], problems: list[Problem]) -> Live | None:
    if entry.id is not None:
        found = [webhook for webhook in held if webhook.id == entry.id]
        if not found and entry.webhook is not None:
            problems.append(Problem(0, f"{entry.name!r}: the workspace has no webhook {entry.id}"))
    else:
        found = [webhook for webhook in held if webhook.webhook.name == entry.name]
    if len(found) > 1:
        ids = ", ".join(str(webhook.id) for webhook in found)
        problems.append(
            Problem(0, f"{entry.name!r} is the name of the webhooks {ids}: give the entry an id")
        )
    return found[0] if found else None


def _warnings(
    changes: Sequence[WebhookChange], others: Sequence[Live], known_events: Sequence[str] | None
) -> Iterator[str]:
    for change in changes:
        events = change.after.events if change.after is not None and known_events else ()
        for name in [event for event in events if event not in (known_events or ())]:
            near = difflib.get_close_matches(name, known_events or (), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            yield f"{change.name!r}: the event {name!r} is unknown to this version.{hint}"
    # Each webhook sends its own copy of an event, and the receiver cannot recognize the second one.
    for change in changes:
        for other in others:
            if change.after is not None and other.webhook.endpoint == change.after.endpoint:
                yield (
                    f"{change.name!r} and webhook {other.id}, which the file does not name, post to"
                    " the same endpoint: events may arrive twice under different ids"
                )
