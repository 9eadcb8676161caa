"""Whether a request with a valid signature and a stale timestamp is accepted.

Customer.io does not say whether it signs a repeated request with a new timestamp. If it repeats the
first one, or if the clock here is wrong, a receiver that refuses stale requests blocks the feed for
seven days. The same body a second time proves one of the two, see `StaleTimestamps.is_accepted`.
"""

from __future__ import annotations

import hashlib

from databricks_app.ingest.verified_keys import is_recent
from databricks_app.runtime.shared_marks import Moment, SharedMarks
from databricks_app.setting_table import StalePolicy

# Customer.io repeats a request for seven days; a day more for a clock or a queue that is late.
OLDEST_SECONDS = 8 * 86400.0
# After this time without a stale request the sender is taken for one that does not repeat.
MEMORY_SECONDS = 86400.0


class StaleTimestamps:
    """Decides about stale requests; the web processes share what it remembers."""

    def __init__(self, policy: StalePolicy, marks: SharedMarks) -> None:
        """Create it.

        Args:
            policy: `reject` and `accept` hold for all; `second_sight` see `is_accepted`.
            marks: Remembers digests of bodies, and the last stale request.
        """
        self.policy = policy
        self._marks = marks

    def is_accepted(
        self, age_seconds: float, now: float, body: bytes, sha256: str | None, *, is_test: bool
    ) -> bool:
        """Decide about one stale request, and remember it.

        With `second_sight` a body is refused at first and accepted the second time. From then on
        every stale request is accepted, until a day passes without one. Requests more than eight
        days old, or that far in the future, are always refused.

        Args:
            age_seconds: Now minus the timestamp.
            now: Unix seconds.
            body: The body, or its beginning.
            sha256: Hex digest of the whole body if `body` is only its beginning, else None.
            is_test: Whether the request is one of ours, which says nothing about the sender.
        """
        if self.policy != "second_sight":
            return self.policy == "accept"
        if abs(age_seconds) > OLDEST_SECONDS:
            return False
        if not self.expects_stale(now):
            if is_test:
                return False
            digest = bytes.fromhex(sha256) if sha256 else hashlib.sha256(body).digest()
            if not self._marks.has_body(digest):
                self._marks.note_body(digest)
                return False
        if not is_test:
            self._marks.note_moment(Moment.STALE_ACCEPTED, now)
        return True

    def expects_stale(self, now: float) -> bool:
        """Return whether a stale request would be accepted at first sight, with `second_sight`."""
        at = self._marks.moment(Moment.STALE_ACCEPTED)
        return at is not None and is_recent(at, now, MEMORY_SECONDS)
