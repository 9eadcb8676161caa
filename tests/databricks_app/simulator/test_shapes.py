"""Every read of the simulated App API answers in the form that the inventory states."""

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
TYPES = {"array": list, "object": dict, "string": str, "integer": int, "boolean": bool}
QUERIES = {"getPeopleEmail": {"email": "ada@example.com"}, "campaignMetrics": {"version": "2"}}


@pytest.fixture
def path_values(simulator: Simulator, app: httpx2.Client) -> dict[str, Any]:
    """The id of an existing thing for each name in the path templates."""
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


def test_every_read_answers_in_the_vendors_form(
    app: httpx2.Client, path_values: dict[str, Any]
) -> None:
    """The status, the type of each field at the top level, and the cursor match the inventory."""
    assert READS
    differences = []
    for operation in READS:
        expected = OPERATIONS[operation]
        path = expected["path"].format(**path_values)

        answer = app.get(path, params=QUERIES.get(operation, {}))

        if answer.status_code != expected["status"]:
            differences.append(f"{operation}: status {answer.status_code}")
            continue
        body = answer.json()
        differences += [
            f"{operation}: {name} is not of type {type_}"
            for name, type_ in expected["answer"].items()
            if not isinstance(body.get(name), TYPES[type_.partition("<")[0]])
        ]
        is_paged = expected.get("paging", {}).get("style") == "start"
        if is_paged and not isinstance(body.get("next"), str):
            differences.append(f"{operation}: next is not text")

    assert differences == []
