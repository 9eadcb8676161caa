"""Reporting webhooks as configuration: what a plan says."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks.config import (
    Live,
    Wanted,
    WebhookConfigError,
    WebhookSettings,
    differences,
    endpoint_problem,
    live,
    plan,
)

A = WebhookSettings("A", "https://a.example.com/", ("email_sent",))
B = WebhookSettings("B", "https://b.example.com/", ("sms_sent", "email_sent"))
KNOWN = ("email_sent", "email_opened", "sms_sent")


def test_live_reads_what_the_api_says() -> None:
    """Events in the vendor's order with unknown ones kept behind; those in JavaScript left out."""
    said = [
        {"id": 3, "name": "x", "endpoint": "e", "events": ["new_thing", "sms_sent", "email_sent"]},
        {"id": 4, "name": "j", "type": "js"},
    ]

    assert live(said, KNOWN) == (
        Live(3, WebhookSettings("x", "e", ("email_sent", "sms_sent", "new_thing"))),
    )


@pytest.mark.parametrize("said", [{"events": []}, {"id": 1}, {"id": "1", "events": []}])
def test_live_refuses_what_the_api_does_not_document(said: dict[str, object]) -> None:
    """An answer that is no webhook is not taken for an empty one."""
    with pytest.raises(WebhookConfigError, match="without id or events"):
        live([said], KNOWN)


def test_plan_says_what_to_do_with_each_that_the_file_names() -> None:
    """Created, changed, deleted, kept; others are left alone."""
    held = [Live(1, A), Live(2, B), Live(3, replace(A, name="old")), Live(4, replace(A, name="z"))]
    opened = replace(B, full_resolution=True)
    new = replace(B, name="new", endpoint="https://n.example.com/")
    wanted = [Wanted("A", A), Wanted("B", opened), Wanted("old", None), Wanted("new", new)]

    planned = plan([*wanted, Wanted("gone", None)], held)

    assert [(one.action, one.name) for one in planned.changes] == [
        ("keep", "A"),
        ("update", "B"),
        ("delete", "old"),
        ("create", "new"),
    ]
    assert [one.name for one in planned.due] == ["B", "old", "new"]
    assert planned.others == (held[3],)
    assert list(differences(planned.changes[1])) == [("full_resolution", False, True)]
    assert list(differences(planned.changes[3])) == []


def test_plan_finds_by_id_before_name() -> None:
    """That is how a webhook gets another name."""
    planned = plan([Wanted("new name", replace(A, name="new name"), 1)], [Live(1, A)])

    assert [(one.action, one.name) for one in planned.changes] == [("update", "new name")]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([Wanted("A", A)], "'A' is the name of 1, 2: give the entry an id"),
        ([Wanted("C", A, 9)], "'C': the workspace has no webhook 9"),
        ([Wanted("X", A, 1), Wanted("Y", B, 1)], "two entries mean the webhook 1"),
    ],
)
def test_plan_refuses_entries_that_mean_none_or_several(wanted: list[Wanted], words: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(WebhookConfigError) as caught:
        plan(wanted, [Live(1, A), Live(2, A)])

    assert words in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  # ours


def test_plan_warns_of_two_webhooks_that_post_to_one_endpoint() -> None:
    """The other one is not the file's, so it is named and left alone."""
    planned = plan([Wanted("A", A)], [Live(5, replace(A, name="by hand"))])

    assert planned.warnings == (
        "'A' and webhook 5, which the file does not name, post to the same endpoint: events may"
        " arrive twice under different ids",
    )


WEBHOOKS = st.builds(
    WebhookSettings,
    name=st.sampled_from("ABCD"),
    endpoint=st.sampled_from(["https://a.example.com/", "https://b.example.com/"]),
    events=st.sampled_from([("email_sent",), ("sms_sent",), KNOWN]),
    full_resolution=st.booleans(),
    with_content=st.booleans(),
    enabled=st.booleans(),
)


@given(
    st.lists(WEBHOOKS, unique_by=lambda one: one.name),
    st.lists(WEBHOOKS, unique_by=lambda one: one.name),
)
def test_plan_done_leaves_nothing_to_do(
    given_: list[WebhookSettings], held: list[WebhookSettings]
) -> None:
    """A workspace changed as planned is as the file says, and all others are as they were."""
    before = {number: webhook for number, webhook in enumerate(held)}
    wanted = [Wanted(one.name, one) for one in given_]
    planned = plan(wanted, [Live(*one) for one in before.items()])

    after = dict(before)
    for change in planned.due:
        assert change.after is not None
        after[change.before.id if change.before else 100 + len(after)] = change.after

    assert plan(wanted, [Live(*one) for one in after.items()]).due == ()
    assert all(after[other.id] == other.webhook for other in planned.others)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("https://a.example.com/x?y=1", ""),
        ("http://localhost:8000/", ""),
        ("http://[::1]/", ""),
        ("http://a.example.com/", "must begin with https://"),
        ("ftp://a.example.com/", "must begin with https://"),
        ("https://", "is no address"),
        ("https://[", "is no address"),
        ("https://a.example.com:x/", "is no address"),
        ("https://a.example.com:0/", "is no address"),
        ("https://a.example.com/a b", "is no address"),
        ("https://ä.example.com/", "is no address"),
        ("https://me:secret@a.example.com/", "must not hold a user name"),
    ],
)
def test_endpoint_problem_says_why(endpoint: str, words: str) -> None:
    """Https, or this machine; a password in it would be shown in every plan."""
    assert endpoint_problem(endpoint).startswith(words)
    assert bool(endpoint_problem(endpoint)) is bool(words)
