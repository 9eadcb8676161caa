"""The App API of the simulator as a client meets it: answers, errors, limits."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest

from core.webhooks import specification
from databricks_app.simulator.broadcasts import RUN_SECONDS
from databricks_app.simulator.dispatch import ROUTES, inventory
from databricks_app.simulator.messages import Refused
from databricks_app.simulator.routing import Known, Route, Router
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.simulating import RecordingReceiver, app_client, call

WEBHOOK = {"name": "lake", "endpoint": "https://lake.example.com/hook", "events": ["email_sent"]}
HOOKS = "/v1/reporting_webhooks"
TRIGGERS = "/v1/campaigns/301/triggers"
DAY = 86400.0
# What a send of each channel needs.
SENDS: dict[str, dict[str, Any]] = {
    "email": {"transactional_message_id": 401, "to": "ada@example.com"},
    "push": {"transactional_message_id": "message_403", "to": "all"},
    "sms": {"transactional_message_id": 404, "to": "+12025550123"},
    "in_app": {"transactional_message_id": 405},
    "inbox_message": {"transactional_message_id": 406},
    "whatsapp": {"transactional_message_id": 407, "to": "+12025550123"},
}


def send(app: httpx2.Client, channel: str = "email", **fields: Any) -> httpx2.Response:
    """Send one message to somebody."""
    whole = SENDS[channel] | {"identifiers": {"id": "10001"}} | fields
    return app.post(f"/v1/send/{channel}", json=whole)


def detail(answer: httpx2.Response) -> str:
    """Return the words of a general error, whose form is checked."""
    (error,) = answer.json()["errors"]
    assert error["status"] == str(answer.status_code)
    return str(error["detail"])


# Keys and paths


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic abc", "Bearer"])
def test_calls_without_the_key_are_refused(simulator: Simulator, authorization: str) -> None:
    """401, in the vendor's form."""
    headers = {"Authorization": authorization} if authorization else {}

    answer = call("GET", f"{simulator.url}/v1/segments", headers=headers)

    assert answer.status_code == 401
    assert detail(answer) == "unauthorized"


def test_the_private_key_opens_the_app_api_and_the_public_one_does_not(
    simulator: Simulator,
) -> None:
    """As since 2026: a public key neither sends nor reads."""
    keys = simulator.workspace.keys

    statuses = [
        call(
            "GET", f"{simulator.url}/v1/segments", headers={"Authorization": f"Bearer {key}"}
        ).status_code
        for key in (keys.private, keys.public)
    ]

    assert statuses == [200, 401]


@pytest.mark.parametrize(
    ("path", "workspace_id", "status"),
    [
        ("/v1/send/email", "1", 400),  # the key is right, the body is empty
        ("/v1/send/email", "2", 401),
        ("/v1/send/email", "", 401),
        ("/v1/send/whatsapp", "1", 401),
        ("/v1/segments", "1", 401),
    ],
)
def test_a_service_account_sends_in_its_workspace_only(
    simulator: Simulator, path: str, workspace_id: str, status: int
) -> None:
    """And by the channels that the vendor lists."""
    key = simulator.workspace.keys.service_account
    headers = {"Authorization": f"Bearer {key}", "X-Workspace-Id": workspace_id}

    answer = call("POST", f"{simulator.url}{path}", headers=headers)

    assert answer.status_code == status


def test_unknown_paths_and_methods_are_named_so(app: httpx2.Client) -> None:
    """404 and 405, as routing goes before the key."""
    assert app.get("/v2/anything").status_code == 404
    assert app.patch(f"{HOOKS}/1").status_code in {405, 501}
    assert app.delete("/v1/info/ip_addresses").status_code == 405


def test_router_names_what_is_not_imitated() -> None:
    """An operation of the inventory without a route is found as such, literal paths first."""
    known = [
        Known("listExports", "GET", "/v1/exports"),
        Known("getExport", "GET", "/v1/exports/{export_id}"),
        Known("listSegments", "GET", "/v1/segments"),
    ]
    router = Router(ROUTES, known)

    assert router.find("GET", "/v1/exports/7") == (known[1], {"export_id": "7"})
    found, _ = router.find("GET", "/v1/segments")
    assert isinstance(found, Route)
    literal, _ = router.find("POST", "/v1/customers/attributes")
    assert literal.operation == "getPeopleById"
    with pytest.raises(Refused):
        router.find("GET", "/v1/exports/7/8")


