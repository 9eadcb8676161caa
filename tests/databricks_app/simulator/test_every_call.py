"""Every operation that the simulator offers, called by the client, and failing in every way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.app_api import AppClient
from core.errors import ApiError
from core.http.retries import RetryPolicy
from databricks_app.simulator.dispatch import ROUTES
from databricks_app.simulator.simulator import Simulator
from tests.support.simulating import call

OFFERED = {route.operation for route in ROUTES if route.surface == "app"}
PERSON = "10001"
WEBHOOK: Any = {"name": "l", "endpoint": "https://l.example.com/", "events": ["sms_sent"]}


def message(template: int | str, **fields: object) -> Any:
    """The body of a send."""
    return {"transactional_message_id": template, "identifiers": {"id": PERSON}} | fields


def webhook(app: AppClient) -> int:
    """The id of a new webhook."""
    return app.reporting_webhooks.create(WEBHOOK)["id"]


def segment(app: AppClient) -> int:
    """The id of a new segment."""
    return app.segments.create({"segment": {"name": "s"}})["segment"]["id"]


def delivery(app: AppClient) -> str:
    """The id of a message that was sent."""
    return app.send.email(message(401, to="ada@example.com"))["delivery_id"]


def written(app: AppClient) -> str:
    """The id of a message that brought its own content."""
    body: Any = {"to": "ada@example.com", "from": "a@example.com", "subject": "s", "body": "b"}
    return app.send.email(body | {"identifiers": {"id": PERSON}})["delivery_id"]


def triggered(app: AppClient) -> int:
    """The id of a new trigger of broadcast 301."""
    return app.broadcasts.trigger(301, {"ids": [PERSON]})["id"]


def exported(app: AppClient) -> int:
    """The id of a new export."""
    return app.exports.customers({"filters": {"segment": {"id": 1}}})["export"]["id"]


def downloaded(app: AppClient) -> object:
    """The URL of an export; time stands still, so the export was made as the first call."""
    exported(app)
    call("POST", f"{app._http._access.base_url}/simulator/clock", json={"advance_seconds": 10})
    return app.exports.download(1)


def imported(app: AppClient) -> int:
    """The id of a new import, of a file that nobody has."""
    url = "http://127.0.0.1:9/people.csv"
    fields: Any = {"type": "people", "identifier": "id", "name": "n", "data_file_url": url}
    return app.imports.create({"import": fields})["import"]["id"]


def suppressed(app: AppClient) -> str:
    """An address that is suppressed."""
    app.esp_suppression.create("bounces", "ada@example.com")
    return "ada@example.com"


CALLS: dict[str, Callable[[AppClient], object]] = {
    "listExports": lambda app: app.exports.list(),
    "getExport": lambda app: app.exports.get(exported(app)),
    "downloadExport": downloaded,
    "exportPeopleData": exported,
    "exportDeliveriesData": lambda app: app.exports.deliveries({"campaign_id": 101}),
    "import": imported,
    "getImport": lambda app: app.imports.get(imported(app)),
    "getSuppression": lambda app: app.esp_suppression.search(suppressed(app)),
    "getSuppressionByType": lambda app: list(app.esp_suppression.list("blocks")),
    "getDomainSuppressionsByType": lambda app: list(app.esp_suppression.domain("x.com", "blocks")),
    "postSuppression": suppressed,
    "deleteSuppression": lambda app: app.esp_suppression.delete("bounces", suppressed(app)),
    "listWebhooks": lambda app: app.reporting_webhooks.list(),
    "createWebhook": webhook,
    "getWebhook": lambda app: app.reporting_webhooks.get(webhook(app)),
    "updateWebhook": lambda app: app.reporting_webhooks.update(webhook(app), WEBHOOK),
    "deleteWebhook": lambda app: app.reporting_webhooks.delete(webhook(app)),
    "sendEmail": delivery,
    "sendPush": lambda app: app.send.push(message(403, to="all")),
    "sendSMS": lambda app: app.send.sms(message(404, to="+15550100")),
    "sendWhatsApp": lambda app: app.send.whatsapp(message(407, to="+12025550123")),
    "sendInApp": lambda app: app.send.in_app(message(405)),
    "sendInboxMessage": lambda app: app.send.inbox_message(message(406)),
    "listTransactional": lambda app: app.transactional.list(),
    "getTransactional": lambda app: app.transactional.get(401),
    "transactionalMessages": lambda app: list(app.transactional.messages(401)),
    "listBroadcasts": lambda app: app.broadcasts.list(),
    "getBroadcast": lambda app: app.broadcasts.get(301),
    "listBroadcastTriggers": lambda app: app.broadcasts.triggers(301),
    "triggerBroadcast": triggered,
    "broadcastStatus": lambda app: app.broadcasts.trigger_status(301, triggered(app)),
    "broadcastErrors": lambda app: list(app.broadcasts.trigger_errors(301, triggered(app))),
    "listMessages": lambda app: list(app.messages.list()),
    "getMessage": lambda app: app.messages.get(delivery(app)),
    "getArchivedMessage": lambda app: app.messages.archived_message(written(app)),
    "getPeopleEmail": lambda app: app.customers.by_email(email="ada@example.com"),
    "getPeopleFilter": lambda app: list(
        app.customers.search({"filter": {"segment": {"id": 1}}})
    ),
    "getPeopleById": lambda app: app.customers.get_many({"ids": [PERSON]}),
    "getPersonAttributes": lambda app: app.customers.attributes(PERSON),
    "getPersonSegments": lambda app: app.customers.segments(PERSON),
    "getPersonMessages": lambda app: list(app.customers.messages(PERSON)),
    "getPersonActivities": lambda app: list(app.customers.activities(PERSON)),
    "getPersonRelationships": lambda app: list(app.customers.relationships(PERSON)),
    "getPersonSubscriptionPreferences": lambda app: app.customers.subscription_preferences(PERSON),
    "listSegments": lambda app: app.segments.list(),
    "getSegment": lambda app: app.segments.get(1),
    "createManSegment": segment,
    "deleteManSegment": lambda app: app.segments.delete(segment(app)),
    "getSegmentCount": lambda app: app.segments.customer_count(1),
    "getSegmentDependencies": lambda app: app.segments.used_by(1),
    "getSegmentMembership": lambda app: list(app.segments.membership(1)),
    "listCampaigns": lambda app: app.campaigns.list(),
    "getCampaigns": lambda app: app.campaigns.get(101),
    "campaignMetrics": lambda app: app.campaigns.metrics(
        101, version="2", res="days", tz="UTC", start=int(time.time()) - 86_400,
        end=int(time.time()),
    ),
    "listNewsletters": lambda app: list(app.newsletters.list()),
    "getNewsletters": lambda app: app.newsletters.get(21),
    "getNewsletterMetrics": lambda app: app.newsletters.metrics(21, period="weeks", steps=8),
    "getCioAllowlist": lambda app: app.info.ip_addresses(),
}  # fmt: skip


@pytest.fixture
def app(simulator: Simulator) -> Iterator[AppClient]:
    """A client that repeats nothing."""
    key = simulator.workspace.keys.app
    with AppClient(key, base_url=simulator.url, retries=RetryPolicy(1)) as made:
        yield made


def test_every_operation_that_is_offered_is_called_here() -> None:
    """One that is added needs its line above."""
    assert set(CALLS) >= OFFERED


@pytest.mark.parametrize("operation", sorted(OFFERED))
def test_the_client_calls_it(app: AppClient, operation: str) -> None:
    """By its own method, and takes the answer."""
    CALLS[operation](app)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503])
@pytest.mark.parametrize("operation", sorted(OFFERED))
def test_the_client_is_told_of_every_failure(
    simulator: Simulator, app: AppClient, operation: str, status: int
) -> None:
    """Each status that the vendor documents can be provoked, and is the error of that status."""
    fault = {"operation": operation, "status": status, "retry_after": 1}
    call("POST", f"{simulator.url}/simulator/faults", json=fault)

    with pytest.raises(ApiError) as caught:
        CALLS[operation](app)

    assert (caught.value.status, caught.value.operation) == (status, operation)
