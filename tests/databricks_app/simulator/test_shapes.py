"""Every read of the simulated App API answers in the shape that the inventory states."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from databricks_app.simulator.dispatch import ROUTES
from databricks_app.simulator.simulator import Simulator
from tests.support.paths import ROOT

INVENTORY = ROOT / "core" / "app_api" / "operations.json"
OPERATIONS = {one["id"]: one for one in json.loads(INVENTORY.read_text("utf-8"))["operations"]}
READS = [one.operation for one in ROUTES if one.surface == "app" and one.method == "GET"]
KINDS = {"array": list, "object": dict, "string": str, "integer": int, "boolean": bool}
QUERIES = {"getPeopleEmail": {"email": "ada@example.com"}, "campaignMetrics": {"version": "2"}}


@pytest.fixture
def ids(simulator: Simulator, app: httpx2.Client) -> dict[str, Any]:
    """Something for each name that a path may hold."""
    hook = {"name": "lake", "endpoint": "https://lake.example.com/", "events": ["sms_sent"]}
    number = app.post("/v1/reporting_webhooks", json=hook).json()["id"]
    send = {"body": "b", "subject": "s", "from": "f", "to": "t", "identifiers": {"id": "10001"}}
    message = app.post("/v1/send/email", json=send).json()["delivery_id"]
    app.post("/v1/campaigns/301/triggers", json={"ids": ["10001"]})
    app.post("/v1/exports/customers", json={"filters": {"segment": {"id": 1}}})
    url = "http://127.0.0.1:9/people.csv"
    people = {"type": "people", "identifier": "id", "name": "n", "data_file_url": url}
    app.post("/v1/imports", json={"import": people})
    simulator.advance(86400)
    return {
        "webhook_id": number,
        "message_id": message,
        "broadcast_id": 301,
        "trigger_id": 1,
        "campaign_id": 101,
        "newsletter_id": 21,
        "segment_id": 1,
        "transactional_id": 401,
        "customer_id": "10001",
        "export_id": 1,
        "import_id": 1,
        "suppression_type": "bounces",
        "email_address": "ada@example.com",
        "domain_name": "example.com",
    }


@pytest.mark.parametrize("operation", READS)
def test_a_read_answers_in_the_vendors_shape(
    app: httpx2.Client, ids: dict[str, Any], operation: str
) -> None:
    """Status, the names at the top, and the kind of value of each."""
    known = OPERATIONS[operation]

    answer = app.get(known["path"].format(**ids), params=QUERIES.get(operation, {}))

    body = answer.json()
    wrong = {
        name: kind
        for name, kind in known["answer"].items()
        if not isinstance(body.get(name), KINDS[kind.partition("<")[0]])
    }
    assert answer.status_code == known["status"]
    assert wrong == {}
    if known.get("paging", {}).get("style") == "start":
        assert isinstance(body["next"], str)
