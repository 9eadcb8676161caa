"""Reporting webhooks of a workspace as configuration: what is wanted, what is held, what to do.

Pure: `plan` compares what a file describes (`core.webhooks.yaml_file`) with what the workspace
holds and says what to change; `core.webhooks.apply` makes it so.

A plan touches only webhooks that the file names. It finds them by `id` where the file gives one,
else by name.

Source: https://docs.customer.io/integrations/data-out/connections/webhooks/
"""

from __future__ import annotations

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
    """A reporting webhook as its owner describes it.

    Attributes:
        name: Shown in Customer.io, and how the file and the workspace find each other.
        endpoint: Where events are posted.
        events: Names of the events it is subscribed to, each once, in the vendor's order.
        full_resolution: Every open and click is sent, not only the first of each delivery.
        with_content: `sent` events carry the body of the message.
        enabled: Events are sent at all.
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
        name: Of the webhook.
        webhook: What it should be; None: it should not exist.
        id: Of the webhook in the workspace, where the file says so.
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
    """What is to be done with one webhook.

    Attributes:
        action: `keep` changes nothing.
        before: What the workspace holds; None to create.
        after: What it will hold; None to delete.
    """

    action: Action
    before: Live | None
    after: WebhookSettings | None

    @property
    def name(self) -> str:
        """The webhook's name, the new one where it changes."""
        webhook = self.after or (self.before.webhook if self.before else None)
        return webhook.name if webhook else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in the order of the file.

    Attributes:
        changes: One for each webhook that the file names.
        others: Webhooks of the workspace that the file does not name; they are left alone.
        warnings: What is probably not meant, in words.
    """

    changes: tuple[WebhookChange, ...]
    others: tuple[Live, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def due(self) -> tuple[WebhookChange, ...]:
        """The changes that change something."""
        return tuple(change for change in self.changes if change.action != "keep")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that cannot be used; `line` counts from 1, 0 where there is none."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class WebhookConfigError(ConfigurationError):
    """A file does not describe reporting webhooks, or not those of this workspace.

    Attributes:
        problems: All of them.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


def live(webhooks: Iterable[Mapping[str, Any]], known_events: Sequence[str]) -> tuple[Live, ...]:
    """Read what the App API says of a workspace's webhooks; those written in JavaScript left out.

    Raises:
        WebhookConfigError: It is not what the API documents.
    """
    return tuple(
        _live(webhook, known_events) for webhook in webhooks if webhook.get("type") != "js"
    )


def plan(wanted: Sequence[Wanted], held: Sequence[Live]) -> Plan:
    """Compare a file with a workspace.

    Raises:
        WebhookConfigError: An entry fits no webhook, or more than one.
    """
    problems: list[Problem] = []
    changes, named = [], set()
    for one in wanted:
        found = _found(one, held, problems)
        if found is not None and found.id in named:
            problems.append(Problem(0, f"two entries mean the webhook {found.id}"))
        named |= {found.id} if found else set()
        if found is not None or one.webhook is not None:
            changes.append(_change(one.webhook, found))
    if problems:
        raise WebhookConfigError(problems)
    others = tuple(one for one in held if one.id not in named)
    return Plan(tuple(changes), others, tuple(_warnings(changes, others)))


def differences(change: WebhookChange) -> Iterator[tuple[str, object, object]]:
    """Each field that an update changes: its name, what it was and what it will be."""
    if change.before is None or change.after is None:
        return
    for field in fields(WebhookSettings):
        before = getattr(change.before.webhook, field.name)
        after = getattr(change.after, field.name)
        if before != after:
            yield field.name, before, after


def endpoint_problem(endpoint: str) -> str:
    """Why an endpoint cannot be used, to be read after its name; empty where it can."""
    try:
        parts = urlsplit(endpoint)
        host, is_port = parts.hostname or "", parts.port != 0
    except ValueError:
        return "is no address"
    if not host or not is_port or not endpoint.isascii() or any(map(str.isspace, endpoint)):
        return "is no address"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or a password"
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return ""
    return "must begin with https:// (http:// only on this machine)"


def _live(webhook: Mapping[str, Any], known_events: Sequence[str]) -> Live:
    number, subscribed = webhook.get("id"), webhook.get("events")
    if not isinstance(number, int) or not isinstance(subscribed, list):
        raise WebhookConfigError([Problem(0, "the API describes a webhook without id or events")])
    # An event that is newer than this code is kept, behind those that are known.
    order = [*known_events, *(name for name in subscribed if name not in known_events)]
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


def _found(one: Wanted, held: Sequence[Live], problems: list[Problem]) -> Live | None:
    if one.id is not None:
        found = [webhook for webhook in held if webhook.id == one.id]
        if not found and one.webhook is not None:
            problems.append(Problem(0, f"{one.name!r}: the workspace has no webhook {one.id}"))
    else:
        found = [webhook for webhook in held if webhook.webhook.name == one.name]
    if len(found) > 1:
        ids = ", ".join(str(webhook.id) for webhook in found)
        problems.append(Problem(0, f"{one.name!r} is the name of {ids}: give the entry an id"))
    return found[0] if found else None


def _change(after: WebhookSettings | None, before: Live | None) -> WebhookChange:
    if after is None:
        return WebhookChange("delete", before, None)
    if before is None:
        return WebhookChange("create", None, after)
    return WebhookChange("keep" if before.webhook == after else "update", before, after)


def _warnings(changes: Sequence[WebhookChange], others: Sequence[Live]) -> Iterator[str]:
    for change in changes:
        for other in others:
            if change.after is not None and other.webhook.endpoint == change.after.endpoint:
                yield (
                    f"{change.name!r} and webhook {other.id}, which the file does not name, post to"
                    " the same endpoint: events may arrive twice under different ids"
                )
