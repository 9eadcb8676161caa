"""Send a broadcast within the vendor's limits, wait for it, and read its errors.

    outcome = broadcasting.send(client, 12, {"emails": ["ada@example.com"]})
    for problem in outcome.errors: ...

Source: https://docs.customer.io/integrations/api/app/tag/send-messages/triggerBroadcast/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.app_api.flows.waiting import Polling, wait
from core.errors import SizeError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.app_api import AppClient
    from core.app_api.paging import Pages
    from core.app_api.types.broadcasts import NewTrigger, Trigger

QUEUED = 5
PEOPLE = 10_000
DATA_BYTES = 50_000
CALL_BYTES = 25 << 20
_AUDIENCES = ("recipients", "ids", "emails", "per_user_data", "data_file_url")


@dataclass(frozen=True, slots=True)
class SentBroadcast:
    """A trigger that was processed.

    Attributes:
        trigger: The state of the trigger.
        errors: The vendor's error messages for single people; fetched during iteration.
    """

    trigger: Trigger
    errors: Pages[str]


def send(
    client: AppClient, broadcast_id: int, body: NewTrigger, *, polling: Polling | None = None
) -> SentBroadcast:
    """Trigger a broadcast when the queue has room, and wait until it is processed.

    The client waits 10 seconds between triggers. After an error the broadcast may have been sent:
    look at `client.broadcasts.triggers`. A trigger with an unknown outcome is never repeated.

    Raises:
        ValidationError: The body is over a limit or has two audiences. Nothing was sent.
        WaitTimeoutError: The queue was full, or the trigger was not processed, until the timeout.
        CallError: A call failed. If `is_outcome_unknown`, the broadcast may have been sent.
    """
    check(body)
    polling = polling or Polling()
    wait(lambda: queued(client, broadcast_id), lambda number: number < QUEUED, polling)
    number = client.broadcasts.trigger(broadcast_id, body)["id"]
    trigger = wait(
        lambda: client.broadcasts.trigger_status(broadcast_id, number),
        lambda state: bool(state.get("processed_at")),
        polling,
    )
    return SentBroadcast(trigger, client.broadcasts.trigger_errors(broadcast_id, number))


def queued(client: AppClient, broadcast_id: int) -> int:
    """Count the triggers of a broadcast that are not processed; Customer.io accepts five."""
    triggers = client.broadcasts.triggers(broadcast_id)["triggers"]
    return sum(1 for trigger in triggers if not trigger.get("processed_at"))


def check(body: NewTrigger) -> None:
    """Check a trigger against the limits of Customer.io.

    Raises:
        ValidationError: It has two audiences, or more than 10,000 people.
        SizeError: `data` is larger than 50,000 bytes, or the body larger than 25 MB.
    """
    fields: Mapping[str, object] = body
    audiences = [name for name in _AUDIENCES if name in fields]
    if len(audiences) > 1:
        raise ValidationError(f"cannot be combined with {audiences[0]}", field=audiences[1])
    for name in ("ids", "emails", "per_user_data"):
        people = fields.get(name)
        if isinstance(people, list) and len(people) > PEOPLE:
            raise ValidationError(f"has {len(people)} people, the limit is {PEOPLE}", field=name)
    _require_size(fields.get("data", {}), DATA_BYTES, "data")
    _require_size(fields, CALL_BYTES, "body")


def _require_size(value: object, limit: int, field: str) -> None:
    size = len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > limit:
        raise SizeError(
            f"is {size} bytes, the limit of Customer.io is {limit}",
            field=field,
            size_bytes=size,
            limit_bytes=limit,
        )
