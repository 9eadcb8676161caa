"""The YAML file of reporting webhooks: its keys, and the errors for mistakes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks import specification
from core.webhooks.config import Wanted, WebhookConfigError, WebhookSettings
from core.webhooks.event_names import CHANNELS, channel_of, events_named, meaning_of
from core.webhooks.yaml_file import read

KNOWN = ("customer_subscribed", "email_sent", "email_opened", "in_app_sent", "webhook_sent")
START = "webhooks:\n- name: A\n  endpoint: https://a.example.com/hook\n  events: all\n"


def problems(text: str) -> list[str]:
    """Return the mistakes of a file."""
    with pytest.raises(WebhookConfigError) as caught:
        read(text, KNOWN)
    return str(caught.value).splitlines()


def test_read_knows_all_keys_of_an_entry() -> None:
    """Flags, `id` and `absent`. Defaults are the vendor's, except that `enabled` is true."""
    text = (
        f"{START}- id: 7\n  name: B\n  endpoint: http://127.0.0.1:80/x\n  events: [email]\n"
        "  full_resolution: yes\n  with_content: true\n  enabled: off\n- name: C\n  absent: true\n"
    )

    assert read(text, KNOWN) == (
        Wanted("A", WebhookSettings("A", "https://a.example.com/hook", KNOWN)),
        Wanted(
            "B",
            WebhookSettings(
                "B", "http://127.0.0.1:80/x", ("email_sent", "email_opened"), True, True, False
            ),
            7,
        ),
        Wanted("C", None),
    )


def test_read_sorts_events_and_removes_duplicates() -> None:
    """Two spellings of the same events are equal."""
    text = START.replace("all", "[email_opened, webhook, email, email_sent]")

    found = read(text, KNOWN)[0].webhook

    assert found is not None
    assert found.events == ("email_sent", "email_opened", "webhook_sent")


def test_read_lists_all_mistakes_by_line() -> None:
    """All at once, with a suggestion for a wrong name."""
    text = (
        "webhooks:\n- name: A\n  endpoint: http://a.example.com/\n  events: [emial_sent]\n"
        "  enabled: maybe\n- nmae: B\n  events: []\n  id: x\n"
    )

    expected = [
        ("line 3", "endpoint", "https://"),
        ("line 4", "'emial_sent'", "did you mean 'email_sent'?"),
        ("line 5", "enabled", "true or false"),
        ("line 6", "'nmae'", "did you mean 'name'?"),
        ("line 6", "name", "missing"),
        ("line 6", "endpoint", "missing"),
        ("line 7", "events", "at least one"),
        ("line 8", "id", "number"),
    ]
    found = problems(text)
    assert len(found) == len(expected)
    assert [
        (line, words)
        for line, words in zip(found, expected, strict=True)
        if not all(word in line for word in words)
    ] == []


# A file, and key words of the line that names its mistake.
MISTAKES: list[tuple[str, tuple[str, ...]]] = [
    ("", ("list", "`webhooks`")),
    ("webhooks: []", ("line 1:", "list", "`webhooks`")),
    ("webhook: 1", ("line 1:", "'webhook'", "did you mean 'webhooks'?")),
    ("- 1", ("line 1:", "keys webhooks")),
    ("webhooks:\n- 1", ("keys id, name",)),
    ("webhooks: [", ("line 1:", "YAML (")),
    ("a: \x00", ("YAML", "special characters")),
    ("[" * 5000, ("nested",)),
    (START + "  events: all\n", ("line 5:", "events", "twice")),
    (START + "- name: A\n  absent: true\n", ("line 5:", "name 'A'", "already")),
    (START + START[10:].replace("A", "B"), ("line 5:", "endpoint", "already")),
    (START + "- name: null\n  absent: true\n", ("line 5:", "name", "missing")),
    (START + "  id: 1:30\n", ("line 5:", "id must be")),
    (START + "  enabled: !!bool x\n", ("line 5:", "enabled must be")),
    (START + "  ? [a]\n  : 1\n", ("line 5:", "key ''")),
    (START.replace("all", "&x [*x]"), ("line 4:", "''", "event")),
    (START.replace("  events: all\n", ""), ("line 2:", "events", "missing")),
]


def test_read_names_each_kind_of_mistake() -> None:
    """With its line, if it has one."""
    unnamed = [
        (text, words, problems(text))
        for text, words in MISTAKES
        if not any(all(word in line for word in words) for line in problems(text))
    ]

    assert unnamed == []


@given(st.text(max_size=60) | st.text("&*[]{}:-?!#|>'\"%@ \nawebhooks", max_size=80))
def test_read_raises_no_other_error(text: str) -> None:
    """Any text is read or raises `WebhookConfigError`."""
    for whole in (text, f"webhooks:\n- name: {text}\n", f"{START}  id: {text}"):
        with contextlib.suppress(WebhookConfigError):
            assert read(whole, KNOWN)


def test_every_event_has_a_channel_and_a_meaning() -> None:
    """For all events of the vendor. Together, the channels have all events."""
    names = specification.subscription_names()

    assert [name for name in names if not (channel_of(name) and meaning_of(name))] == []
    assert {name for word in CHANNELS for name in events_named(word, names)} == set(names)
    assert events_named("all", names) == names
    assert channel_of("fax_sent") == meaning_of("fax_beamed") == ""
