"""One loader at a time among instances that share nothing but a volume: a lease with fencing.

The lease is a row of objects in a folder, one for each time it was taken: `00000007.json` is
epoch 7. To take it is to create the object after the newest, without overwriting: of several that
try, the store lets one succeed. Whoever created the newest object owns the lease, and every older
one does not, whatever it believes.

No clock is compared with another. The owner counts renewals in its object; another instance takes
over once the count has stood still, on its own clock, for `silence_seconds` and for as long as a
statement may run: so what an owner that died had sent is over before the next one loads. An owner
that was paused for so long may wake up and go on until its next `confirm`, which asks for the
newest object. What it writes meanwhile does no harm: its rows are inserted by key, and it deletes
only what it has loaded (docs/databricks-store.md). If the store let two create the same object,
both would load for a while, with the same outcome.
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
from databricks_app.lake import Standby

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
        epoch: How often the lease was taken; 0 for never.
        owner: Name of the instance that took it.
        renewals: How often it was renewed.
        is_released: Whether its owner gave it back.
        statement_seconds: Time-out of its owner's statements; None if the object does not say it.
    """

    epoch: int = 0
    owner: str = ""
    renewals: int = 0
    is_released: bool = True
    statement_seconds: float | None = None


class Lease:
    """The lease of one volume, as seen by one instance.

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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take nothing yet.

        Args:
            files: The volume.
            folder: Path of the lease's folder in it.
            owner: Name of this instance, the same after a restart of this process alone, so that
                it need not wait for itself; made by chance if left out.
            timeout: Limits of a look at the volume.
            statement_seconds: Time-out of this instance's statements, which others wait out if it
                falls silent; and of an owner's whose object does not say it.
            silence_seconds: How long the count of an owner may stand still while it runs.
            renew_seconds: Pause between renewals; 0 leaves them to the caller.
            monotonic: This instance's clock.
        """
        self.folder = folder
        self.owner = owner or secrets.token_hex(8)
        self.epoch = 0
        self._files = files
        self._timeout = timeout or CallTimeout()
        self._statement_seconds = statement_seconds
        self._silence_seconds = silence_seconds
        self._renew_seconds = renew_seconds
        self._monotonic = monotonic
        self._renewals = 0
        self._seen: tuple[LeaseState, float] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Become the owner, if nobody else is.

        Raises:
            Standby: Another instance is, or it is too early to say that it is not.
            LakeError: The volume cannot be used; says why.
        """
        self._timeout.run(self._take, "taking the lease", why=silence)
        self._begin_renewing()

    def _take(self) -> None:
        newest = self.newest()
        is_free = newest.is_released or newest.owner == self.owner
        if not is_free and not self._stands_still(newest):
            raise Standby("Another instance loads; this one takes over if that one falls silent.")
        epoch = newest.epoch + 1
        self._renewals = 0
        try:
            self._files.put(self._path(epoch), self._content(), overwrite=False)
        except FileExistsError:
            raise Standby("Another instance was faster to take over the loading.") from None
        # Who was paused between looking and creating may have made an object that is long past.
        if self._newest_epoch() != epoch:
            raise Standby("Another instance has taken over the loading.")
        self.epoch, self._seen = epoch, None
        self._delete_older(epoch)
        log.info("lease_taken", epoch=epoch, after_silence=not is_free)

    def confirm(self) -> None:
        """Ask the volume whether this instance still owns the lease.

        Raises:
            Standby: It is not.
            LakeError: The volume cannot be used; says why.
        """
        newest = self._timeout.run(self._newest_epoch, "looking at the lease", why=silence)
        if not self.epoch or newest != self.epoch:
            self.epoch = 0
            self._stopping.set()
            raise Standby("Another instance has taken over the loading; this one stands by.")

    def renew(self) -> None:
        """Let the others see that this instance runs.

        Raises:
            LakeError: The volume cannot be used; says why.
        """
        self._renewals += 1
        self._files.put(self._path(self.epoch), self._content(), overwrite=True)

    def release(self) -> None:
        """Give the lease back, so that others need not wait; silent where that fails."""
        epoch, self.epoch = self.epoch, 0
        self._stopping.set()
        thread, self._thread = self._thread, None
        if epoch:
            begin(lambda: self._write_released(epoch, thread)).join(_RELEASE_SECONDS)

    def _write_released(self, epoch: int, renewing: threading.Thread | None) -> None:
        if renewing is not None:
            renewing.join()  # a renewal after this write would undo it
        with suppress(LakeError):
            self._files.put(self._path(epoch), self._content(is_released=True), overwrite=True)

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
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # Taken over and removed meanwhile, or damaged: an owner that does not count.
            return LeaseState(epoch, is_released=False)

    def _stands_still(self, newest: LeaseState) -> bool:
        """Whether an owner has not counted for so long that its last statement is over too."""
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

    def _delete_older(self, epoch: int) -> None:
        """Remove what is past. The newest stays for ever, or its number could be taken again."""
        with suppress(LakeError):
            for name in self._files.names(self.folder):
                found = _NAME.fullmatch(name)
                if found and int(found[1]) < epoch:
                    self._files.delete(f"{self.folder}/{name}")

    def _begin_renewing(self) -> None:
        if self._renew_seconds:
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._keep_renewing, args=(self._stopping,), name="lease", daemon=True
            )
            self._thread.start()

    def _keep_renewing(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._renew_seconds):
            try:
                self.renew()
            except LakeError as error:
                log.warning("lease_not_renewed", problem=str(error))

    def _path(self, epoch: int) -> str:
        return f"{self.folder}/{epoch:08d}.json"

    def _content(self, *, is_released: bool = False) -> bytes:
        # The key of earlier versions: instances of both may share a volume during an upgrade.
        return json.dumps(
            {
                "holder": self.owner,
                "renewals": self._renewals,
                "is_released": is_released,
                "statement_seconds": self._statement_seconds,
            }
        ).encode()