def test_routes_are_operations_of_the_vendor() -> None:
    """Name, method and path of each are those of the inventory."""
    known = {(one.operation, one.method, one.path) for one in inventory()}
    ours = {(one.operation, one.method, one.path) for one in ROUTES if one.surface == "app"}

    assert ours <= known
    assert len(known) == 188


def test_what_is_not_imitated_says_so(simulator: Simulator, app: httpx2.Client) -> None:
    """501 and the operation's name, once the key is right."""
    answer = app.get("/v1/snippets")

    assert answer.status_code == 501
    assert "listSnippets" in detail(answer)
    assert call("GET", f"{simulator.url}/v1/snippets").status_code == 401


def test_a_fault_may_stand_before_what_is_not_imitated(app: httpx2.Client) -> None:
    """So that a client of it can be tried with errors at least."""
    app.post("/simulator/faults", json={"operation": "listSnippets", "status": 429})

    assert app.get("/v1/snippets").status_code == 429


def test_the_eleventh_call_in_a_second_is_refused(
    make_simulator: Callable[..., Simulator],
) -> None:
    """429 with Retry-After; after that long it is taken again."""
    simulator = make_simulator(SimulatorOptions(people=0))
    with app_client(simulator) as app:
        answers = [app.get("/v1/segments") for _ in range(11)]
        simulator.advance(float(answers[-1].headers["Retry-After"]))
        again = app.get("/v1/segments")

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert detail(answers[-1]) == "too many requests"
    assert again.status_code == 200


# Reporting webhooks


def test_webhooks_are_created_listed_changed_and_deleted(app: httpx2.Client) -> None:
    """All five operations; no answer holds a signing key."""
    created = app.post(HOOKS, json=WEBHOOK)
    number = created.json()["id"]
    expected = WEBHOOK | {
        "id": number,
        "disabled": False,
        "full_resolution": False,
        "with_content": False,
        "type": "webhook",
    }
    assert (created.status_code, created.json()) == (200, expected)
    assert app.get(HOOKS).json() == {"reporting_webhooks": [expected]}

    changed = app.put(f"{HOOKS}/{number}", json=WEBHOOK | {"disabled": True})
    assert changed.json() == expected | {"disabled": True}
    assert app.get(f"{HOOKS}/{number}").json() == changed.json()

    assert app.delete(f"{HOOKS}/{number}").status_code == 200
    assert app.get(f"{HOOKS}/{number}").status_code == 404


def test_a_webhook_takes_all_72_names(app: httpx2.Client) -> None:
    """Every name of the vendor's list."""
    names = list(specification.subscription_names())

    answer = app.post(HOOKS, json=WEBHOOK | {"events": names})

    assert len(names) == 72
    assert answer.json()["events"] == names


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": None},
        {"endpoint": "lake.example.com"},
        {"endpoint": "https://[broken"},
        {"endpoint": 7},
        {"events": []},
        {"events": "email_sent"},
        {"events": ["email_sent", "email_imagined"]},
        {"disabled": "no"},
    ],
)
def test_a_malformed_webhook_is_refused(app: httpx2.Client, wrong: dict[str, Any]) -> None:
    """400, and nothing is added."""
    answer = app.post(HOOKS, json=WEBHOOK | wrong)

    assert answer.status_code == 400
    assert detail(answer)
    assert app.get(HOOKS).json() == {"reporting_webhooks": []}


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"name": NaN}'])
def test_a_body_that_is_no_object_is_refused(app: httpx2.Client, body: bytes) -> None:
    """400, whatever the bytes."""
    assert app.post(HOOKS, content=body).status_code == 400


@pytest.mark.parametrize("number", ["7", "x", "-1", "9" * 20])
def test_an_unknown_webhook_is_not_found(app: httpx2.Client, number: str) -> None:
    """404 for every operation on one."""
    assert app.get(f"{HOOKS}/{number}").status_code == 404
    assert app.put(f"{HOOKS}/{number}", json=WEBHOOK).status_code == 404
    assert app.delete(f"{HOOKS}/{number}").status_code == 404


