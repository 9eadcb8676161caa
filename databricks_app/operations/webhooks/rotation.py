"""Decide when an old signing key can be removed, while events arrive.

Both keys are active during a rotation. The receiver counts requests by the fingerprint of their
key. `KeyUsage` decides from these counts when the old key is not used any more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from core.webhooks.config import shown
from databricks_app.errors import ReceiverError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COUNTER = "ciolake_accepted_events"
_REJECTED = "ciolake_rejected_requests"
_TIMEOUT_SECONDS = 5.0


class RotationError(ReceiverError):
    """A key cannot be replaced now; the text says why. Both keys stay active."""


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """How the two keys were used so far.

    Attributes:
        old: Last count of requests with the old key; None before the first count.
        new: Last count of requests with the new key.
        silent_since: When the count of the old key last changed, or was first read; monotonic
            seconds.
        is_new_seen: Whether Customer.io has used the new key since the first count.
    """

    old: float | None = None
    new: float = 0.0
    silent_since: float = 0.0
    is_new_seen: bool = False

    def seen(self, old: float, new: float, at: float) -> KeyUsage:
        """Return the usage after another reading of the counts.

        Args:
            old: Requests with the old key.
            new: Requests with the new key.
            at: When they were read; monotonic seconds.
        """
        if self.old is None:
            return KeyUsage(old, new, at)
        grown = self.is_new_seen or new > self.new
        moved = replace(self, old=old, new=new, is_new_seen=grown)
        # A smaller count means that the receiver has restarted. Requests with the old key may be
        # lost from the counts, so the silence starts again.
        return moved if old == self.old and new >= self.new else replace(moved, silent_since=at)

    def may_retire(self, at: float, silent_seconds: float) -> bool:
        """Whether the old key was unused for so long, while the new one was used."""
        return self.is_new_seen and at - self.silent_since >= silent_seconds


def requests_by_key(text: str) -> dict[str, float]:
    """Read from /metrics how many requests each key has signed, by its fingerprint.

    Requests with a timestamp outside the window count as well: they show that the key is in use.

    Raises:
        RotationError: The text is not the /metrics of a receiver.
    """
    found: dict[str, float] = {}
    names = set()
    try:
        for family in text_string_to_metric_families(text):
            names.add(family.name)
            if family.name in {_COUNTER, _REJECTED}:
                for sample in family.samples:
                    key = sample.labels.get("key", "")
                    if key and sample.name.endswith("_total"):
                        found[key] = found.get(key, 0.0) + sample.value
    except ValueError:
        names.clear()
    if _COUNTER not in names:
        raise RotationError(
            "/metrics does not count events by key: check that this is the address of the receiver"
        )
    return found


def read_metrics(url: str, token: str = "") -> dict[str, float]:
    """Read how many requests each key of a receiver has signed; as `metrics_text`."""
    return requests_by_key(metrics_text(url, token))


def metrics_text(url: str, token: str = "") -> str:
    """Read the metrics of a receiver.

    Args:
        url: Address of its `/metrics`.
        token: CIO_ADMIN_TOKEN; empty if there is none.

    Raises:
        RotationError: It does not answer with its metrics; the text does not contain the token.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    where = shown(url)
    try:
        answer = httpx2.get(url, headers=headers, timeout=_TIMEOUT_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RotationError(f"{where} does not answer ({type(error).__name__})") from error
    if answer.status_code in {401, 403}:
        raise RotationError(
            f"{where} needs the token of the receiver: set CIO_ADMIN_TOKEN here as well"
        )
    if answer.status_code != 200:
        raise RotationError(
            f"{where} answers {answer.status_code}: name the right address with --metrics-url"
        )
    return answer.text


def wait_until_silent(
    look: Callable[[], Mapping[str, float]],
    old: str,
    new: str,
    *,
    silent_seconds: float,
    look_seconds: float,
    on_progress: Callable[[str], object],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Wait until the old key was unused for so long while the new one was used.

    Args:
        look: Returns the counts by fingerprint.
        old: Fingerprint of the key that is removed.
        new: Fingerprint of the key that stays.
        silent_seconds: How long the old key must be unused.
        look_seconds: Pause between two readings of the counts.
        on_progress: Gets a progress message for each change.
        monotonic: Monotonic clock, in seconds.
        sleep: Sleeps that many seconds.

    Raises:
        RotationError: The counts cannot be read the first time.
    """
    usage, reported = KeyUsage(), ""
    while True:
        try:
            counts = look()
        except RotationError as error:
            if usage.old is None:
                raise
            # The receiver may be restarting. Requests that it gets meanwhile are not counted here,
            # so this time does not count as silence.
            on_progress(f"{error}; trying again")
            usage = replace(usage, silent_since=monotonic())
            sleep(look_seconds)
            continue
        at = monotonic()
        usage = usage.seen(counts.get(old, 0.0), counts.get(new, 0.0), at)
        if usage.may_retire(at, silent_seconds):
            return
        words = f"requests with key {old} (old): {usage.old:g}; with {new} (new): {usage.new:g}"
        if words != reported:
            on_progress(words)
            reported = words
        sleep(look_seconds)
