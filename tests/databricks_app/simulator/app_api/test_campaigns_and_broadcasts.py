"""Campaigns, newsletters and broadcasts in the simulated App API."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest

from databricks_app.simulator.broadcasts import RUN_SECONDS
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import SimulatorOptions
from tests.support.app_api_calls import detail
from tests.support.simulating import app_client

TRIGGERS = "/v1/campaigns/301/triggers"
DAY = 86400.0


def test_campaigns_have_metrics_of_their_messages(
    make_simulator: Callable[..., Simulator],
) -> None:
    """Messages that campaigns send without a call are counted by period."""
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


def test_an_invalid_query_of_campaign_metrics_is_refused(app: httpx2.Client) -> None:
    """A missing version or an unknown period is answered 400, an unknown campaign 404."""
    path = "/v1/campaigns/101/metrics"
    wrong = [{}, {"version": "3"}, {"version": "1", "period": "eras"}]
    too_long = {"version": "2", "res": "hours", "start": "0"}

    assert [app.get(path, params=query).status_code for query in wrong] == [400] * 3
    assert app.get(path, params=too_long).status_code == 400
    assert app.get("/v1/campaigns/999").status_code == 404
    assert app.get("/v1/campaigns/101").json()["campaign"]["actions"]


def test_newsletters_and_addresses_are_listed(app: httpx2.Client) -> None:
    """Newsletters are paged and sorted; the only address is loopback."""
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
    """Each form of audience selects its people; the status has the time of processing."""
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


def test_a_broadcast_fetches_its_recipients_from_a_url(
    simulator: Simulator, app: httpx2.Client
) -> None:
    """The file has one JSON object a line; a file that cannot be fetched is answered 422."""

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
    accepted = app.post(TRIGGERS, json={"data_file_url": url})
    server.shutdown()
    thread.join()
    server.server_close()
    simulator.advance(DAY)
    refused = app.post(TRIGGERS, json={"data_file_url": url})

    assert accepted.status_code == 200
    assert len(app.get("/v1/messages").json()["messages"]) == 2
    assert refused.status_code == 422


def test_unknown_recipients_stop_a_broadcast(simulator: Simulator, app: httpx2.Client) -> None:
    """The answer 422 names the trigger, whose errors can be read in pages; nothing is sent."""
    answer = app.post(TRIGGERS, json={"ids": ["10001", "x", "y"]})
    simulator.advance(DAY)

    assert answer.status_code == 422
    assert "trigger 1 " in detail(answer)
    errors = app.get(f"{TRIGGERS}/1/errors", params={"limit": 1}).json()
    (first,) = errors["errors"]
    assert first.startswith("entry 2")
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
def test_an_invalid_trigger_is_refused(app: httpx2.Client, body: dict[str, Any]) -> None:
    """It is answered 422, in the general form of errors."""
    answer = app.post(TRIGGERS, json=body)

    assert answer.status_code == 422
    assert detail(answer)


def test_an_unknown_broadcast_or_trigger_is_not_found(app: httpx2.Client) -> None:
    """It is answered 404; existing broadcasts are listed."""
    assert app.post("/v1/campaigns/999/triggers", json={}).status_code == 404
    assert app.get("/v1/broadcasts/999").status_code == 404
    assert app.get(f"{TRIGGERS}/1").status_code == 404
    assert app.get("/v1/broadcasts/302").json()["broadcast"]["id"] == 302
    assert len(app.get("/v1/broadcasts").json()["broadcasts"]) == 2


def test_broadcasts_are_limited_to_one_in_ten_seconds(
    make_simulator: Callable[..., Simulator],
) -> None:
    """A second trigger at once is answered 429 with Retry-After."""
    simulator = make_simulator(SimulatorOptions(people=1))
    with app_client(simulator) as app:
        first = app.post(TRIGGERS, json={})
        second = app.post(TRIGGERS, json={})
        simulator.advance(float(second.headers["Retry-After"]))
        third = app.post(TRIGGERS, json={})

    assert [first.status_code, second.status_code, third.status_code] == [200, 429, 200]


def test_at_most_five_triggers_can_wait(simulator: Simulator, app: httpx2.Client) -> None:
    """The sixth is answered 429 until the first was processed."""
    statuses = [app.post(TRIGGERS, json={}).status_code for _ in range(6)]
    simulator.advance(RUN_SECONDS)

    assert statuses == [200] * 5 + [429]
    assert app.post(TRIGGERS, json={}).status_code == 200
