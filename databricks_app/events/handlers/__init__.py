"""One handler for each object type: which payload field fills which column of which table. Pure.

`HANDLERS` is the list of object types. CONTRIBUTING.md names the files that a new one needs.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from databricks_app.events.handlers import (
    customer,
    email,
    in_app,
    push,
    slack,
    sms,
    webhook,
    whatsapp,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databricks_app.events.handlers.base import Handler

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        module.HANDLER.object_type: module.HANDLER
        for module in (email, customer, sms, push, in_app, slack, webhook, whatsapp)
    }
)
"""Handlers by object type."""

HANDLERS_BY_TABLE: Mapping[str, Handler] = MappingProxyType(
    {handler.table: handler for handler in HANDLERS.values()}
)
"""The same handlers by table."""
