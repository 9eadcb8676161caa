"""Live: the App API client reads the sandbox, and sends messages if variables allow it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from core.app_api import AppClient
from core.app_api.flows import broadcasting, composing
from tests.live.workspace import APP_KEY, Settings

_READS: dict[str, Callable[[AppClient], object]] = {
    "workspaces": lambda app: app.workspaces.list(),
    "ip addresses": lambda app: app.info.ip_addresses(),
    "campaigns": lambda app: app.campaigns.list(),
    "broadcasts": lambda app: app.broadcasts.list(),
    "newsletters": lambda app: next(iter(app.newsletters.list(limit=10).pages())),
    "transactional": lambda app: app.transactional.list(),
    "segments": lambda app: app.segments.list(),
    "messages": lambda app: next(iter(app.messages.list(limit=10).pages())),
    "activities": lambda app: next(iter(app.activities.list(limit=10).pages())),
    "exports": lambda app: app.exports.list(),
    "snippets": lambda app: app.snippets.list(),
    "collections": lambda app: app.collections.list(),
    "sender identities": lambda app: next(iter(app.sender_identities.list(limit=10).pages())),
    "reporting webhooks": lambda app: app.reporting_webhooks.list(),
    "object types": lambda app: app.objects.types(),
    "topics": lambda app: app.subscription_center.topics(),
}


@pytest.fixture
def app() -> Iterator[AppClient]:
    """A client of the sandbox."""
    settings = Settings.from_environment()
    if settings is None:
        pytest.skip(f"no credentials: set {APP_KEY}, see docs/testing.md")
    with AppClient(settings.app_key, region=settings.region, base_url=settings.app_url) as made:
        yield made


def given(*names: str) -> list[str]:
    """Return environment variables; skip the test if one is missing."""
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        pytest.skip(f"set {' and '.join(missing)}, see docs/testing.md")
    return [os.environ[name] for name in names]


@pytest.mark.parametrize("name", _READS)
def test_every_read_call_is_answered(app: AppClient, name: str) -> None:
    """With a JSON object or a list in pages."""
    assert _READS[name](app) is not None


@pytest.mark.mutating
def test_an_email_is_sent_to_an_address(app: AppClient) -> None:
    """Without a template; the vendor queues it."""
    to, sender = given("CIO_LIVE_EMAIL_TO", "CIO_LIVE_EMAIL_FROM")
    body = composing.checked(
        {
            "to": to,
            "from": sender,
            "identifiers": {"email": to},
            "subject": "A test of ciolake",
            "body": "It arrived.",
        },
        now=time.time(),
    )

    assert app.send.email(body)["delivery_id"]


@pytest.mark.mutating
def test_a_push_is_queued(app: AppClient) -> None:
    """From a template, to the device that was used last."""
    template, person = given("CIO_LIVE_PUSH_TEMPLATE", "CIO_LIVE_PUSH_PERSON")

    queued = app.send.push(
        {
            "to": "last_used",
            "identifiers": {"id": person},
            "transactional_message_id": template,
        }
    )

    assert queued["delivery_id"]


@pytest.mark.mutating
def test_a_broadcast_is_triggered_and_processed(app: AppClient) -> None:
    """To one address, known or not; its errors can be read."""
    number, to = given("CIO_LIVE_BROADCAST_ID", "CIO_LIVE_EMAIL_TO")

    sent = broadcasting.send(app, int(number), {"emails": [to], "email_ignore_missing": True})

    assert sent.trigger["processed_at"]
    assert isinstance(list(sent.errors), list)
