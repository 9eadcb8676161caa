"""The project's client calls every App API operation of the simulator, with and without faults."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from core.app_api import AppClient
from core.errors import ApiError, CustomerIOError
from core.http.retries import RetryPolicy
from databricks_app.simulator.dispatch import ROUTES
from databricks_app.simulator.simulator import Simulator
from tests.support.simulating import call

SUPPORTED = {route.operation for route in ROUTES if route.surface == "app"}
STATUSES = (400, 401, 403, 404, 413, 422, 429, 500, 503)
PERSON = "10001"
WEBHOOK: Any = {"name": "l", "endpoint": "https://l.example.com/", "events": ["sms_sent"]}


def send_body(template: int | str, **fields: object) -> Any:
    """Return the body of a send."""
    return {"transactional_message_id": template, "identifiers": {"id": PERSON}} | fields


def new_webhook(app: AppClient) -> int:
    """Create a webhook and return its id."""
    return app.reporting_webhooks.create(WEBHOOK)["id"]


def new_segment(app: AppClient) -> int:
    """Create a segment and return its id."""
    return app.segments.create({"segment": {"name": "s"}})["segment"]["id"]


def new_message(app: AppClient) -> str:
    """Send a message from a template and return its id."""
    return app.send.email(send_body(401, to="ada@example.com"))["delivery_id"]


def new_message_with_content(app: AppClient) -> str:
    """Send a message with its own content and return its id."""
    body: Any = {"to": "ada@example.com", "from": "a@example.com", "subject": "s", "body": "b"}
    return app.send.email(body | {"identifiers": {"id": PERSON}})["delivery_id"]


def new_trigger(app: AppClient) -> int:
    """Trigger broadcast 301 and return the id of the trigger."""
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
    "createWebhook": new_webhook,
    "getWebhook": lambda app: app.reporting_webhooks.get(new_webhook(app)),
    "updateWebhook": lambda app: app.reporting_webhooks.update(new_webhook(app), WEBHOOK),
    "deleteWebhook": lambda app: app.reporting_webhooks.delete(new_webhook(app)),
    "sendEmail": new_message,
    "sendPush": lambda app: app.send.push(send_body(403, to="all")),
    "sendSMS": lambda app: app.send.sms(send_body(404, to="+15550100")),
    "sendWhatsApp": lambda app: app.send.whatsapp(send_body(407, to="+12025550123")),
    "sendInApp": lambda app: app.send.in_app(send_body(405)),
    "sendInboxMessage": lambda app: app.send.inbox_message(send_body(406)),
    "listTransactional": lambda app: app.transactional.list(),
    "getTransactional": lambda app: app.transactional.get(401),
    "transactionalMessages": lambda app: list(app.transactional.messages(401)),
    "listBroadcasts": lambda app: app.broadcasts.list(),
    "getBroadcast": lambda app: app.broadcasts.get(301),
    "listBroadcastTriggers": lambda app: app.broadcasts.triggers(301),
    "triggerBroadcast": new_trigger,
    "broadcastStatus": lambda app: app.broadcasts.trigger_status(301, new_trigger(app)),
    "broadcastErrors": lambda app: list(app.broadcasts.trigger_errors(301, new_trigger(app))),
    "listMessages": lambda app: list(app.messages.list()),
    "getMessage": lambda app: app.messages.get(new_message(app)),
    "getArchivedMessage": lambda app: app.messages.archived_message(new_message_with_content(app)),
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
    "createManSegment": new_segment,
    "deleteManSegment": lambda app: app.segments.delete(new_segment(app)),
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


def client_of(simulator: Simulator) -> AppClient:
    """Return a client of a simulator that does not retry; the caller closes it."""
    key = simulator.workspace.keys.app
    return AppClient(key, base_url=simulator.url, retries=RetryPolicy(1))


def test_this_file_calls_every_supported_operation() -> None:
    """An operation that is added to the simulator needs a line in `CALLS`."""
    assert SUPPORTED - set(CALLS) == set()


def test_client_calls_every_operation(make_simulator: Callable[..., Simulator]) -> None:
    """The client's method of each operation succeeds on a new simulator."""
    failures = {}
    for operation in sorted(SUPPORTED):
        with client_of(make_simulator()) as app:
            try:
                CALLS[operation](app)
            except CustomerIOError as error:
                failures[operation] = repr(error)

    assert failures == {}


def test_client_raises_the_error_of_every_injected_status(
    make_simulator: Callable[..., Simulator],
) -> None:
    """A fault of each documented status on each operation becomes the client's error of it."""
    failures = []
    for status in STATUSES:
        simulator = make_simulator()  # a new one, as at most five broadcast triggers can wait
        for operation in sorted(SUPPORTED):
            fault = {"operation": operation, "status": status, "retry_after": 1}
            call("POST", f"{simulator.url}/simulator/faults", json=fault)
            raised: object = None
            with client_of(simulator) as app:  # a new one, as it waits for its own rate limit
                try:
                    CALLS[operation](app)
                except CustomerIOError as error:
                    raised = error
            is_expected = (
                isinstance(raised, ApiError)
                and (raised.status, raised.operation) == (status, operation)
                and simulator.workspace.faults.all == []
            )
            if not is_expected:
                failures.append(f"{operation} with {status}: {raised!r}")
                simulator.workspace.faults.all.clear()

    assert failures == []
