"""Calls of the simulated App API that several tests make, and how its errors read."""

from __future__ import annotations

from typing import Any

import httpx2

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
