"""Replace a signing key while events arrive: both keys count, until the old one is silent.

Which key signed an event is counted by the receiver under the key's fingerprint; `KeyUsage` decides
from those counts when the old key may go.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from databricks_app.errors import ReceiverError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COUNTER = "ciolake_accepted_events"
_REJECTED = "ciolake_rejected_requests"
_TIMEOUT_SECONDS = 5.0


class RotationError(ReceiverError):
    """A key cannot be replaced now; says why. Both keys stay active."""


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What is known of the two keys' use.

    Attributes:
        old: Last count of requests under the old key; None before the first look.
        new: Count under the new key at the first look, later the last.
        silent_since: When the old key was last seen, or first looked for; seconds, monotonic.
        is_new_seen: Whether Customer.io has used the new key since the first look.
    """

    old: float | None = None
    new: float = 0.0
    silent_since: float = 0.0
    is_new_seen: bool = False

    def seen(self, old: float, new: float, at: float) -> KeyUsage:
        """What is known after another look.

        A count that shrank belongs to a receiver that has started again: what it missed is
        unknown, so the old key's silence begins anew.
        """
        if self.old is None:
            return KeyUsage(old, new, at)
        grown = self.is_new_seen or new > self.new
        moved = replace(self, old=old, new=new, is_new_seen=grown)
        return moved if old == self.old and new >= self.new else replace(moved, silent_since=at)

    def may_retire(self, at: float, silent_seconds: float) -> bool:
        """Whether the old key may go: silent for so long, while the new one is in use."""
        return self.is_new_seen and at - self.silent_since >= silent_seconds


def requests_by_key(text: str) -> dict[str, float]:
    """Rightly signed requests by the key's fingerprint, of Prometheus' text format.

    Those with a timestamp outside the window count as well: they show that a key is in use.

    Raises:
        RotationError: It is not what a receiver of this project says.
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
        raise RotationError("/metrics does not count events by key: is it the receiver's address?")
    return found


def read_metrics(url: str, token: str = "") -> dict[str, float]:
    """Ask a receiver for its counts.

    Args:
        url: Of its `/metrics`.
        token: CIO_ADMIN_TOKEN; empty if there is none.

    Raises:
        RotationError: It does not say; the text does not hold the token.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx2.get(url, headers=headers, timeout=_TIMEOUT_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RotationError(f"{url} does not answer ({type(error).__name__})") from error
    if answer.status_code in {401, 403}:
        raise RotationError(f"{url} is shown with CIO_ADMIN_TOKEN only: set it here as well")
    if answer.status_code != 200:
        raise RotationError(f"{url} answers {answer.status_code}: say --metrics-url")
    return requests_by_key(answer.text)


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
    """Wait until the old key was silent for so long while the new one was used.

    While the counts cannot be read, nothing is silent.

    Args:
        look: Counts by fingerprint.
        old: Fingerprint of the key that is to go.
        new: Fingerprint of the one that stays.
        silent_seconds: How long the old one must be silent.
        look_seconds: How often to look.
        on_progress: Gets what has changed, a line at a time.
        monotonic: Seconds.
        sleep: Lets that many seconds pass.

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
            # A receiver that is just being deployed: what it takes meanwhile is unknown.
            on_progress(f"{error}; looking again")
            usage = replace(usage, silent_since=monotonic())
            sleep(look_seconds)
            continue
        at = monotonic()
        usage = usage.seen(counts.get(old, 0.0), counts.get(new, 0.0), at)
        if usage.may_retire(at, silent_seconds):
            return
        words = f"requests under {old} (old): {usage.old:g}; under {new} (new): {usage.new:g}"
        if words != reported:
            on_progress(words)
            reported = words
        sleep(look_seconds)
