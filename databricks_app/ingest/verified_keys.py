"""Which signing keys are known to be right: those that have verified a request of Customer.io.

A wrong signature usually comes from a stranger, and 401 is the answer to it. But if the key here is
wrong, every request of Customer.io has a wrong signature, and Customer.io waits an hour after a
401. So a wrong signature is answered 401 only while the key of each workspace is known to be right.
Requests that we send ourselves prove nothing: we sign them with the same key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from core.webhooks.signature import SignatureCheck, SigningKey
from databricks_app.events.workspaces import DEFAULT
from databricks_app.ingest.warnings import REPORT_SECONDS
from databricks_app.runtime.shared_marks import Moment, SharedMarks

# How long a verified request proves that a key is right.
PROOF_SECONDS = 600.0
# The clock may be set back a little; a mark from further ahead was made by a wrong clock.
_CLOCK_STEP_SECONDS = 60.0
# A busy key is noted once in this time.
_NOTE_SECONDS = 1.0


class VerifiedKeys:
    """The active signing keys, and when each last verified a request."""

    def __init__(
        self, keys: Iterable[SigningKey], workspaces: Mapping[str, str], marks: SharedMarks
    ) -> None:
        """Create it.

        Args:
            keys: The active keys.
            workspaces: Workspace name by the fingerprint of a key; other keys are of `default`.
            marks: Holds the times.
        """
        self._marks = marks
        self._noted: dict[str, float] = {}
        self._keys: defaultdict[str, list[str]] = defaultdict(list)
        for key in keys:
            self._keys[workspaces.get(key.fingerprint, DEFAULT)].append(key.fingerprint)

    def note(self, fingerprint: str, now: float) -> None:
        """Note that a key verified a request that is not ours."""
        if not 0 <= now - self._noted.get(fingerprint, -_NOTE_SECONDS) < _NOTE_SECONDS:
            self._noted[fingerprint] = now
            self._marks.note_verified(fingerprint, now)

    def times(self) -> dict[str, float | None]:
        """Return when each active key last verified a request that is not ours, Unix seconds."""
        every = (one for fingerprints in self._keys.values() for one in fingerprints)
        return {one: self._marks.verified_at(one) for one in every}

    def status_of_wrong_signature(
        self, check: SignatureCheck, now: float, tolerance_seconds: float
    ) -> int:
        """Note a wrong signature, and return the status of the answer: 401 or 503."""
        # Customer.io does not send our mark. And an old timestamp may be that of a stranger who
        # repeats a request of Customer.io.
        if check.is_test or not check.is_inside(now, tolerance_seconds):
            return 401
        if not self._unproven(now, PROOF_SECONDS):
            return 401
        self._marks.note_moment(Moment.WRONG_SIGNATURE, now)
        return 503

    def suspect(self, now: float) -> tuple[str, ...]:
        """Return the workspaces whose key may be wrong, sorted; none if nothing points to that.

        Those are the workspaces without a verified request since the last wrong signature that
        came while not every key was known to be right.
        """
        refused_at = self._marks.moment(Moment.WRONG_SIGNATURE)
        if refused_at is None or not is_recent(refused_at, now, REPORT_SECONDS):
            return ()
        return self._unproven(now, PROOF_SECONDS + max(0.0, now - refused_at))

    def _unproven(self, now: float, seconds: float) -> tuple[str, ...]:
        """Return the workspaces of which no key verified a request in the last seconds."""
        return tuple(
            sorted(
                workspace
                for workspace, fingerprints in self._keys.items()
                if not any(self._is_proven(one, now, seconds) for one in fingerprints)
            )
        )

    def _is_proven(self, fingerprint: str, now: float, seconds: float) -> bool:
        at = self._marks.verified_at(fingerprint)
        return at is not None and is_recent(at, now, seconds)


def is_recent(at: float, now: float, seconds: float) -> bool:
    """Return whether a moment lies in the last seconds; both times in Unix seconds."""
    return -_CLOCK_STEP_SECONDS <= now - at < seconds
