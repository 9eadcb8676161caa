"""Wait for an event that Customer.io itself signed: only that proves that a signing key is right.

The public App API has no call that sends a test event. So a person presses Send Test in
Customer.io. A receiver shows in /metrics when a key last verified a request that is not ours. Where
/metrics cannot be read, as in a Databricks App, the inbox and the raw table show it.
"""

from __future__ import annotations

import time
from enum import Enum, auto
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from databricks_app.errors import ReceiverError
from databricks_app.ingest.inbox import frames
from databricks_app.ingest.inbox.volume_reader import INBOX, objects
from databricks_app.ingest.pages import KEY_VERIFIED
from databricks_app.operations.webhooks.rotation import RotationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from databricks_app.databricks.volume_files import FileListing
    from databricks_app.events.record import Record
    from databricks_app.operations.webhooks.arrival import Tables

# /metrics is up to two seconds old.
_LOOK_SECONDS = 2.0
_REJECTED = "ciolake_rejected_requests"
# An event that has just arrived is in one of the newest objects.
_MOST_READ = 200
# `canary` writes its events so.
_OURS = b'"object_type": "ciolake"'


class VendorEventError(ReceiverError):
    """No event of Customer.io arrived under a key; the text says what to do."""


class Sight(Enum):
    """What a receiver has got of Customer.io since the wait began."""

    NOTHING = auto()
    REFUSED = auto()
    """A request with a wrong signature."""
    VERIFIED = auto()
    """A request that the key has verified."""


class MetricsSight:
    """Looks into /metrics of a receiver."""

    def __init__(self, read: Callable[[], str], fingerprint: str) -> None:
        """Read it for the first time; only what changes after that counts.

        Args:
            read: Returns the text of /metrics.
            fingerprint: The key to prove.

        Raises:
            RotationError: It cannot be read, or is not that of a receiver of this version.
        """
        self._read = read
        self._fingerprint = fingerprint
        self._before = self._look()

    def __call__(self) -> Sight:
        """Look again.

        Raises:
            RotationError: As at the first time.
        """
        verified_at, refused = self._look()
        if verified_at > self._before[0]:
            return Sight.VERIFIED
        return Sight.REFUSED if refused > self._before[1] else Sight.NOTHING

    def _look(self) -> tuple[float, float]:
        verified_at, refused, is_known = 0.0, 0.0, False
        try:
            for family in text_string_to_metric_families(self._read()):
                is_known = is_known or family.name == KEY_VERIFIED
                for sample in family.samples:
                    if sample.name == KEY_VERIFIED and sample.labels["key"] == self._fingerprint:
                        verified_at = sample.value
                    is_refusal = sample.name == f"{_REJECTED}_total"
                    if is_refusal and sample.labels.get("reason") == "wrong_signature":
                        refused += sample.value
        except ValueError:
            is_known = False
        if not is_known:
            raise RotationError(
                f"/metrics does not show {KEY_VERIFIED}: check that this is the address of the "
                "receiver (--metrics-url), and that it runs this version"
            )
        return verified_at, refused


class VolumeSight:
    """Looks into the inbox of a volume, and once, if an object was loaded, into the raw table."""

    def __init__(self, files: FileListing, volume: str, fingerprint: str, since: datetime) -> None:
        """Look for events that were received at `since` or later, by the receiver's clock."""
        self._files = files
        self._root = f"{volume}/{INBOX}"
        self._fingerprint = fingerprint
        self._since = since
        self._read: set[str] = set()

    def __call__(self) -> Sight:
        """Read the objects that are new since the last look.

        Raises:
            LakeError: The volume cannot be read.
        """
        newest = sorted(objects(self._files, self._root), reverse=True)[:_MOST_READ]
        for one in newest:
            if one.source in self._read:
                continue
            self._read.add(one.source)
            try:
                content = self._files.get(f"{self._root}/{one.source}")
            except FileNotFoundError:  # loaded meanwhile
                continue
            scanned = frames.scan(content, frames.seed(one.token))
            if any(isinstance(each, frames.Frame) and self._is_it(each.record) for each in scanned):
                return Sight.VERIFIED
        return Sight.NOTHING

    def _is_it(self, record: Record) -> bool:
        return (
            record.key_fingerprint == self._fingerprint
            and record.received_at >= self._since
            and _OURS not in record.body
        )


def is_row_of_vendor(tables: Tables, fingerprint: str, since: datetime) -> bool:
    """Whether the raw table has an event under a key, not ours, received at `since` or later.

    Raises:
        QueryError: The table cannot be read.
    """
    # No injection: a fingerprint consists of hex digits.
    sql = (
        "SELECT event_id FROM webhook_raw_events WHERE key_fingerprint = "  # noqa: S608
        f"'{fingerprint}' AND received_at >= TIMESTAMP '{since:%Y-%m-%d %H:%M:%S}' AND "
        "coalesce(object_type, '') <> 'ciolake' LIMIT 1"
    )
    return bool(tables.run(sql).rows)


def wait_for_vendor(
    look: Callable[[], Sight],
    fingerprint: str,
    *,
    seconds: float,
    on_progress: Callable[[str], object],
    is_row: Callable[[], bool] = lambda: False,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Wait until Customer.io has sent an event that a key has verified.

    Args:
        look: Says what has arrived since the wait began.
        fingerprint: The key, for the texts.
        seconds: How long to wait.
        on_progress: Gets a progress message for a refusal, and for a look that failed.
        is_row: Asked once at the end of the wait: whether the event is already in the tables.
        monotonic: Monotonic clock, in seconds.
        sleep: Sleeps that many seconds.

    Raises:
        VendorEventError: It did not arrive in time; the text says what to do.
    """
    until = monotonic() + seconds
    reported, is_refused = "", False
    while True:
        try:
            sight = look()
        except ReceiverError as error:
            # The receiver may be reading its settings again.
            sight, words = Sight.NOTHING, f"{error}; trying again"
        else:
            words = ""
        if sight is Sight.VERIFIED:
            return
        if sight is Sight.REFUSED:
            is_refused = True
            words = (
                "the receiver has refused a request with a wrong signature. If that was your Send "
                f"Test, {fingerprint} is not the key of this webhook: press Ctrl-C, and run this "
                "again with the right key"
            )
        if words and words != reported:
            on_progress(words)
            reported = words
        left = until - monotonic()
        if left <= 0:
            break
        sleep(min(left, _LOOK_SECONDS))
    if is_row():
        return
    raise VendorEventError(
        f"no event of Customer.io was verified with the key {fingerprint} in {seconds:g} s"
        + (
            ", but one with a wrong signature was refused: the key is mistaken"
            if is_refused
            else ""
        )
        + ". Copy the key of this webhook from the page Reporting Webhooks in Customer.io, run "
        "this again, and press Send Test when you are asked to"
    )
