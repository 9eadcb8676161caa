"""A lease with fencing: one loader at a time among instances that share only a volume.

The lease is a folder of objects, one for each time that the lease was taken: `00000007.json` is
epoch 7. An instance takes the lease when it creates the next object without overwriting; of several
instances that try, one succeeds. The creator of the newest object owns the lease, and nobody else.

Two clocks are never compared. The owner counts renewals in its object. Another instance takes over
when, on its own clock, the count has not changed for `silence_seconds` plus the longest time that a
statement may run. So the last statement of a dead owner has ended before the next owner loads.

An owner that was paused for so long may wake up and continue until its next `confirm`, which reads
the newest epoch. This is harmless: rows are inserted by key, and it deletes only what it has loaded
(docs/databricks-store.md). If the volume let two instances create the same object, both would load
for a while, with the same result.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from databricks_app.databricks.call_timeout import CallTimeout, begin, silence
from databricks_app.errors import LakeError
from databricks_app.lake import KeptLease, Standby

if TYPE_CHECKING:
    from databricks_app.databricks.volume_files import Files

RENEW_SECONDS = 10.0
SILENCE_SECONDS = 45.0
_NAME = re.compile(r"(\d{8})\.json")
_RELEASE_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The content of the newest object.

    Attributes:
        epoch: How often the lease was taken; 0 means never.
        owner: Name of the instance that took it.
        renewals: How often it was renewed.
        is_released: Whether the owner has released it.
        statement_seconds: Timeout of the statements of the owner; None if the object has none.
        is_for_one_drain: Whether the owner takes the lease again and again, each time for one
            drain. Then a released lease does not mean that no loader runs.
    """

    epoch: int = 0
    owner: str = ""
    renewals: int = 0
    is_released: bool = True
    statement_seconds: float | None = None
    is_for_one_drain: bool = False


