"""Find out in the receiver why signatures fail, at a small and bounded cost. Keeps no body.

One refused request a second is examined in each process, and only if its body is small: an
examination costs about 30 HMACs of the body for each key. The forms of JSON are not tried, because
the request path parses no JSON; `ciolake explain-signature` tries them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.webhooks.diagnosis import (
    PROVEN,
    SignatureFault,
    fault_of_wrong_signature,
    is_base64_signature,
)
from core.webhooks.signature import Refusal, SignatureCheck, SigningKey
from databricks_app.ingest.verified_keys import VerifiedKeys, is_recent
from databricks_app.ingest.warnings import REPORT_SECONDS
from databricks_app.runtime.shared_marks import Moment, SharedMarks

_PAUSE_SECONDS = 1.0
# Most bytes of a body, and most bytes for all keys together.
_MOST_BODY_BYTES = 64 << 10
_MOST_BYTES = 256 << 10

_MOMENTS: Mapping[SignatureFault, Moment] = {
    SignatureFault.BODY_ONLY: Moment.BODY_ONLY,
    SignatureFault.REENCODED_BODY: Moment.REENCODED_BODY,
    SignatureFault.QUOTED_KEY: Moment.QUOTED_KEY,
    SignatureFault.ENCODED_KEY: Moment.ENCODED_KEY,
    SignatureFault.BASE64_SIGNATURE: Moment.BASE64_SIGNATURE,
    SignatureFault.OTHER_KEY: Moment.OTHER_KEY,
}


class SignatureDiagnosis:
    """Explains refused requests, and knows which faults were seen lately. Threads may share one."""

    def __init__(
        self, keys: tuple[SigningKey, ...], verified: VerifiedKeys, marks: SharedMarks
    ) -> None:
        """Create it.

        Args:
            keys: The active keys.
            verified: When each of them last verified a request.
            marks: Holds when each fault was last seen.
        """
        self._keys = keys
        self._verified = verified
        self._marks = marks
        self._examined_at = float("-inf")

    def of_headers(
        self, check: SignatureCheck, signature: bytes | None, now: float
    ) -> SignatureFault | None:
        """Return and note the fault that the headers alone show; None if they show none."""
        if check.refusal is not Refusal.MALFORMED_HEADER or check.is_test:
            return None
        if signature is None or not is_base64_signature(signature):
            return None
        return self._noted(SignatureFault.BASE64_SIGNATURE, now)

    def of_wrong_signature(
        self, check: SignatureCheck, body: Callable[[], bytes] | None, length: int, now: float
    ) -> SignatureFault | None:
        """Return and note why no key fits; None for a request of ours.

        Args:
            check: The check, updated with the whole body.
            body: Returns the whole body; None if only its beginning is known.
            length: Bytes of the whole body.
            now: Unix seconds.
        """
        if check.is_test:
            return None
        is_small = length <= _MOST_BODY_BYTES and length * len(self._keys) <= _MOST_BYTES
        if body is None or not is_small or abs(now - self._examined_at) < _PAUSE_SECONDS:
            return SignatureFault.NOT_EXAMINED
        self._examined_at = now
        fault = fault_of_wrong_signature(self._keys, check.digest, check.timestamp, body())
        # A conclusion, not a proof: a stranger's request looks the same.
        if fault is SignatureFault.UNKNOWN and self._verified.are_some_proven(now):
            fault = SignatureFault.OTHER_KEY
        return self._noted(fault, now)

    def recent(self, now: float) -> tuple[SignatureFault, ...]:
        """Return the faults to report now.

        A proven fault is reported for `REPORT_SECONDS`, any other only until each workspace has
        verified a request.
        """
        found = []
        for fault, moment in _MOMENTS.items():
            at = self._marks.moment(moment)
            if at is None or not is_recent(at, now, REPORT_SECONDS):
                continue
            if fault in PROVEN or self._verified.unproven_since(at, now):
                found.append(fault)
        if not found and self._verified.suspect(now):
            found.append(SignatureFault.UNKNOWN)
        return tuple(found)

    def _noted(self, fault: SignatureFault, now: float) -> SignatureFault:
        if fault in _MOMENTS:
            self._marks.note_moment(_MOMENTS[fault], now)
        return fault