# Sends and messages


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


# People and segments


def test_people_are_found_and_shown(app: httpx2.Client) -> None:
    """By address, by filter, by id of each type."""
    (person,) = app.get("/v1/customers/10001/attributes").json().values()
    email, cio_id = person["identifiers"]["email"], person["identifiers"]["cio_id"]

    found = app.get("/v1/customers", params={"email": email.upper()}).json()["results"]
    assert found == [{"id": "10001", "email": email, "cio_id": cio_id}]
    by_email = app.get(f"/v1/customers/{email}/attributes", params={"id_type": "email"})
    by_cio_id = app.get(f"/v1/customers/cio_{cio_id}/attributes", params={"id_type": "cio_id"})
    assert by_email.json() == by_cio_id.json() == {"customer": person}
    assert person["attributes"]["first_name"]
    assert person["devices"]
    many = app.post("/v1/customers/attributes", json={"ids": ["10001", "nobody"]}).json()
    assert many == {"customers": [{"customer": person}]}


def test_unknown_people_are_not_found(app: httpx2.Client) -> None:
    """404; a wrong `id_type` looks the same, and an unknown address is no error."""
    assert app.get("/v1/customers/nobody/attributes").status_code == 404
    wrong = app.get("/v1/customers/10001/attributes", params={"id_type": "phone"})
    assert wrong.status_code == 404
    assert app.get("/v1/customers", params={"email": "x@example.com"}).json() == {"results": []}
    assert app.post("/v1/customers/attributes", json={"ids": []}).status_code == 400


