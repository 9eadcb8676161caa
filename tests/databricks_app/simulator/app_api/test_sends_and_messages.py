"""Sends of the simulated App API, and the messages that they make."""

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
def test_a_send_is_taken_and_reported(
    simulator: Simulator, app: httpx2.Client, channel: str
) -> None:
    """On every channel: an id at once, and the message's metrics as time passes."""
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
    """Body, subject and sender instead; the content can be read back, its links are clicked."""
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


@pytest.mark.parametrize(
    ("channel", "wrong", "status"),
    [
        ("email", {"to": None}, 400),
        ("email", {"to": 7}, 400),
        ("email", {"identifiers": {}}, 400),
        ("email", {"identifiers": {"id": "1", "email": "a@example.com"}}, 400),
        ("email", {"identifiers": {"phone": "1"}}, 400),
        ("email", {"identifiers": {"id": []}}, 400),
        ("email", {"identifiers": {"cio_id": "nobody"}}, 400),
        ("email", {"identifiers": {"id": "nobody"}, "auto_create": False}, 400),
        ("email", {"transactional_message_id": 999}, 400),
        ("email", {"transactional_message_id": 404}, 400),  # a text message
        ("email", {"transactional_message_id": None}, 400),
        ("sms", {"transactional_message_id": None}, 400),
        ("email", {"to": ",".join(["a@example.com"] * 16)}, 400),
        ("email", {"send_at": "tomorrow"}, 400),
        ("email", {"send_at": 1 << 40}, 400),
        ("email", {"attachments": []}, 400),
        ("email", {"attachments": {"a.txt": "not base64!"}}, 400),
        ("email", {"attachments": {"a": base64.b64encode(b"x" * 2_000_001).decode()}}, 413),
        ("email", {"message_data": {"a": "x" * 1_000_001}}, 413),
    ],
)
def test_a_wrong_send_is_refused(
    app: httpx2.Client, channel: str, wrong: dict[str, Any], status: int
) -> None:
    """With one sentence under `meta.error`, and nothing is sent."""
    answer = send(app, channel, **wrong)

    assert answer.status_code == status
    assert answer.json()["meta"]["error"]
    assert app.get("/v1/messages").json()["messages"] == []


def test_a_channel_that_is_switched_off_is_forbidden(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """403, until it is switched on again."""
    state = f"{simulator.url}/simulator/state"
    call("POST", state, json={"disabled_channels": ["sms"]})
    refused = send(app, "sms")
    call("POST", state, json={"disabled_channels": []})

    assert refused.status_code == 403
    assert send(app, "sms").status_code == 200


def test_a_send_ahead_waits_for_its_time(simulator: Simulator, app: httpx2.Client) -> None:
    """`send_at` comes back, and nothing happens before."""
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
    """It is listed among drafts alone."""
    send(app, queue_draft=True)
    simulator.advance(DAY)

    (draft,) = app.get("/v1/messages", params={"drafts": "true"}).json()["messages"]
    assert list(draft["metrics"]) == ["drafted"]
    assert app.get("/v1/messages").json()["messages"] == []


def test_unsubscribed_people_are_written_to_only_if_told(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """`send_to_unsubscribed` false makes the message undeliverable."""
    person = {"id": "10001", "attributes": {"unsubscribed": True}}
    call("POST", f"{simulator.url}/simulator/state", json={"people": [person]})

    number = send(app, send_to_unsubscribed=False).json()["delivery_id"]
    simulator.advance(DAY)

    metrics = app.get(f"/v1/messages/{number}").json()["message"]["metrics"]
    assert list(metrics) == ["undeliverable"]


def test_untracked_messages_have_no_opens(simulator: Simulator, app: httpx2.Client) -> None:
    """`tracked` false: neither opens nor clicks are noticed."""
    for _ in range(30):
        send(app, tracked=False)
    simulator.advance(7 * DAY)

    messages = app.get("/v1/messages").json()["messages"]
    seen = {metric for message in messages for metric in message["metrics"]}
    assert "delivered" in seen
    assert seen.isdisjoint({"opened", "clicked"})


def test_messages_are_paged_and_filtered(simulator: Simulator, app: httpx2.Client) -> None:
    """Newest first; `next` is empty at the end."""
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
def test_a_wrong_query_of_messages_is_refused(app: httpx2.Client, query: dict[str, str]) -> None:
    """400, in the general form."""
    answer = app.get("/v1/messages", params=query)

    assert answer.status_code == 400
    assert detail(answer)


def test_unknown_messages_are_not_found(app: httpx2.Client) -> None:
    """404; the content of one that a template made is not kept here either."""
    number = send(app).json()["delivery_id"]

    assert app.get("/v1/messages/none").status_code == 404
    assert app.get(f"/v1/messages/{number}/archived_message").status_code == 404


def test_transactional_messages_are_listed_with_what_they_sent(app: httpx2.Client) -> None:
    """There is one or more for each channel."""
    number = send(app, transactional_message_id="password_reset").json()["delivery_id"]

    every = app.get("/v1/transactional").json()["messages"]
    assert [message["id"] for message in every] == list(range(401, 408))
    assert app.get("/v1/transactional/402").json()["message"] == every[1]
    sent = app.get("/v1/transactional/402/messages").json()["messages"]
    assert [message["id"] for message in sent] == [number]
    assert app.get("/v1/transactional/999").status_code == 404
