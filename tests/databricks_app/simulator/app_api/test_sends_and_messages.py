"""Sends in the simulated App API, and the messages that they make."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

from databricks_app.simulator.simulator import Simulator
from tests.support.app_api_calls import SENDS, detail, send
from tests.support.simulating import RecordingReceiver, call

WEBHOOK = {"name": "lake", "endpoint": "https://lake.example.com/hook", "events": ["email_sent"]}
HOOKS = "/v1/reporting_webhooks"
DAY = 86400.0


@pytest.mark.parametrize("channel", SENDS)
def test_a_send_is_accepted_and_has_metrics(
    simulator: Simulator, app: httpx2.Client, channel: str
) -> None:
    """On every channel the answer has an id, and the message gets metrics as time passes."""
    answer = send(app, channel)
    assert answer.status_code == 200
    assert answer.json()["queued_at"] == int(simulator.clock.now())

    simulator.advance(DAY)

    message = app.get(f"/v1/messages/{answer.json()['delivery_id']}").json()["message"]
    kind = {"sms": "twilio", "inbox_message": "in_app"}.get(channel, channel)
    assert message["type"] == kind
    assert message["customer_id"] == "10001"
    assert message["metrics"]


def test_an_email_with_its_own_content_needs_no_template(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """It has body, subject and sender; the content can be read back, its links are clicked."""
    fields = {
        "transactional_message_id": None,
        "body": '<a href="https://www.example.com/here">go</a>',
        "subject": "Hello",
        "from": "team@example.com",
    }
    with RecordingReceiver() as receiver:
        app.post(HOOKS, json=WEBHOOK | {"endpoint": receiver.url, "events": ["email_clicked"]})
        ids = [send(app, **fields).json()["delivery_id"] for _ in range(60)]
        simulator.advance(7 * DAY)
        links = {json.loads(one.body)["data"]["href"] for one in receiver.arrivals}

    archived = app.get(f"/v1/messages/{ids[0]}/archived_message").json()["archived_message"]
    assert links == {"https://www.example.com/here"}
    assert archived["body"] == fields["body"]
    assert (archived["subject"], archived["recipient"]) == ("Hello", "ada@example.com")


INVALID_SENDS: dict[str, tuple[str, dict[str, Any], int]] = {
    "no recipient": ("email", {"to": None}, 400),
    "recipient is not text": ("email", {"to": 7}, 400),
    "no identifier": ("email", {"identifiers": {}}, 400),
    "two identifiers": ("email", {"identifiers": {"id": "1", "email": "a@example.com"}}, 400),
    "unknown identifier": ("email", {"identifiers": {"phone": "1"}}, 400),
    "identifier is not text": ("email", {"identifiers": {"id": []}}, 400),
    "unknown cio_id": ("email", {"identifiers": {"cio_id": "nobody"}}, 400),
    "unknown id": ("email", {"identifiers": {"id": "nobody"}, "auto_create": False}, 400),
    "unknown template": ("email", {"transactional_message_id": 999}, 400),
    "template of SMS": ("email", {"transactional_message_id": 404}, 400),
    "e-mail without template": ("email", {"transactional_message_id": None}, 400),
    "SMS without template": ("sms", {"transactional_message_id": None}, 400),
    "16 recipients": ("email", {"to": ",".join(["a@example.com"] * 16)}, 400),
    "send_at is text": ("email", {"send_at": "tomorrow"}, 400),
    "send_at too far ahead": ("email", {"send_at": 1 << 40}, 400),
    "attachments are a list": ("email", {"attachments": []}, 400),
    "attachment is not base64": ("email", {"attachments": {"a.txt": "not base64!"}}, 400),
    "attachment too large": (
        "email",
        {"attachments": {"a": base64.b64encode(b"x" * 2_000_001).decode()}},
        413,
    ),
    "payload too large": ("email", {"message_data": {"a": "x" * 1_000_001}}, 413),
}


def test_an_invalid_send_is_refused(app: httpx2.Client) -> None:
    """Each is answered with its status and a sentence under `meta.error`; nothing is sent."""
    failures = {}
    for name, (channel, fields, status) in INVALID_SENDS.items():
        answer = send(app, channel, **fields)
        if answer.status_code != status or not answer.json()["meta"]["error"]:
            failures[name] = (answer.status_code, answer.text)

    assert failures == {}
    assert app.get("/v1/messages").json()["messages"] == []
    assert app.get("/v1/messages", params={"drafts": "true"}).json()["messages"] == []


def test_a_disabled_channel_is_forbidden(simulator: Simulator, app: httpx2.Client) -> None:
    """A send is answered 403 until the channel is enabled again."""
    state = f"{simulator.url}/simulator/state"
    call("POST", state, json={"disabled_channels": ["sms"]})
    refused = send(app, "sms")
    call("POST", state, json={"disabled_channels": []})

    assert refused.status_code == 403
    assert send(app, "sms").status_code == 200


def test_a_send_with_send_at_waits_for_its_time(simulator: Simulator, app: httpx2.Client) -> None:
    """The answer has `send_at`, and the message has no metrics before it."""
    at = int(simulator.clock.now()) + 3600

    answer = send(app, send_at=at).json()
    simulator.advance(3500)
    path = f"/v1/messages/{answer['delivery_id']}"
    before = app.get(path).json()["message"]["metrics"]
    simulator.advance(200)

    assert answer["send_at"] == at
    assert before == {}
    assert app.get(path).json()["message"]["metrics"]


def test_a_draft_is_not_sent(simulator: Simulator, app: httpx2.Client) -> None:
    """It is listed only among the drafts."""
    send(app, queue_draft=True)
    simulator.advance(DAY)

    (draft,) = app.get("/v1/messages", params={"drafts": "true"}).json()["messages"]
    assert list(draft["metrics"]) == ["drafted"]
    assert app.get("/v1/messages").json()["messages"] == []


def test_unsubscribed_people_get_no_message_if_send_to_unsubscribed_is_false(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """The message is undeliverable."""
    person = {"id": "10001", "attributes": {"unsubscribed": True}}
    call("POST", f"{simulator.url}/simulator/state", json={"people": [person]})

    number = send(app, send_to_unsubscribed=False).json()["delivery_id"]
    simulator.advance(DAY)

    metrics = app.get(f"/v1/messages/{number}").json()["message"]["metrics"]
    assert list(metrics) == ["undeliverable"]


def test_untracked_messages_have_no_opens(simulator: Simulator, app: httpx2.Client) -> None:
    """With `tracked` false there are neither opens nor clicks."""
    for _ in range(30):
        send(app, tracked=False)
    simulator.advance(7 * DAY)

    messages = app.get("/v1/messages").json()["messages"]
    seen = {metric for message in messages for metric in message["metrics"]}
    assert "delivered" in seen
    assert seen.isdisjoint({"opened", "clicked"})


def test_messages_are_paged_and_filtered(simulator: Simulator, app: httpx2.Client) -> None:
    """They are listed newest first; `next` is empty at the end."""
    ids = [send(app).json()["delivery_id"] for _ in range(5)]
    send(app, "sms")
    simulator.advance(DAY)

    seen, start = [], ""
    for _ in range(3):
        answer = app.get("/v1/messages", params={"limit": 2, "type": "email", "start": start})
        seen += [message["id"] for message in answer.json()["messages"]]
        start = answer.json()["next"]
    assert seen == ids[::-1]
    assert start == ""
    assert app.get("/v1/messages", params={"metric": "spammed", "limit": 1}).json()["next"] == ""
    assert app.get("/v1/messages", params={"campaign_id": 101}).json()["messages"] == []
    assert app.get("/v1/messages", params={"end_ts": 1}).json()["messages"] == []


@pytest.mark.parametrize(
    "query", [{"type": "pigeon"}, {"metric": "read"}, {"limit": "x"}, {"start": "x"}]
)
def test_an_invalid_query_of_messages_is_refused(app: httpx2.Client, query: dict[str, str]) -> None:
    """It is answered 400, in the general form of errors."""
    answer = app.get("/v1/messages", params=query)

    assert answer.status_code == 400
    assert detail(answer)


def test_unknown_messages_are_not_found(app: httpx2.Client) -> None:
    """They are answered 404, as is the content of a message from a template."""
    number = send(app).json()["delivery_id"]

    assert app.get("/v1/messages/none").status_code == 404
    assert app.get(f"/v1/messages/{number}/archived_message").status_code == 404


def test_transactional_messages_are_listed_with_their_sent_messages(app: httpx2.Client) -> None:
    """A template is found by its trigger name; an unknown one is answered 404."""
    number = send(app, transactional_message_id="password_reset").json()["delivery_id"]

    templates = app.get("/v1/transactional").json()["messages"]
    assert [message["id"] for message in templates] == list(range(401, 408))
    assert app.get("/v1/transactional/402").json()["message"] == templates[1]
    sent = app.get("/v1/transactional/402/messages").json()["messages"]
    assert [message["id"] for message in sent] == [number]
    assert app.get("/v1/transactional/999").status_code == 404
