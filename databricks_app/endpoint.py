"""The webhook endpoint as HTTP sees it. Pure; the receiver and the relay share it."""

from __future__ import annotations

WEBHOOK_PATH = "/api/webhooks/customerio"
