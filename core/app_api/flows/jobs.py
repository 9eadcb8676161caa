"""Exports and imports to their end; an export into a file.

    export = client.exports.customers({"filters": {"segment": {"id": 7}}})["export"]
    jobs.save(client, export["id"], Path("people.csv"))

Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from core.app_api.flows.waiting import Polling, Progress, wait
from core.errors import ForbiddenError, JobFailedError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.app_api import AppClient
    from core.app_api.types.exports import Export
    from core.app_api.types.imports import Import
    from core.http.responses import Response

_STILL = frozenset({"", "pending", "queued", "scheduled", "preprocessing", "processing"})
_ADDRESSES = 3


def exported(
    client: AppClient,
    export_id: int,
    *,
    polling: Polling | None = None,
    on_progress: Progress[Export] | None = None,
) -> Export:
    """Wait for an export.

    Raises:
        JobFailedError: It failed at Customer.io.
        WaitTimeoutError: It took too long.
        CallError: A look at it did not succeed.
    """
    export = wait(
        lambda: client.exports.get(export_id)["export"],
        lambda seen: bool(seen.get("failed")) or seen.get("status") in ("done", "failed"),
        polling or Polling(),
        on_progress,
    )
    if export.get("failed") or export.get("status") == "failed":
        raise JobFailedError(f"export {export_id} failed at Customer.io: start another")
    return export


def imported(
    client: AppClient,
    import_id: int,
    *,
    polling: Polling | None = None,
    on_progress: Progress[Import] | None = None,
) -> Import:
    """Wait for an import; rows that were not taken are at its `error_download_url`.

    The vendor publishes no list of its states. It is over when an error stands there, when as many
    rows are imported as there are, or when the state is no word of waiting.

    Raises:
        JobFailedError: It failed as a whole.
        WaitTimeoutError: It took too long.
        CallError: A look at it did not succeed.
    """
    seen = wait(
        lambda: client.imports.get(import_id)["import"],
        _is_import_over,
        polling or Polling(),
        on_progress,
    )
    if seen.get("error"):
        raise JobFailedError(
            f"import {import_id} failed at Customer.io; `client.imports.get` says why"
        )
    return seen


def save(
    client: AppClient,
    export_id: int,
    path: Path,
    *,
    polling: Polling | None = None,
    on_progress: Progress[Export] | None = None,
) -> Path:
    """Wait for an export and save its file; call it again after any failure.

    What has arrived is kept beside the file as `<name>.part` and continued, if the vendor's copy
    is still the same. The file appears under its name when it is whole and on the disk. A signed
    address that expires on the way is asked for anew.

    Raises:
        JobFailedError: The export failed at Customer.io.
        ResponseError: What arrived is not whole; it is removed.
        WaitTimeoutError: The export took too long.
        CallError: A call did not succeed.
        OSError: The file cannot be written.
    """
    exported(client, export_id, polling=polling, on_progress=on_progress)
    part = path.with_name(f"{path.name}.part")
    note = path.with_name(f"{path.name}.part.json")
    for left in reversed(range(_ADDRESSES)):
        try:
            offset, answer = _fetch(client, export_id, part, note)
            break
        except ForbiddenError:  # the address has expired
            if not left:
                raise
    try:
        _require_whole(part, offset, answer)
    except ResponseError:
        part.unlink()
        raise
    finally:
        note.unlink(missing_ok=True)
    part.replace(path)
    return path


def _fetch(client: AppClient, export_id: int, part: Path, note: Path) -> tuple[int, Response]:
    """Fetch what is missing; with which byte it began, and the answer."""
    offset, etag = _begun(part, note, export_id)
    url = client.exports.download(export_id)["url"]

    def remember(headers: Mapping[str, str]) -> None:
        note.write_text(json.dumps({"export": export_id, "etag": headers.get("etag", "")}))

    with part.open("r+b" if offset else "wb") as file:
        answer = client.download(url, file, offset=offset, if_range=etag, on_answer=remember)
        file.flush()
        os.fsync(file.fileno())
    return offset, answer


def _is_import_over(seen: Import) -> bool:
    rows, done = seen.get("rows_to_import"), seen.get("rows_imported")
    is_counted = bool(rows) and rows == done
    return bool(seen.get("error")) or is_counted or seen.get("state", "") not in _STILL


def _begun(part: Path, note: Path, export_id: int) -> tuple[int, str]:
    """How much of the same export an earlier call left, and the `etag` it came with."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(note.read_text())
        if said["export"] == export_id and said["etag"]:
            return part.stat().st_size, str(said["etag"])
    return 0, ""


def _require_whole(part: Path, offset: int, answer: Response) -> None:
    size = part.stat().st_size
    begun = offset if answer.status == 206 else 0
    told = answer.headers.get("content-length", "")
    is_encoded = "content-encoding" in answer.headers
    if told.isdigit() and not is_encoded and size - begun != int(told):
        raise ResponseError(
            f"download: {size - begun} of {told} bytes arrived; call it again",
            operation="download",
            attempts=1,
        )
    if zipfile.is_zipfile(part):
        with zipfile.ZipFile(part) as packed:
            damaged = packed.testzip()
        if damaged is not None:
            raise ResponseError("download: the archive is damaged; call it again")
