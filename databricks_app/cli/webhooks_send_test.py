"""Wait until a person has pressed Send Test in Customer.io, for `ciolake webhooks setup`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from databricks_app.cli import connections
from databricks_app.operations.webhooks.rotation import metrics_text
from databricks_app.operations.webhooks.vendor_event import (
    MetricsSight,
    Sight,
    VolumeSight,
    is_row_of_vendor,
    wait_for_vendor,
)
from databricks_app.settings import environment, from_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

# The clock of the receiver may differ from that of this machine.
_CLOCK_STEP = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Look:
    """How to see an event of Customer.io under one key.

    Attributes:
        sight: What has arrived since the wait began.
        is_row: Whether the event is in the tables; asked at the end.
    """

    sight: Callable[[], Sight]
    is_row: Callable[[], bool] = lambda: False


def vendor_look(endpoint: str, metrics_url: str | None) -> Callable[[str], Look]:
    """Return what begins to look, from a key's fingerprint; for a volume, or for /metrics.

    Raises:
        RotationError: /metrics of the receiver cannot be read; before a key is asked for.
    """
    variables = environment()
    is_in_databricks = variables.get("CIO_STORE") == "databricks" and "DATABRICKS_HOST" in variables
    is_in_volume = is_in_databricks and variables.get("CIO_INBOX") != "local"
    if metrics_url is None and is_in_volume:
        return partial(_in_volume, variables)
    parts = urlsplit(endpoint)
    url = metrics_url or f"{parts.scheme}://{parts.netloc}/metrics"
    read = partial(metrics_text, url, variables.get("CIO_ADMIN_TOKEN", "").strip())
    MetricsSight(read, "")
    return lambda fingerprint: Look(MetricsSight(read, fingerprint))


def _in_volume(variables: Mapping[str, str], fingerprint: str) -> Look:
    settings = from_environment(variables)
    workspace = connections.open_workspace(variables)
    since = datetime.now(UTC) - _CLOCK_STEP

    def is_row() -> bool:
        return is_row_of_vendor(connections.open_tables(workspace, settings), fingerprint, since)

    return Look(VolumeSight(workspace, settings.volume_path, fingerprint, since), is_row)


def wait_for_send_test(look: Look, fingerprint: str, seconds: float) -> None:
    """Ask the user to press Send Test, and wait until the key has verified that event.

    Raises:
        VendorEventError: It did not come in time; the text says what to do.
    """
    click.echo(
        "Now open this webhook in Customer.io, and press Send Test. Its API cannot do that. "
        f"Waiting up to {seconds / 60:g} min for an event that Customer.io has signed ..."
    )
    wait_for_vendor(
        look.sight, fingerprint, seconds=seconds, on_progress=click.echo, is_row=look.is_row
    )
    click.echo(f"Customer.io has sent an event that the key {fingerprint} has verified")
