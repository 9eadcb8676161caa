"""The YAML file of reporting webhooks: what it may say, and how it is told what is wrong."""

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
    """What is wrong with a file."""
    with pytest.raises(WebhookConfigError) as caught:
        read(text, KNOWN)
    return str(caught.value).splitlines()


def test_read_knows_all_that_an_entry_may_say() -> None:
    """Flags, id and absence; what is left out has the vendor's default, but enabled."""
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


def test_read_puts_events_into_the_vendors_order_each_once() -> None:
    """So that two ways to say the same are no difference."""
    text = START.replace("all", "[email_opened, webhook, email, email_sent]")

    found = read(text, KNOWN)[0].webhook

    assert found is not None
    assert found.events == ("email_sent", "email_opened", "webhook_sent")


def test_read_names_everything_that_is_wrong_by_line() -> None:
    """All at once, the nearest name for a slip."""
    text = (
        "webhooks:\n- name: A\n  endpoint: http://a.example.com/\n  events: [emial_sent]\n"
        "  enabled: maybe\n- nmae: B\n  events: []\n  id: x\n"
    )

    assert problems(text) == [
        "line 3: endpoint must begin with https:// (http:// only on this machine)",
        "line 4: 'emial_sent' is no event; did you mean 'email_sent'?",
        "line 5: enabled must be true or false",
        "line 6: 'nmae' is no key here; did you mean 'name'?",
        "line 6: name is missing or is no text",
        "line 6: endpoint is missing or is no text",
        "line 7: events must name at least one",
        "line 8: id must be the webhook's number",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a list under `webhooks` is missing"),
        ("webhooks: []", "line 1: a list under `webhooks` is missing"),
        ("webhook: 1", "line 1: 'webhook' is no key here; did you mean 'webhooks'?"),
        ("- 1", "line 1: must have the keys webhooks"),
        ("webhooks:\n- 1", "must have the keys id, name"),
        ("webhooks: [", "line 1: is no YAML ("),
        ("a: \x00", "is no YAML (special characters are not allowed)"),
        ("[" * 5000, "is nested too deeply"),
        (START + "  events: all\n", "line 5: events is given twice"),
        (START + "- name: A\n  absent: true\n", "line 5: the name 'A' is already used above"),
        (START + START[10:].replace("A", "B"), "line 5: the endpoint"),
        (START + "- name: null\n  absent: true\n", "line 5: name is missing"),
        (START + "  id: 1:30\n", "line 5: id must be"),
        (START + "  enabled: !!bool x\n", "line 5: enabled must be"),
        (START + "  ? [a]\n  : 1\n", "line 5: '' is no key here"),
        (START.replace("all", "&x [*x]"), "line 4: '' is no event"),
        (START.replace("  events: all\n", ""), "line 2: events are missing"),
    ],
)
def test_read_refuses_what_cannot_be_used(text: str, words: str) -> None:
    """In words, with the line where there is one."""
    assert words in "\n".join(problems(text))


@given(st.text(max_size=60) | st.text("&*[]{}:-?!#|>'\"%@ \nawebhooks", max_size=80))
def test_read_fails_in_its_own_words_only(text: str) -> None:
    """Whatever the file holds, it is read or refused with a reason."""
    for whole in (text, f"webhooks:\n- name: {text}\n", f"{START}  id: {text}"):
        with contextlib.suppress(WebhookConfigError):
            assert read(whole, KNOWN)


def test_every_event_has_a_channel_and_a_meaning() -> None:
    """All that the vendor publishes; the channels together are all of them."""
    names = specification.subscription_names()

    assert [name for name in names if not (channel_of(name) and meaning_of(name))] == []
    assert {name for word in CHANNELS for name in events_named(word, names)} == set(names)
    assert events_named("all", names) == names
    assert channel_of("fax_sent") == meaning_of("fax_beamed") == ""
