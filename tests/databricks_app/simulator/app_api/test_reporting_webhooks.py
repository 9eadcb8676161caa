"""Reporting webhooks in the simulated App API."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from core.webhooks import specification
from tests.support.app_api_calls import detail

WEBHOOK = {"name": "lake", "endpoint": "https://lake.example.com/hook", "events": ["email_sent"]}
HOOKS = "/v1/reporting_webhooks"


def test_webhooks_are_created_listed_changed_and_deleted(app: httpx2.Client) -> None:
    """All five operations work; no answer has a signing key."""
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


def test_a_webhook_accepts_all_72_event_names(app: httpx2.Client) -> None:
    """These are all names in the vendor's list."""
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
def test_an_invalid_webhook_is_refused(app: httpx2.Client, wrong: dict[str, Any]) -> None:
    """It is answered 400, and no webhook is added."""
    answer = app.post(HOOKS, json=WEBHOOK | wrong)

    assert answer.status_code == 400
    assert detail(answer)
    assert app.get(HOOKS).json() == {"reporting_webhooks": []}


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"name": NaN}'])
def test_a_body_that_is_not_a_json_object_is_refused(app: httpx2.Client, body: bytes) -> None:
    """It is answered 400."""
    assert app.post(HOOKS, content=body).status_code == 400


@pytest.mark.parametrize("number", ["7", "x", "-1", "9" * 20])
def test_an_unknown_webhook_is_not_found(app: httpx2.Client, number: str) -> None:
    """Every operation on it is answered 404."""
    assert app.get(f"{HOOKS}/{number}").status_code == 404
    assert app.put(f"{HOOKS}/{number}", json=WEBHOOK).status_code == 404
    assert app.delete(f"{HOOKS}/{number}").status_code == 404