class Lease:
    """The lease of one volume, from the view of one instance.

    Attributes:
        folder: Path of the lease's folder in the volume.
        owner: Name of this instance.
        epoch: The epoch that this instance took; 0 while it owns none.
    """

    def __init__(
        self,
        files: Files,
        folder: str,
        *,
        owner: str | None = None,
        timeout: CallTimeout | None = None,
        statement_seconds: float = 0.0,
        silence_seconds: float = SILENCE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        is_for_one_drain: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the object; `take` takes the lease.

        Args:
            files: The volume.
            folder: Path of the folder of the lease in the volume.
            owner: Name of this instance. It must be the same after a restart of this process, so
                that the process does not wait for itself. Random by default.
            timeout: Timeouts of the calls.
            statement_seconds: Timeout of the statements of this instance. Others wait so long
                before they take over. Also used for an owner whose object has no such timeout.
            silence_seconds: How long the count of a running owner may stay the same.
            renew_seconds: Pause between renewals; 0 means that the caller renews.
            is_for_one_drain: Whether this instance gives the lease back after each drain.
            monotonic: Clock of this instance.
        """
        self.folder = folder
        self.owner = owner or secrets.token_hex(8)
        self.epoch = 0
        self._files = files
        self._timeout = timeout or CallTimeout()
        self._statement_seconds = statement_seconds
        self._silence_seconds = silence_seconds
        self._renew_seconds = renew_seconds
        self._is_for_one_drain = is_for_one_drain
        self._monotonic = monotonic
        self._renewals = 0
        self._seen: tuple[LeaseState, float] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Become the owner, if no other instance is.

        Raises:
            KeptLease: Another instance is the owner until it stops.
            Standby: Another instance is the owner, or has not been silent for long enough.
            LakeError: The volume cannot be used; says why.
        """
        self._timeout.run(self._take, "taking the lease", why=silence)
        if self._renew_seconds:
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._keep_renewing, args=(self._stopping,), name="lease", daemon=True
            )
            self._thread.start()

    def _take(self) -> None:
        newest = self.newest()
        is_free = newest.is_released or newest.owner == self.owner
        if not is_free and not self._is_silent(newest):
            kind = Standby if newest.is_for_one_drain else KeptLease
            raise kind("Another instance loads. This one takes over if the other one stops.")
        epoch = newest.epoch + 1
        self._renewals = 0
        try:
            self._files.put(self._path(epoch), self._content(), overwrite=False)
        except FileExistsError:
            raise Standby("Another instance has just taken over the loading.") from None
        # If this process was paused between the two calls, its new object may be an old epoch.
        if self._newest_epoch() != epoch:
            raise Standby("Another instance has taken over the loading.")
        self.epoch, self._seen = epoch, None
        # The newest object always stays: without it the same epoch could be taken again.
        with suppress(LakeError):
            for name in self._files.names(self.folder):
                found = _NAME.fullmatch(name)
                if found and int(found[1]) < epoch:
                    self._files.delete(f"{self.folder}/{name}")
        # A line for each drain would fill the log.
        write = log.debug if self._is_for_one_drain and is_free else log.info
        write("lease_taken", epoch=epoch, after_silence=not is_free)

    def confirm(self) -> None:
        """Check in the volume that this instance still owns the lease.

        Raises:
            Standby: It does not.
            LakeError: The volume cannot be used; says why.
        """
        newest = self._timeout.run(self._newest_epoch, "looking at the lease", why=silence)
        if not self.epoch or newest != self.epoch:
            self.epoch = 0
            self._stopping.set()
            raise Standby("Another instance has taken over the loading; this one is on standby.")

    def renew(self) -> None:
        """Renew the lease, so that the others see that this instance runs.

        Raises:
            LakeError: The volume cannot be used; says why.
        """
        self._renewals += 1
        self._files.put(self._path(self.epoch), self._content(), overwrite=True)

    def release(self) -> None:
        """Release the lease, so that others need not wait. Errors are ignored."""
        epoch, self.epoch = self.epoch, 0
        self._stopping.set()
        renewing, self._thread = self._thread, None

        def write_released() -> None:
            if renewing is not None:
                renewing.join()  # a renewal after this write would undo it
            with suppress(LakeError):
                self._files.put(self._path(epoch), self._content(is_released=True), overwrite=True)

        if epoch:
            begin(write_released).join(_RELEASE_SECONDS)

    def newest(self) -> LeaseState:
        """Read the newest object."""
        epoch = self._newest_epoch()
        if not epoch:
            return LeaseState()
        try:
            content = json.loads(self._files.get(self._path(epoch)))
            return LeaseState(
                epoch,
                content["holder"],
                content["renewals"],
                content["is_released"],
                content.get("statement_seconds"),
                bool(content.get("is_for_one_drain")),  # earlier releases do not write it
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # The object was removed by a new owner, or is damaged: an owner that does not renew.
            return LeaseState(epoch, is_released=False)

    def _is_silent(self, newest: LeaseState) -> bool:
        """Whether the owner is silent for so long that its last statement has ended too."""
        now = self._monotonic()
        if self._seen is None or self._seen[0] != newest:
            self._seen = (newest, now)
        statement_seconds = newest.statement_seconds
        if statement_seconds is None:
            statement_seconds = self._statement_seconds
        return now - self._seen[1] >= self._silence_seconds + statement_seconds

    def _newest_epoch(self) -> int:
        found = map(_NAME.fullmatch, self._files.names(self.folder))
        return max((int(name[1]) for name in found if name), default=0)

    def _keep_renewing(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._renew_seconds):
            try:
                self.renew()
            except LakeError as error:
                log.warning("lease_not_renewed", problem=str(error))

    def _path(self, epoch: int) -> str:
        return f"{self.folder}/{epoch:08d}.json"

    def _content(self, *, is_released: bool = False) -> bytes:
        return json.dumps(
            {
                # The name of earlier releases: during an upgrade both releases share a volume.
                "holder": self.owner,
                "renewals": self._renewals,
                "is_released": is_released,
                "statement_seconds": self._statement_seconds,
                "is_for_one_drain": self._is_for_one_drain,
            }
        ).encode()
