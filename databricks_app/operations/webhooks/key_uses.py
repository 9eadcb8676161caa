"""When each signing key was used first and last, from the raw table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from databricks_app.operations.webhooks.arrival import Tables

# Without our own test events: they do not show that Customer.io uses a key.
_SQL = """SELECT key_fingerprint, min(received_at) AS first_use, max(received_at) AS last_use,
  count(*) AS events
FROM webhook_raw_events
WHERE key_fingerprint <> '' AND coalesce(object_type, '') <> 'ciolake'
GROUP BY key_fingerprint"""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The use of one key, by the clock of the receiver.

    Attributes:
        first: When the first event that is in the table was received, UTC.
        last: When the last one was received, UTC.
        events: How many there are.
    """

    first: datetime
    last: datetime
    events: int


def key_uses(tables: Tables) -> dict[str, KeyUse]:
    """Return the use of each key by its fingerprint; a key without events is missing.

    Raises:
        QueryError: The table cannot be read.
    """
    return {
        str(key): KeyUse(cast("datetime", first), cast("datetime", last), int(cast("int", events)))
        for key, first, last, events in tables.run(_SQL).rows
    }
