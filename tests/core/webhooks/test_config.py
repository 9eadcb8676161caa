"""Plans for reporting webhooks."""

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
    shown,
)

A = WebhookSettings("A", "https://a.example.com/", ("email_sent",))
B = WebhookSettings("B", "https://b.example.com/", ("sms_sent", "email_sent"))
KNOWN = ("email_sent", "email_opened", "sms_sent")


def test_live_converts_the_answer_of_the_api() -> None:
    """Known events in the vendor's order, then unknown ones. JavaScript webhooks are left out."""
    answer = [
        {"id": 3, "name": "x", "endpoint": "e", "events": ["new_thing", "sms_sent", "email_sent"]},
        {"id": 4, "name": "j", "type": "js"},
    ]

    assert live(answer, KNOWN) == (
        Live(3, WebhookSettings("x", "e", ("email_sent", "sms_sent", "new_thing"))),
    )


@pytest.mark.parametrize("webhook", [{"events": []}, {"id": 1}, {"id": "1", "events": []}])
def test_live_refuses_an_undocumented_answer(webhook: dict[str, object]) -> None:
    """A webhook without id or events."""
    with pytest.raises(WebhookConfigError, match="without id or events"):
        live([webhook], KNOWN)


def test_plan_has_a_change_for_each_webhook_of_the_file() -> None:
    """Create, update, delete, keep. Other webhooks stay unchanged."""
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
    """So a webhook can be renamed."""
    planned = plan([Wanted("new name", replace(A, name="new name"), 1)], [Live(1, A)])

    assert [(one.action, one.name) for one in planned.changes] == [("update", "new name")]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([Wanted("A", A)], ("'A'", "1, 2", "id")),
        ([Wanted("C", A, 9)], ("'C'", "no webhook 9")),
        ([Wanted("X", A, 1), Wanted("Y", B, 1)], ("two entries", "webhook 1")),
    ],
)
def test_plan_refuses_entries_that_match_none_or_several(
    wanted: list[Wanted], words: tuple[str, ...]
) -> None:
    """The error names the entry and the webhooks."""
    with pytest.raises(WebhookConfigError) as caught:
        plan(wanted, [Live(1, A), Live(2, A)])

    assert [word for word in words if word not in str(caught.value)] == []
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  # ours


def test_plan_warns_of_two_webhooks_that_post_to_one_endpoint() -> None:
    """The file does not name the other webhook, so it stays unchanged."""
    planned = plan([Wanted("A", A)], [Live(5, replace(A, name="by hand"))])

    (warning,) = planned.warnings
    assert "'A'" in warning
    assert "webhook 5" in warning
    assert "twice" in warning


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
def test_applied_plan_leaves_no_change(
    given_: list[WebhookSettings], held: list[WebhookSettings]
) -> None:
    """After the changes the workspace matches the file, and other webhooks are unchanged."""
    before = {number: webhook for number, webhook in enumerate(held)}
    wanted = [Wanted(one.name, one) for one in given_]
    planned = plan(wanted, [Live(*one) for one in before.items()])

    after = dict(before)
    for change in planned.due:
        assert change.after is not None
        after[change.before.id if change.before else 100 + len(after)] = change.after

    assert plan(wanted, [Live(*one) for one in after.items()]).due == ()
    assert all(after[other.id] == other.webhook for other in planned.others)


def test_endpoint_problem_names_the_reason() -> None:
    """It must be https, or http on this machine. A password would be shown in every plan."""
    words = {
        "https://a.example.com/x?y=1": "",
        "http://localhost:8000/": "",
        "http://[::1]/": "",
        "http://a.example.com/": "https://",
        "ftp://a.example.com/": "https://",
        "https://": "valid URL",
        "https://[": "valid URL",
        "https://a.example.com:x/": "valid URL",
        "https://a.example.com:0/": "valid URL",
        "https://a.example.com/a b": "valid URL",
        "https://ä.example.com/": "valid URL",
        "https://me:secret@a.example.com/": "password",
    }

    problems = {endpoint: endpoint_problem(endpoint) for endpoint in words}

    assert {one: text for one, text in problems.items() if words[one] not in text} == {}
    assert {one for one, text in problems.items() if text} == {one for one in words if words[one]}


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("https://h.example.com/hook?token=s3cret#s3cret", "https://h.example.com/hook?..."),
        ("https://user:s3cret@h.example.com:8443/hook", "https://h.example.com:8443/hook"),
        ("https://user:1/s3cret@h.example.com/hook", "https://user:1/..."),
        ("user:s3cret@h.example.com/hook", "(not a complete URL)"),
        ("https://[s3cret", "(not a valid URL)"),
    ],
)
def test_shown_leaves_out_what_may_be_secret(endpoint: str, text: str) -> None:
    """The query, the fragment, and user and password."""
    assert shown(endpoint) == text
