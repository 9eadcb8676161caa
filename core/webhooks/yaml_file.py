"""The YAML file that describes the reporting webhooks of a workspace.

Pure: takes the text of the file. An error lists all mistakes with their lines.

    webhooks:
      - name: Data team
        endpoint: https://relay.example.com/api/webhooks/customerio
        events: all              # events that the vendor adds later, too; or a channel, an
                                 # event, or a list of them
        full_resolution: true    # every open and click, not only the first of each delivery
        with_content: false
        enabled: true
      - name: An old one
        absent: true             # delete it
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import yaml

from core.webhooks.config import (
    Problem,
    Wanted,
    WebhookConfigError,
    WebhookSettings,
    endpoint_problem,
    shown,
)
from core.webhooks.event_names import CHANNELS, events_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EVENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
_FLAGS = ("full_resolution", "with_content", "enabled", "absent")
_KEYS = ("id", "name", "endpoint", "events", *_FLAGS)


def read(
    text: str, known_events: Sequence[str], *, allow_unknown: bool = False
) -> tuple[Wanted, ...]:
    """Read the webhooks that a YAML file describes.

    Args:
        text: The file; a list under `webhooks`.
        known_events: All events that a webhook can subscribe to, in the vendor's order. With those
            of the workspace (`config.all_events`), `all` includes events that the vendor added.
        allow_unknown: Whether other events are allowed. They must look like the name of an event.

    Raises:
        WebhookConfigError: The file has mistakes; lists all of them.
    """
    try:
        # Nodes instead of values, because only nodes have line numbers.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", "")
        line = mark.line + 1 if mark else 0
        # Not `from error`: the text of that error may quote the file.
        raise WebhookConfigError([Problem(line, f"not valid YAML ({reason})")]) from None
    except RecursionError:
        raise WebhookConfigError([Problem(0, "the file is nested too deeply")]) from None
    return _YamlReader(tuple(known_events), allow_unknown=allow_unknown).read(root)


class _YamlReader:
    """Reads the nodes of a YAML file and collects all mistakes."""

    def __init__(self, known_events: tuple[str, ...], *, allow_unknown: bool) -> None:
        self._known = known_events
        self._allow_unknown = allow_unknown
        self._problems: list[Problem] = []

    def read(self, root: yaml.Node | None) -> tuple[Wanted, ...]:
        """Read the file."""
        entries = dict(self._pairs(root, ("webhooks",))).get("webhooks") if root else None
        if not isinstance(entries, yaml.SequenceNode) or not entries.value:
            self._report(entries or root, "a list under `webhooks` is missing")
            raise WebhookConfigError(self._problems)
        read = [(node, self._entry(node)) for node in entries.value]
        self._check_duplicates(read)
        if self._problems:
            raise WebhookConfigError(sorted(self._problems, key=lambda problem: problem.line))
        return tuple(wanted for _, wanted in read if wanted is not None)

    def _entry(self, node: yaml.Node) -> Wanted | None:
        given = dict(self._pairs(node, _KEYS))
        before = len(self._problems)
        name = self._text(given.get("name"), node, "name")
        number = self._id(given.get("id"))
        flags = {flag: self._flag(given[flag], flag) for flag in _FLAGS if flag in given}
        if flags.pop("absent", False):
            return Wanted(name, None, number)
        endpoint = self._text(given.get("endpoint"), node, "endpoint")
        if endpoint and (problem := endpoint_problem(endpoint)):
            self._report(given["endpoint"], f"endpoint {problem}")
        events = self._events(given.get("events"), node)
        if len(self._problems) > before:
            return None
        return Wanted(name, WebhookSettings(name, endpoint, events, **flags), number)

    def _check_duplicates(self, read: Sequence[tuple[yaml.Node, Wanted | None]]) -> None:
        seen: set[tuple[str, str]] = set()
        for node, wanted in read:
            if wanted is None:
                continue
            fields = [("name", wanted.name)]
            if wanted.webhook is not None:
                fields.append(("endpoint", wanted.webhook.endpoint))
            for field in fields:
                if field in seen:
                    text = shown(field[1]) if field[0] == "endpoint" else field[1]
                    self._report(node, f"the {field[0]} {text!r} is already used above")
                seen.add(field)

    def _pairs(
        self, node: yaml.Node | None, known: Sequence[str]
    ) -> Iterator[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._report(node, f"must have the keys {', '.join(known)}")
            return
        seen = set()
        for key, value in node.value:
            name = _scalar(key)
            if name not in known:
                self._report(key, f"the key {name!r} is unknown{_suggestion(name, known)}")
            elif name in seen:
                self._report(key, f"{name} is given twice")
            else:
                seen.add(name)
                yield name, value

    def _text(self, node: yaml.Node | None, parent: yaml.Node, key: str) -> str:
        text = _scalar(node)
        if not text:
            self._report(node or parent, f"{key} is missing or is not text")
        return text

    def _id(self, node: yaml.Node | None) -> int | None:
        if node is None:
            return None
        text = _scalar(node)
        # The text, not the YAML value: YAML 1.1 reads `1:30` as 90 and `010` as 8.
        if text.isascii() and text.isdecimal() and len(text) < 19:
            return int(text)
        self._report(node, "id must be the number of the webhook")
        return None

    def _flag(self, node: yaml.Node, key: str) -> bool:
        value = yaml.SafeLoader.bool_values.get(_scalar(node).lower())
        if value is not None and node.tag.endswith(":bool"):
            return bool(value)
        self._report(node, f"{key} must be true or false")
        return False

    def _events(self, node: yaml.Node | None, parent: yaml.Node) -> tuple[str, ...]:
        if node is None:
            self._report(parent, "events are missing: `all`, a channel, or a list")
            return ()
        chosen: set[str] = set()
        for word in _words(node):
            text = _scalar(word)
            found = events_named(text, self._known)
            if not found and self._allow_unknown and _EVENT.fullmatch(text):
                found = (text,)
            chosen.update(found)
            if not found:
                near = _suggestion(text, ("all", *CHANNELS, *self._known))
                self._report(word, f"{text!r} is no event{near}")
        if not _words(node):
            self._report(node, "events must contain at least one event")
        unknown = sorted(chosen.difference(self._known))
        return (*(name for name in self._known if name in chosen), *unknown)

    def _report(self, node: yaml.Node | None, text: str) -> None:
        self._problems.append(Problem(node.start_mark.line + 1 if node else 0, text))


def _scalar(node: yaml.Node | None) -> str:
    """Return the text of a scalar; empty for null and for other nodes."""
    if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null"):
        return ""
    return str(node.value).strip()


def _words(node: yaml.Node) -> Sequence[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else (node,)


def _suggestion(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
