"""The check of what was set aside: parts of the inbox, and commits of tables, that are damaged."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from databricks_app.errors import LakeError
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning

if TYPE_CHECKING:
    from databricks_app.operations.doctor.context import DoctorContext

_INBOX_FIX = (
    "what could be read beside them is loaded; look with `ciolake verify`, keep them until it is "
    "known what damaged them, then delete them"
)
_LOCAL_FIX = (
    f"{_INBOX_FIX}; see whether the disk has errors (dmesg, smartctl), unless the power failed: "
    "what was cut by that was not acknowledged"
)


def quarantine(context: DoctorContext) -> CheckResult:
    """Nothing was found damaged and set aside."""
    return _local(context) if context.workspace is None else _remote(context)


def _local(context: DoctorContext) -> CheckResult:
    from databricks_app.ingest.inbox.local_reader import QUARANTINE

    settings = context.settings
    try:
        said = [
            _counted("stretches of the inbox", settings.inbox_dir / QUARANTINE),
            _counted("files of table logs", settings.data_dir / QUARANTINE),
        ]
    except OSError as error:
        return skipped(
            f"what was set aside cannot be seen ({error.strerror})",
            "run this as the receiver's user",
        )
    return _judged(said, _LOCAL_FIX)


def _remote(context: DoctorContext) -> CheckResult:
    from databricks_app.ingest.inbox.volume_reader import QUARANTINE

    folder = f"{context.settings.volume_path}/{QUARANTINE}"
    try:
        sizes = [one.size for one in context.remote.entries(folder) if not one.is_folder]
    except LakeError as error:
        return skipped(f"what was set aside cannot be seen: {error}", "see the check volume")
    return _judged([_told("stretches of the inbox", folder, sizes)], _INBOX_FIX)


def _counted(what: str, folder: Path) -> str:
    return _told(what, folder, _sizes(folder) if folder.exists() else [])


def _sizes(folder: Path) -> list[int]:
    found = os.walk(folder, onerror=_fail)
    return [Path(where, name).stat().st_size for where, _, names in found for name in names]


def _fail(error: OSError) -> NoReturn:
    raise error


def _told(what: str, folder: Path | str, sizes: list[int]) -> str:
    return f"{len(sizes):,} damaged {what} ({sum(sizes):,} bytes) lie in {folder}" if sizes else ""


def _judged(said: Iterable[str], fix: str) -> CheckResult:
    told = "; ".join(filter(None, said))
    return warning(told, fix) if told else ok("nothing damaged was set aside")
