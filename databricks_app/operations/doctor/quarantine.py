"""The check of the quarantine: damaged parts of the inbox, and damaged commits of tables."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from databricks_app.errors import LakeError
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import DoctorContext

_INBOX_FIX = (
    "everything else in the inbox was loaded. Run `ciolake verify`. Find out what damaged these "
    "parts, then delete them"
)
_LOCAL_FIX = (
    f"{_INBOX_FIX}. After a power cut this is normal: an event that was only half written was not "
    "acknowledged. Otherwise check the disk for errors (dmesg, smartctl)"
)


def quarantine(context: DoctorContext) -> CheckResult:
    """Check that nothing damaged was set aside."""
    if context.workspace is None:
        return _in_folder(context)
    if context.settings.inbox == "local":
        here = _in_folder(context)
        if here.state != "ok":
            return here
    return _in_volume(context)


def _in_folder(context: DoctorContext) -> CheckResult:
    from databricks_app.ingest.inbox.local_reader import QUARANTINE

    settings = context.settings
    try:
        counts = [
            _count("parts of the inbox", settings.inbox_dir / QUARANTINE),
            _count("files of table logs", settings.data_dir / QUARANTINE),
        ]
    except OSError as error:
        return skipped(
            f"the quarantine folder cannot be read ({error.strerror})",
            "run this as the user that runs the receiver",
        )
    return _result(counts, _LOCAL_FIX)


def _in_volume(context: DoctorContext) -> CheckResult:
    from databricks_app.ingest.inbox.volume_reader import QUARANTINE

    folder = f"{context.settings.volume_path}/{QUARANTINE}"
    try:
        sizes = [one.size for one in context.remote.entries(folder) if not one.is_folder]
    except LakeError as error:
        return skipped(f"the quarantine folder cannot be read: {error}", "see the check volume")
    return _result([_words("parts of the inbox", folder, sizes)], _INBOX_FIX)


def _count(what: str, folder: Path) -> str:
    """Count the files below a folder, in words.

    Raises:
        OSError: The folder or one in it cannot be read.
    """
    if not folder.exists():
        return ""

    def fail(error: OSError) -> None:
        raise error  # without this, os.walk leaves out what it cannot read

    sizes = [
        Path(where, name).stat().st_size
        for where, _, names in os.walk(folder, onerror=fail)
        for name in names
    ]
    return _words(what, folder, sizes)


def _words(what: str, folder: Path | str, sizes: list[int]) -> str:
    return f"{len(sizes):,} damaged {what} ({sum(sizes):,} bytes) are in {folder}" if sizes else ""


def _result(counts: Iterable[str], fix: str) -> CheckResult:
    says = "; ".join(filter(None, counts))
    return warning(says, fix) if says else ok("the quarantine is empty: nothing was damaged")