def test_a_filter_takes_people(simulator: Simulator, app: httpx2.Client) -> None:
    """`and`, `or`, `not`, `segment` and `attribute`, in pages."""
    person = {"id": "10002", "attributes": {"plan": "gold", "unsubscribed": True}}
    call("POST", f"{simulator.url}/simulator/state", json={"people": [person]})
    gold = {"attribute": {"field": "plan", "operator": "eq", "value": "gold"}}
    has_plan = {"attribute": {"field": "plan", "operator": "exists"}}

    def search(condition: dict[str, Any], **query: Any) -> dict[str, Any]:
        answer = app.post("/v1/customers", json={"filter": condition}, params=query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    assert search({"and": [gold, has_plan, {"segment": {"id": 2}}]})["ids"] == ["10002"]
    assert len(search({"not": gold})["identifiers"]) == 9
    assert len(search({"or": [gold, {"segment": {"id": 1}}]})["identifiers"]) == 10
    assert search({"segment": {"id": 99}})["ids"] == []
    first = search({"segment": {"id": 1}}, limit=6)
    second = search({"segment": {"id": 1}}, limit=6, start=first["next"])
    assert (len(first["identifiers"]), len(second["identifiers"]), second["next"]) == (6, 4, "")


@pytest.mark.parametrize(
    "condition",
    [
        None,
        {},
        {"and": []},
        {"and": [{}], "or": [{}]},
        {"xor": []},
        {"segment": {"id": "x"}},
        {"attribute": {"field": "plan", "operator": "like"}},
        {"attribute": 7},
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(app: httpx2.Client, condition: object) -> None:
    """400, and it says which part."""
    answer = app.post("/v1/customers", json={"filter": condition})

    assert answer.status_code == 400
    assert "filter" in detail(answer)


def test_segments_are_created_filled_counted_and_deleted(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """A manual segment is empty until the simulator's own interface fills it."""
    made = app.post("/v1/segments", json={"segment": {"name": "Friends"}}).json()["segment"]
    path = f"/v1/segments/{made['id']}"
    assert app.get(f"{path}/customer_count").json() == {"count": 0}

    url = f"{simulator.url}/simulator/segments/{made['id']}/members"
    assert call("PUT", url, json={"ids": ["10001", "10003", "nobody"]}).json() == {"count": 2}

    members = app.get(f"{path}/membership", params={"limit": 1}).json()
    assert (members["ids"], members["next"] != "") == (["10001"], True)
    segments = app.get("/v1/customers/10001/segments").json()["segments"]
    assert [segment["name"] for segment in segments] == ["Everyone", "Friends"]
    assert app.get(path).json()["segment"] == made
    assert app.get("/v1/segments").json()["segments"][-1] == made
    assert app.get(f"{path}/used_by").json()["used_by"]["campaigns"] == []
    assert app.delete(path).status_code == 204
    assert app.get(path).status_code == 404


def test_segments_that_filters_make_stay(simulator: Simulator, app: httpx2.Client) -> None:
    """They are neither deleted nor filled by hand."""
    url = f"{simulator.url}/simulator/segments/1/members"

    assert app.delete("/v1/segments/1").status_code == 404
    assert call("PUT", url, json={"ids": []}).status_code == 400
    assert app.post("/v1/segments", json={"segment": {}}).status_code == 400
    assert app.post("/v1/segments", json={"segment": 7}).status_code == 400


# Campaigns, newsletters, broadcasts


def test_campaigns_have_metrics_of_what_they_sent(
    make_simulator: Callable[..., Simulator],
) -> None:
    """Messages that nobody called for are counted by the period in which they happened."""
    simulator = make_simulator(
        SimulatorOptions(people=20, messages_per_hour=20, has_rate_limits=False)
    )
    simulator.advance(2 * DAY)
    with app_client(simulator) as app:
        campaigns = app.get("/v1/campaigns").json()["campaigns"]
        series = [
            app.get(f"/v1/campaigns/{campaign['id']}/metrics", params=query).json()["metric"]
            for campaign in campaigns
            for query in ({"version": "1", "period": "days", "steps": 3}, {"version": "2"})
        ]
        hourly = app.get(
            "/v1/campaigns/101/metrics",
            params={
                "version": 2,
                "res": "hourly",
                "start": int(simulator.clock.now()) - 7200,
                "type": "email",
            },
        ).json()["metric"]["series"]

    assert [campaign["id"] for campaign in campaigns] == [101, 102, 103, 104, 105, 106, 107]
    assert sum(sum(one["series"]["created"]) for one in series[::2]) > 100
    assert [len(one["series"]["created"]) for one in series[:2]] == [3, 45]
    assert len(hourly["created"]) == 2


def test_wrong_metrics_of_campaigns_are_refused(app: httpx2.Client) -> None:
    """400 without a version or with an unknown period, 404 for no campaign."""
    path = "/v1/campaigns/101/metrics"
    wrong = [{}, {"version": "3"}, {"version": "1", "period": "eras"}]
    too_long = {"version": "2", "res": "hours", "start": "0"}

    assert [app.get(path, params=query).status_code for query in wrong] == [400] * 3
    assert app.get(path, params=too_long).status_code == 400
    assert app.get("/v1/campaigns/999").status_code == 404
    assert app.get("/v1/campaigns/101").json()["campaign"]["actions"]


def test_newsletters_and_addresses_are_listed(app: httpx2.Client) -> None:
    """The address is that of the machine, as that is where webhooks come from."""
    first = app.get("/v1/newsletters", params={"limit": 2}).json()
    last = app.get("/v1/newsletters", params={"sort": "desc"}).json()["newsletters"][0]

    assert [one["id"] for one in first["newsletters"]] == [21, 22]
    assert first["next"]
    assert app.get(f"/v1/newsletters/{last['id']}").json() == {"newsletter": last}
    assert app.get("/v1/newsletters/9").status_code == 404
    assert app.get("/v1/info/ip_addresses").json() == {"ip_addresses": ["127.0.0.1"]}


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 10),
        ({"recipients": {"segment": {"id": 1}}, "data": {"a": 1}}, 10),
        ({"ids": ["10001", "10003"]}, 2),
        ({"ids": ["10001", "nobody"], "id_ignore_missing": True}, 1),
        ({"emails": ["nobody@example.com"], "email_ignore_missing": True}, 0),
        ({"per_user_data": [{"id": "10001", "data": {}}, {"id": "10001"}]}, 1),
    ],
)
def test_a_broadcast_reaches_its_audience(
    simulator: Simulator, app: httpx2.Client, body: dict[str, Any], count: int
) -> None:
    """By each way to say who gets it; its status says when it was processed."""
    answer = app.post(TRIGGERS, json=body)
    assert answer.json() == {"id": 1}
    path = f"{TRIGGERS}/1"
    assert app.get(path).json()["processed_at"] is None

    simulator.advance(DAY)

    assert len(app.get("/v1/messages", params={"limit": 100}).json()["messages"]) == count
    status = app.get(path).json()
    assert status["processed_at"] - status["created_at"] == RUN_SECONDS
    assert app.get("/v1/broadcasts/301/triggers").json() == {"triggers": [status]}
    assert app.get(f"{path}/errors").json() == {"errors": [], "next": ""}


def test_a_broadcast_reads_a_file_by_its_address(simulator: Simulator, app: httpx2.Client) -> None:
    """One JSON object a line, as the vendor reads it; what cannot be fetched is 422."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"id": "10001"}\n\n{"id": "10003", "data": {"a": 1}}\n')

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/people.json"
    taken = app.post(TRIGGERS, json={"data_file_url": url})
    server.shutdown()
    thread.join()
    server.server_close()
    simulator.advance(DAY)
    refused = app.post(TRIGGERS, json={"data_file_url": url})

    assert taken.status_code == 200
    assert len(app.get("/v1/messages").json()["messages"]) == 2
    assert refused.status_code == 422


def test_unknown_recipients_stop_a_broadcast(simulator: Simulator, app: httpx2.Client) -> None:
    """422 names the trigger, whose errors can be read by page; nothing is sent."""
    answer = app.post(TRIGGERS, json={"ids": ["10001", "x", "y"]})
    simulator.advance(DAY)

    assert answer.status_code == 422
    assert "trigger 1 " in detail(answer)
    errors = app.get(f"{TRIGGERS}/1/errors", params={"limit": 1}).json()
    assert errors["errors"] == ["entry 2: no person has this id"]
    assert errors["next"]
    assert app.get("/v1/messages").json()["messages"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"ids": ["10001"], "emails": ["a@example.com"]},
        {"ids": "10001"},
        {"ids": ["x"] * 10_001},
        {"data": {"a": "x" * 50_001}},
        {"per_user_data": [{"name": "x"}]},
        {"per_user_data": [7]},
        {"recipients": {"xor": []}},
    ],
)
def test_a_wrong_trigger_is_unprocessable(app: httpx2.Client, body: dict[str, Any]) -> None:
    """422, in the general form."""
    answer = app.post(TRIGGERS, json=body)

    assert answer.status_code == 422
    assert detail(answer)


def test_broadcasts_that_do_not_exist_are_not_found(app: httpx2.Client) -> None:
    """404 for broadcast and trigger."""
    assert app.post("/v1/campaigns/999/triggers", json={}).status_code == 404
    assert app.get("/v1/broadcasts/999").status_code == 404
    assert app.get(f"{TRIGGERS}/1").status_code == 404
    assert app.get("/v1/broadcasts/302").json()["broadcast"]["id"] == 302
    assert len(app.get("/v1/broadcasts").json()["broadcasts"]) == 2


def test_broadcasts_are_limited_to_one_in_ten_seconds(
    make_simulator: Callable[..., Simulator],
) -> None:
    """The second at once is 429 and says when to try again."""
    simulator = make_simulator(SimulatorOptions(people=1))
    with app_client(simulator) as app:
        first = app.post(TRIGGERS, json={})
        second = app.post(TRIGGERS, json={})
        simulator.advance(float(second.headers["Retry-After"]))
        third = app.post(TRIGGERS, json={})

    assert [first.status_code, second.status_code, third.status_code] == [200, 429, 200]


def test_five_triggers_wait_at_most(simulator: Simulator, app: httpx2.Client) -> None:
    """The sixth is 429 until the first was processed."""
    statuses = [app.post(TRIGGERS, json={}).status_code for _ in range(6)]
    simulator.advance(RUN_SECONDS)

    assert statuses == [200] * 5 + [429]
    assert app.post(TRIGGERS, json={}).status_code == 200
